import Foundation
import XCTest

import Rcseal

/// An RCS stack of the app's own; the carrier between two phones is a call.
final class HandOverTests: XCTestCase {
    private static let adasNumber = "+15552010001"
    private static let bertsNumber = "+15552010002"
    private var world: World!

    override func setUp() async throws { world = try World() }
    override func tearDown() async throws { world.remove() }

    func testAMessageThatTheAppCarriesArrivesEndToEnd() async throws {
        let (ada, bert) = try await acquainted()
        try await ada.client.useAppStack(Self.config(Self.adasNumber))
        try await bert.client.useAppStack(Self.config(Self.bertsNumber))
        let session = try await ada.client.getOrCreateSession(with: ada.contactId)
        XCTAssertEqual(try session.contactId(), ada.contactId)
        // Bert's app has to have said, end to end, that it has a stack.
        var found: EncryptedPayload?
        await until("a way by the carrier") {
            do throws(RcsealError) {
                found = try await session.encrypt(.text(text: "by the carrier", replyTo: nil))
                return true
            } catch {
                XCTAssertTrue(error.code.hasPrefix("hand_over_"), error.code)
                return false
            }
        }
        let payload = try XCTUnwrap(found)
        XCTAssertEqual(payload.number, Self.bertsNumber)
        for part in payload.parts {
            XCTAssertNil(part.body.range(of: Data("by the carrier".utf8)))
            let outcome = try await bert.client.decrypt(
                from: Self.adasNumber, isAsserted: true, contentType: part.contentType, contentEncoding: part.contentEncoding, body: part.body)
            XCTAssertEqual(outcome.answer, .accepted, outcome.code)
        }
        try await session.report(payload.messageId, .taken)
        await bert.hears("by the carrier")
        let heard = try await XCTUnwrapAsync(await bert.message(payload.messageId))
        XCTAssertEqual(heard.mode, .native)
        XCTAssertTrue(heard.isEndToEnd)
        try await ada.client.leaveCarrier()
        try await close(ada, bert)
    }

    func testAStackThatIsLentCarriesWhatIsSentAndOneThatThrowsLosesNothing() async throws {
        let (ada, bert) = try await acquainted()
        let carrier = Carrier(to: bert.client, from: Self.adasNumber)
        try await ada.client.attachHostStack(Self.config(Self.adasNumber), stack: carrier)
        try await bert.client.attachHostStack(Self.config(Self.bertsNumber), stack: Carrier(to: ada.client, from: Self.bertsNumber))
        _ = try await ada.client.getOrCreateSession(with: ada.contactId)
        await until("the carrier is the way") { try await ada.conversation.security().mode == .native }
        let receipt = try await ada.conversation.send(text: "through the stack")
        await bert.hears("through the stack")
        let heard = try await XCTUnwrapAsync(await bert.message(receipt.messageId))
        XCTAssertEqual(heard.mode, .native)
        XCTAssertGreaterThan(carrier.carried, 0)
        carrier.breakDown()
        try await ada.conversation.send(text: "the stack is broken")
        await bert.hears("the stack is broken")
        try await close(ada, bert)
    }

    func testWhatIsNoMessageOfOursIsAnsweredByWhatItIs() async throws {
        let ada = try await world.client("ada")
        try await ada.useAppStack(Self.config(Self.adasNumber))
        let unknown = try await ada.decrypt(
            from: Self.bertsNumber, isAsserted: true, contentType: "application/x-other", contentEncoding: nil, body: Data([1, 2]))
        XCTAssertEqual(unknown.answer, .unsupportedMedia)
        await assertFails(.invalidArgument, "argument_malformed", retryable: false) {
            try await ada.decrypt(from: "nobody", isAsserted: true, contentType: "", contentEncoding: nil, body: Data())
        }
        try await ada.close()
    }

    private static func config(_ number: String) -> HostStackConfig {
        HostStackConfig(number: number, isBinarySafe: true, bodyLenMax: 1_300, partsMax: 16)
    }

    /// Two that have written to each other and know each other's numbers.
    private func acquainted() async throws -> (ada: Side, bert: Side) {
        let (ada, bert) = try await world.pair()
        try await bert.conversation.send(text: "hello to you")
        await ada.hears("hello to you")
        try await ada.client.setContactNumber(ada.contactId, Self.bertsNumber)
        try await bert.client.setContactNumber(bert.contactId, Self.adasNumber)
        return (ada, bert)
    }

    private func close(_ sides: Side...) async throws {
        for side in sides { try await side.client.close() }
    }
}

/// A carrier that hands what it is given to the other phone, and answers when that has taken it in.
private final class Carrier: RcsStack, @unchecked Sendable {
    struct Broken: Error { let secret = "the secret is 12345" }

    private let receiver: RcsealClient
    private let sender: String
    private let lock = NSLock()
    // Read and written with the lock held.
    private var count = 0
    private var isBroken = false

    init(to receiver: RcsealClient, from sender: String) {
        self.receiver = receiver
        self.sender = sender
    }

    /// How many parts it has carried.
    var carried: Int { lock.withLock { count } }

    func breakDown() { lock.withLock { isBroken = true } }

    func sendEncryptedPayload(_ part: PayloadPart) throws -> StackOutcome {
        if lock.withLock({ isBroken }) { throw Broken() }
        // The call blocks a thread of the library, which is there for that.
        let done = DispatchSemaphore(value: 0)
        let (receiver, sender) = (receiver, sender)
        Task.detached {
            _ = try? await receiver.decrypt(
                from: sender, isAsserted: true, contentType: part.contentType, contentEncoding: part.contentEncoding, body: part.body)
            done.signal()
        }
        done.wait()
        lock.withLock { count += 1 }
        return .taken
    }
}
