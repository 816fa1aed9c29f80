import Foundation
import XCTest

import Rcseal

/// A notification service extension without an iPhone.
final class WakeUpTests: XCTestCase {
    private final class Shown: @unchecked Sendable {
        private let lock = NSLock()
        private var texts: [NotificationText] = []
        func add(_ text: NotificationText) { lock.withLock { texts.append(text) } }
        var all: [NotificationText] { lock.withLock { texts } }
    }

    private static func outcome(_ notifications: [PushNotification], pending: String? = nil) -> PushOutcome {
        PushOutcome(
            notifications: notifications, pendingWordsKey: pending, received: UInt32(notifications.count), isComplete: pending == nil)
    }

    func testWhatCameIsShownInWordsAndOpensItsConversation() async throws {
        let shown = Shown()
        let message = PushNotification(conversationId: "c", kind: .message, count: 1, wordsKey: "notification.message")
        await WakeUp(language: "de") { shown.add($0) }.run(payload: "{}", deadline: .seconds(1)) { _, _ in Self.outcome([message]) }
        let words = try Words.of("notification.message", language: "de")
        XCTAssertEqual(shown.all, [NotificationText(title: words.title, body: words.body, conversationId: "c")])
    }

    func testALockedVaultAsksForAnUnlock() async throws {
        let (shown, world) = (Shown(), try World())
        defer { world.remove() }
        let vault = FaultyVault(world.vault("ada"))
        vault.set(.error(.UserNotAuthenticated))
        await WakeUp(language: "en") { shown.add($0) }.run(payload: "{}", deadline: .seconds(5)) { payload, deadline in
            try await RcsealClient.processPushInExtension(world.config("ada"), keyVault: vault, payload: payload, deadline: deadline)
        }
        XCTAssertEqual(shown.all.map(\.title), [try Words.of("notification.unlock", language: "en").title])
    }

    func testTimeThatIsOverShowsSomethingOnceAndWhatComesLaterNothing() async throws {
        let shown = Shown()
        let wakeUp = WakeUp(language: "en") { shown.add($0) }
        await wakeUp.run(payload: "{}", deadline: .seconds(1)) { _, _ in
            wakeUp.timeIsOver()
            return Self.outcome([])
        }
        wakeUp.timeIsOver()
        XCTAssertEqual(shown.all.map(\.title), [try Words.of("notification.pending", language: "en").title])
    }

    func testWhatGoesWrongShowsThatThereMayBeSomething() async throws {
        struct Trouble: Error {}
        let shown = Shown()
        await WakeUp(language: "en") { shown.add($0) }.run(payload: "{}", deadline: .seconds(1)) { _, _ in throw Trouble() }
        XCTAssertEqual(shown.all.map(\.title), [try Words.of("notification.pending", language: "en").title])
    }
}
