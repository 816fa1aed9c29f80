import Foundation
import RcsealFFI

/// Hands what a listener hears to a loop, one thing at a time.
///
/// The listener runs on a thread of the library and holds nobody up but itself. It returns only when the loop asks for the next thing, so that
/// the library forgets an event after the loop has dealt with it and not before: what an app was killed in the middle of comes again.
final class Handover<Element: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()
    // All below is read and written with the condition locked.
    private var offered: Element?
    private var isBeingUsed = false
    private var isOver = false
    private var waiting: CheckedContinuation<Element?, Never>?
    private var subscription: Subscription?

    /// Offers an element and waits until the loop has dealt with it. Called by the listener.
    func push(_ element: Element) {
        condition.lock()
        defer { condition.unlock() }
        guard !isOver else { return }
        if let loop = waiting {
            waiting = nil
            isBeingUsed = true
            loop.resume(returning: element)
        } else {
            offered = element
        }
        while !isOver && (offered != nil || isBeingUsed) { condition.wait() }
    }

    /// What ends the listening when the loop ends.
    func end(with subscription: Subscription) {
        condition.lock()
        let isLate = isOver
        if !isLate { self.subscription = subscription }
        condition.unlock()
        if isLate { try? subscription.cancel() }
    }

    /// The next element; nothing when it is over.
    func next() async -> Element? {
        await withCheckedContinuation { ask($0) }
    }

    private func ask(_ loop: CheckedContinuation<Element?, Never>) {
        condition.lock()
        defer { condition.unlock() }
        isBeingUsed = false
        if isOver {
            loop.resume(returning: nil)
        } else if let element = offered {
            offered = nil
            isBeingUsed = true
            loop.resume(returning: element)
        } else {
            // One loop at a time, as with every `AsyncStream`: an earlier one that still waits ends.
            waiting?.resume(returning: nil)
            waiting = loop
        }
        condition.broadcast()
    }

    /// The loop has ended.
    func finish() {
        condition.lock()
        isOver = true
        offered = nil
        waiting?.resume(returning: nil)
        waiting = nil
        let last = subscription
        subscription = nil
        condition.broadcast()
        condition.unlock()
        try? last?.cancel()
    }

    /// The stream whose loop this serves. It ends when its task is cancelled, and when nobody holds the stream any more.
    static func stream(_ subscribe: (Handover) throws -> Subscription) throws(RcsealError) -> AsyncStream<Element> {
        let handover = Handover()
        handover.end(with: try translated { try subscribe(handover) })
        let loop = Loop(handover: handover)
        return AsyncStream(unfolding: { await loop.handover.next() }, onCancel: { handover.finish() })
    }

    /// Held by the stream alone.
    private final class Loop: Sendable {
        let handover: Handover
        init(handover: Handover) { self.handover = handover }
        deinit { handover.finish() }
    }
}

final class Messages: MessageListener {
    let handover: Handover<MessageUpdate>
    init(_ handover: Handover<MessageUpdate>) { self.handover = handover }
    func onMessage(change: MessageChange, message: Message) throws {
        handover.push(MessageUpdate(isNew: change == .received, message: message))
    }
}

final class Events: EventListener {
    let handover: Handover<ClientEvent>
    init(_ handover: Handover<ClientEvent>) { self.handover = handover }
    func onEvent(event: ClientEvent) throws { handover.push(event) }
}

final class Connections: ConnectionListener {
    let handover: Handover<ConnectionState>
    init(_ handover: Handover<ConnectionState>) { self.handover = handover }
    func onConnection(state: ConnectionState) throws { handover.push(state) }
}

final class Progress: ProgressListener {
    let report: @Sendable (UInt64, UInt64) -> Void
    init(_ report: @escaping @Sendable (UInt64, UInt64) -> Void) { self.report = report }
    func onProgress(done: UInt64, total: UInt64) throws { report(done, total) }
}
