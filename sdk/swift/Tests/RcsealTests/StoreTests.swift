import Foundation
import XCTest

import Rcseal
import RcsealDevelopment

/// What can be wrong with the store and its key, and what becomes of it.
final class StoreTests: XCTestCase {
    /// A byte of the database's plain header, every one of which is fixed.
    private static let inTheHeader = 20
    private var world: World!

    override func setUp() async throws { world = try World() }
    override func tearDown() async throws { world.remove() }

    func testADamagedStoreStaysAsItIsUntilItIsSetAside() async throws {
        let folder = world.folder.appendingPathComponent("ada")
        let client = try await world.client("ada")
        await assertFails(.store, "store.in_use", retryable: true) {
            try await RcsealClient.setStoreAside(folder: folder.path, keyVault: self.world.vault("ada"))
        }
        try await client.close()
        let file = folder.appendingPathComponent("store.db")
        var damaged = try Data(contentsOf: file)
        damaged[Self.inTheHeader] ^= 1
        try damaged.write(to: file)
        for _ in 0..<2 {
            await assertFails(.store, "store.damaged", retryable: false) { try await self.world.blank("ada") }
        }
        let aside = try await RcsealClient.setStoreAside(folder: folder.path, keyVault: world.vault("ada"))
        XCTAssertFalse(aside.isKeyDiscarded)
        XCTAssertEqual(try Data(contentsOf: URL(fileURLWithPath: aside.folder).appendingPathComponent("store.db")), damaged)
        XCTAssertFalse(FileManager.default.fileExists(atPath: folder.path))
        let anew = try await world.blank("ada")
        let account = try await anew.account()
        XCTAssertNil(account)
        try await anew.close()
    }

    func testAStoreWhoseKeyWasDiscardedIsSetAsideWithWhatIsLeftOfTheKey() async throws {
        try await world.client("ada").close()
        let folder = world.folder.appendingPathComponent("ada").path
        let vault = FaultyVault(world.vault("ada"))
        vault.set(.error(.UserNotAuthenticated), on: "unwrap")
        await assertFails(.vault, "vault.user_not_authenticated") {
            try await RcsealClient.setStoreAside(folder: folder, keyVault: vault)
        }
        vault.set(.error(.KeyInvalidated), on: "unwrap")
        let aside = try await RcsealClient.setStoreAside(folder: folder, keyVault: vault)
        XCTAssertTrue(aside.isKeyDiscarded)
        vault.set(.none)
        let anew = try await RcsealClient.open(world.config("ada"), keyVault: vault)
        let account = try await anew.account()
        XCTAssertNil(account)
        try await anew.close()
    }

    func testAKeyThatIsGoneIsNamedAndNothingNewTakesItsPlace() async throws {
        try await world.client("ada").close()
        let vault = FaultyVault(world.vault("ada"))
        vault.set(.error(.NotFound), on: "unwrap")
        await assertFails(.vault, "vault.not_found", retryable: false) {
            try await RcsealClient.open(self.world.config("ada"), keyVault: vault)
        }
        vault.set(.none)
        let again = try await RcsealClient.open(world.config("ada"), keyVault: vault)
        let account = try await again.account()
        XCTAssertNotNil(account)
        try await again.close()
    }

    func testHardwareThatDoesNotAnswerIsWorthAnotherTry() async throws {
        try await world.client("ada").close()
        let vault = FaultyVault(world.vault("ada"))
        vault.set(.error(.HardwareUnavailable), on: "unwrap")
        await assertFails(.vault, "vault.hardware_unavailable", retryable: true) {
            try await RcsealClient.open(self.world.config("ada"), keyVault: vault)
        }
    }

    func testASlowVaultIsWaitedFor() async throws {
        try await world.client("ada").close()
        let vault = FaultyVault(world.vault("ada"))
        vault.set(.hanging, on: "unwrap")
        let config = world.config("ada")
        let opening = Task { try await RcsealClient.open(config, keyVault: vault) }
        await until("the vault is asked") { vault.calls.contains("unwrap") }
        vault.set(.none)
        let client = try await opening.value
        let account = try await client.account()
        XCTAssertNotNil(account)
        try await client.close()
    }

    func testTheVaultIsNotAskedForEachMessage() async throws {
        let vault = FaultyVault(world.vault("ada"))
        let ada = try await RcsealClient.open(world.config("ada"), keyVault: vault)
        _ = try await ada.createAccount(NewAccount(origin: world.server, platform: .ios, displayName: "Ada"))
        let bert = try await world.client("bert")
        let contact = try await ada.addContact(bert.invitation(), name: "Bert")
        let conversation = try await ada.conversation(with: contact.id)
        let before = vault.calls.count
        for number in 0..<20 { try await conversation.send(text: "message \(number)") }
        XCTAssertEqual(vault.calls.count, before)
        try await ada.close()
        try await bert.close()
    }

    func testAnOlderCopyOfTheStoreIsRecognised() async throws {
        try await world.client("ada").close()
        let (store, copy) = (world.folder.appendingPathComponent("ada"), world.folder.appendingPathComponent("copy"))
        try FileManager.default.copyItem(at: store, to: copy)
        try await world.blank("ada").close()
        try FileManager.default.removeItem(at: store)
        try FileManager.default.copyItem(at: copy, to: store)
        let client = try await world.blank("ada")
        let state = try await client.securityState()
        XCTAssertTrue(state.wasRolledBack)
        try await client.close()
    }
}
