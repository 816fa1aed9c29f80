import Foundation
import XCTest

import Rcseal

/// Backups, words, and an account's end.
final class BackupTests: XCTestCase {
    private var world: World!

    override func setUp() async throws { world = try World() }
    override func tearDown() async throws { world.remove() }

    func testABackupMakesAnotherDeviceTheAccounts() async throws {
        let (ada, bert) = try await world.pair()
        try await bert.conversation.send(text: "keep this")
        await ada.hears("keep this")
        let account = try await ada.client.account()
        let (file, secret) = (world.folder.appendingPathComponent("backup"), try BackupSecret.generate())
        let summary = try await ada.client.createBackup(to: file, secret: secret)
        XCTAssertTrue(summary.hasAccountKey)
        let info = try await BackupInfo.inspect(file)
        XCTAssertTrue(info.isGenerated)
        try await ada.client.close()

        let new = try await world.blank("new")
        let other = try BackupSecret.generate()
        await assertFails(.backup, retryable: false) { try await new.restoreBackup(from: file, secret: other, platform: .ios) }
        let outcome = try await new.restoreBackup(from: file, secret: secret, platform: .ios)
        XCTAssertTrue(outcome.isNewDevice)
        XCTAssertEqual(outcome.accountId, account?.accountId)
        let conversation = try await new.conversation(with: ada.contactId)
        let messages = try await conversation.messages()
        XCTAssertTrue(messages.contains { $0.text == "keep this" })
        try await new.close()
        try await bert.client.close()
    }

    func testAWeakPassphraseIsRefused() async throws {
        let client = try await world.client("ada")
        let file = world.folder.appendingPathComponent("backup")
        await assertFails(.backup, retryable: false) { try await client.createBackup(to: file, secret: .passphrase(text: "short")) }
        XCTAssertFalse(FileManager.default.fileExists(atPath: file.path))
        try await client.close()
    }

    func testADeletedAccountClosesItsClient() async throws {
        let client = try await world.client("ada")
        try await client.deleteAccount()
        await assertFails(.closed, "closed") { try await client.contacts() }
    }

    func testEveryStateOfAMessageHasWords() async throws {
        for language in try Words.languages() {
            XCTAssertFalse(try Words.all(language: language).isEmpty)
            XCTAssertFalse(try Words.of("message.delivered", language: language).title.isEmpty)
        }
        await assertFails(.invalidArgument, "words.unknown_key") { try Words.of("no.such", language: "en") }
    }
}
