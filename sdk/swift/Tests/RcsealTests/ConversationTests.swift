import Foundation
import XCTest

import Rcseal

/// Two people and what they send each other.
final class ConversationTests: XCTestCase {
    private var world: World!

    override func setUp() async throws { world = try World() }
    override func tearDown() async throws { world.remove() }

    func testTextsGoBothWaysAndReceiptsComeBack() async throws {
        let (ada, bert) = try await world.pair()
        let receipt = try await bert.conversation.send(text: "good evening")
        XCTAssertEqual(receipt.mode, .relayed)
        await ada.hears("good evening")
        let heard = try await XCTUnwrapAsync(await ada.message(receipt.messageId))
        XCTAssertTrue(heard.isEndToEnd)
        XCTAssertEqual(heard.readers, [.participants])
        await until("delivered") { try await bert.message(receipt.messageId)?.state == .delivered }
        try await ada.conversation.markRead(upTo: heard.order)
        await until("read") { try await bert.message(receipt.messageId)?.state == .read }
        let list = try await ada.client.conversations()
        XCTAssertEqual(list.map(\.title), ["Bert"])
        XCTAssertEqual(list.first?.unreadCount, 0)
        XCTAssertEqual(list.first?.padlock, .endToEnd)
        try await close(ada, bert)
    }

    func testAPhotoArrivesAsItWasSent() async throws {
        let (ada, bert) = try await world.pair()
        let photo = Data((0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        let file = try world.write("photo.jpg", photo)
        let receipt = try await ada.conversation.send(file: file, caption: "look") { _, _ in }
        await bert.hears("look")
        let message = try await XCTUnwrapAsync(await bert.message(receipt.messageId))
        XCTAssertEqual(message.kind, .media)
        XCTAssertEqual(message.media?.fileName, "photo.jpg")
        let copy = world.folder.appendingPathComponent("copy.jpg")
        try await bert.conversation.fetchEncryptedBlob(of: message, to: copy)
        XCTAssertEqual(try Data(contentsOf: copy), photo)
        try await close(ada, bert)
    }

    func testReactionsEditsAndDeletionsShowOnTheMessage() async throws {
        let (ada, bert) = try await world.pair()
        let receipt = try await ada.conversation.send(text: "helo")
        await bert.hears("helo")
        try await bert.conversation.send(.reaction(messageId: receipt.messageId, emoji: "👍", isRemoved: false))
        await until("the reaction") { try await ada.message(receipt.messageId)?.reactions.map(\.emoji) == ["👍"] }
        try await ada.conversation.send(.edit(messageId: receipt.messageId, text: "hello again"))
        await until("the edit") { try await bert.message(receipt.messageId)?.text == "hello again" }
        try await ada.conversation.send(.delete(messageId: receipt.messageId))
        await until("the deletion") { try await bert.message(receipt.messageId)?.kind == .deleted }
        try await close(ada, bert)
    }

    func testScanningEachOthersCodeVerifies() async throws {
        let (ada, bert) = try await world.pair()
        await until("Bert has Ada's keys") { try await bert.client.contact(bert.contactId).hasKeys }
        let (adas, berts) = (try await ada.conversation.safetyNumber(), try await bert.conversation.safetyNumber())
        XCTAssertEqual(try adas.numeric(), try berts.numeric())
        await assertFails(.contact) { try await adas.verify(scan: "not a code") }
        try await adas.verify(scan: berts.qrPayload())
        try await berts.verify(scan: adas.qrPayload())
        for side in [ada, bert] {
            let contact = try await side.client.contact(side.contactId)
            XCTAssertEqual(contact.verification, .verified)
            let security = try await side.conversation.security()
            XCTAssertEqual(security.padlock, .verified)
        }
        try await close(ada, bert)
    }

    func testABlockedContactIsNotWrittenTo() async throws {
        let (ada, bert) = try await world.pair()
        try await ada.client.blockContact(ada.contactId)
        do {
            let receipt = try await ada.conversation.send(text: "no")
            XCTAssertEqual(receipt.state, .failed)
        } catch {
            XCTAssertFalse(error.retryable, error.code)
        }
        try await close(ada, bert)
    }

    func testACancelledCallLeavesTheStoreWhole() async throws {
        let (ada, bert) = try await world.pair()
        let tasks = (0..<8).map { number in
            Task { try await ada.conversation.send(text: "number \(number)") }
        }
        tasks.forEach { $0.cancel() }
        for task in tasks { _ = try? await task.value }
        for number in 0..<8 { await bert.hears("number \(number)") }
        try await ada.conversation.send(text: "and on")
        await bert.hears("and on")
        try await close(ada, bert)
    }

    func testACodeThatIsSomebodyElsesVerifiesNobody() async throws {
        let (ada, bert) = try await world.pair()
        let carol = try await world.client("carol")
        let toCarol = try await ada.client.addContact(carol.invitation(), name: "Carol")
        var others: SafetyNumber?
        await until("keys of Carol") {
            others = try await ada.client.safetyNumber(with: toCarol.id)
            return true
        }
        let number = try await ada.conversation.safetyNumber()
        let carols = try XCTUnwrap(others)
        await assertFails(.contact, retryable: false) { try await number.verify(scan: carols.qrPayload()) }
        let before = try await ada.client.contact(ada.contactId)
        XCTAssertEqual(before.verification, .unverified)
        try await number.verify(digits: number.numeric())
        let after = try await ada.client.contact(ada.contactId)
        XCTAssertEqual(after.verification, .verified)
        try await carol.close()
        try await close(ada, bert)
    }

    func testTheListHasTheNewestFirstAndHistoryComesPageByPage() async throws {
        let (ada, bert) = try await world.pair()
        let carol = try await world.client("carol")
        let toCarol = try await ada.client.addContact(carol.invitation(), name: "Carol")
        try await ada.client.conversation(with: toCarol.id).send(text: "to Carol")
        for number in 1...60 { try await ada.conversation.send(text: "\(number)") }
        let list = try await ada.client.conversations()
        XCTAssertEqual(list.map(\.title), ["Bert", "Carol"])
        XCTAssertEqual(list.first?.lastMessage?.text, "60")
        let rest = try await ada.client.conversations(after: list.first?.id)
        XCTAssertEqual(rest.map(\.title), ["Carol"])
        let one = try await ada.client.conversations(limit: 1)
        XCTAssertEqual(one.count, 1)
        var history: [String?] = []
        var before: UInt64?
        repeat {
            let page = try await ada.conversation.messages(before: before, limit: 25)
            history += page.map(\.text)
            before = page.last?.order
        } while before != nil
        XCTAssertEqual(history, (1...60).reversed().map { "\($0)" } + ["hello"])
        try await carol.close()
        try await close(ada, bert)
    }

    func testWhatIsNotEndToEndIsRefusedWithoutAPolicy() async throws {
        let (ada, bert) = try await world.pair()
        let none = try await ada.client.fallbackPolicy()
        XCTAssertNil(none)
        try await ada.client.setFallbackPolicy(.block)
        try await ada.conversation.setFallbackPolicy(.downgrade)
        let (everywhere, here) = (try await ada.client.fallbackPolicy(), try await ada.conversation.fallbackPolicy())
        XCTAssertEqual(everywhere, .block)
        XCTAssertEqual(here, .downgrade)
        let security = try await ada.conversation.security()
        XCTAssertTrue(security.isEndToEnd)
        XCTAssertEqual(security.readers, [.participants])
        try await ada.conversation.setFallbackPolicy(nil)
        let back = try await ada.conversation.fallbackPolicy()
        XCTAssertNil(back)
        try await close(ada, bert)
    }

    func testWhatWasWrittenWhileNobodyWasConnectedGoesWithOneSync() async throws {
        let (ada, bert) = (try await world.client("ada"), try await world.client("bert"))
        try await ada.disconnect()
        try await bert.disconnect()
        let contact = try await ada.addContact(bert.invitation(), name: "Bert")
        try await ada.conversation(with: contact.id).send(text: "from the train")
        let sent = try await ada.syncOnce()
        XCTAssertTrue(sent.isOutboxEmpty)
        let report = try await bert.syncOnce()
        XCTAssertGreaterThan(report.received, 0)
        let heard = try await bert.conversations()
        XCTAssertEqual(heard.first?.lastMessage?.text, "from the train")
        try await ada.close()
        try await bert.close()
    }

    func testAFileThatIsNotThereIsAnErrorOfMediaAndNothingIsSent() async throws {
        let (ada, bert) = try await world.pair()
        let nowhere = world.folder.appendingPathComponent("nowhere.jpg")
        await assertFails(.media) { try await ada.conversation.send(file: nowhere) }
        let messages = try await ada.conversation.messages()
        XCTAssertEqual(messages.map(\.text), ["hello"])
        try await close(ada, bert)
    }

    private func close(_ sides: Side...) async throws {
        for side in sides { try await side.client.close() }
    }
}
