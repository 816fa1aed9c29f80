import Foundation
import XCTest

import Rcseal

/// Streams of what happens.
final class ObservingTests: XCTestCase {
    private var world: World!

    override func setUp() async throws { world = try World() }
    override func tearDown() async throws { world.remove() }

    func testALoopHearsEveryMessageInOrder() async throws {
        let (ada, bert) = try await world.pair()
        let updates = try bert.client.observeMessages()
        for number in 0..<5 { try await ada.conversation.send(text: "number \(number)") }
        var heard: [String] = []
        for await update in updates where update.isNew && !update.message.isOutgoing {
            if let text = update.message.text, text.hasPrefix("number") { heard.append(text) }
            if heard.count == 5 { break }
        }
        XCTAssertEqual(heard, (0..<5).map { "number \($0)" })
        try await ada.client.close()
        try await bert.client.close()
    }

    func testALoopMayCallTheClientAndMayEndEarly() async throws {
        let (ada, bert) = try await world.pair()
        let updates = try bert.client.observeMessages()
        try await ada.conversation.send(text: "question")
        for await update in updates where update.isNew && update.message.text == "question" {
            try await bert.conversation.send(text: "answer")
            break
        }
        await ada.hears("answer")
        // Nobody listens any more; what comes is in the store all the same.
        try await ada.conversation.send(text: "one more")
        await bert.hears("one more")
        try await ada.client.close()
        try await bert.client.close()
    }

    func testALoopThatIsSlowHoldsUpNobodyElse() async throws {
        let (ada, bert) = try await world.pair()
        let slow = try bert.client.observeMessages()
        let fast = try bert.client.observeMessages()
        let hasBegun = expectation(description: "the slow loop has begun")
        let blocked = Task {
            for await _ in slow {
                hasBegun.fulfill()
                // As long as the task lives.
                try? await Task.sleep(nanoseconds: 3_600_000_000_000)
                break
            }
        }
        try await ada.conversation.send(text: "first")
        await fulfillment(of: [hasBegun], timeout: soon)
        try await ada.conversation.send(text: "second")
        for await update in fast where update.message.text == "second" { break }
        blocked.cancel()
        _ = await blocked.value
        try await ada.client.close()
        try await bert.client.close()
    }

    func testACancelledTaskEndsItsLoop() async throws {
        let client = try await world.blank("ada")
        let events = try client.observeEvents()
        let loop = Task { for await _ in events {} }
        loop.cancel()
        await loop.value
        try await client.close()
    }

    func testTheConnectionIsSeenToComeAndGo() async throws {
        let client = try await world.client("ada")
        let states = try client.observeConnection()
        for await state in states where state.status == .online { break }
        XCTAssertEqual(try client.connectionState().status, .online)
        try await client.disconnect()
        XCTAssertEqual(try client.connectionState().status, .stopped)
        try await client.close()
    }
}
