import Foundation
import RcsealFFI

/// The conversation with one contact.
public final class Conversation: Sendable {
    let inner: RcsealFFI.Conversation

    init(_ inner: RcsealFFI.Conversation) { self.inner = inner }

    /// Its id.
    public func id() throws(RcsealError) -> String { try translated { try inner.id() } }

    /// Whom it is with.
    public func contactId() throws(RcsealError) -> String { try translated { try inner.contactId() } }

    /// A page of messages, newest first. The next page begins before the order of the last one of this.
    public func messages(before order: UInt64? = nil, limit: UInt32 = 50) async throws(RcsealError) -> [Message] {
        try await translated { try await inner.messages(beforeOrder: order, limit: limit) }
    }

    /// One message, by who wrote it and its id.
    public func message(from senderId: String, id: String) async throws(RcsealError) -> Message? {
        try await translated { try await inner.message(senderId: senderId, messageId: id) }
    }

    /// Sends. Answers when the message is in the store and nothing that happens to the app can lose it; how far it comes is observed.
    @discardableResult
    public func send(_ message: OutgoingMessage) async throws(RcsealError) -> MessageReceipt {
        try await translated { try await inner.send(message: message) }
    }

    /// Sends words.
    @discardableResult
    public func send(text: String, replyTo: String? = nil) async throws(RcsealError) -> MessageReceipt {
        try await send(.text(text: text, replyTo: replyTo))
    }

    /// Sends a file, and tells how many of its bytes have gone.
    @discardableResult
    public func send(
        file: URL, caption: String = "", progress: (@Sendable (_ done: UInt64, _ total: UInt64) -> Void)? = nil
    ) async throws(RcsealError) -> MessageReceipt {
        let message = OutgoingMessage.media(path: file.path, caption: caption)
        guard let progress else { return try await send(message) }
        return try await translated { try await inner.sendWithProgress(message: message, progress: Progress(progress)) }
    }

    /// The user has seen everything up to this message.
    public func markRead(upTo order: UInt64) async throws(RcsealError) {
        try await translated { try await inner.markRead(upToOrder: order) }
    }

    /// The user is typing, or has stopped.
    public func setTyping(_ isTyping: Bool) async throws(RcsealError) {
        try await translated { try await inner.setTyping(isTyping: isTyping) }
    }

    /// Who can read what is sent now, and why.
    public func security() async throws(RcsealError) -> ConversationSecurity {
        try await translated { try await inner.security() }
    }

    /// This conversation's own fallback policy.
    public func fallbackPolicy() async throws(RcsealError) -> FallbackPolicy? {
        try await translated { try await inner.fallbackPolicy() }
    }

    /// Sets it, or takes it back.
    public func setFallbackPolicy(_ policy: FallbackPolicy?) async throws(RcsealError) {
        try await translated { try await inner.setFallbackPolicy(policy: policy) }
    }

    /// The user has agreed that messages go in a mode that others can read.
    public func giveConsent(to mode: DeliveryMode, until expiry: Date) async throws(RcsealError) {
        let milliseconds = UInt64(max(0, expiry.timeIntervalSince1970 * 1000))
        try await translated { try await inner.giveConsent(mode: mode, expiresAtMs: milliseconds) }
    }

    /// The user has seen that messages go in this mode and no longer end to end.
    public func acknowledgeDowngrade(to mode: DeliveryMode) async throws(RcsealError) {
        try await translated { try await inner.acknowledgeDowngrade(mode: mode) }
    }

    /// From now on only end to end again.
    public func restoreEndToEnd() async throws(RcsealError) { try await translated { try await inner.restoreEndToEnd() } }

    /// Fetches a file of a message, decrypts it, and writes it to a file that is not there yet.
    public func fetchEncryptedBlob(
        of message: Message, part: MediaPart = .file, to file: URL,
        progress: (@Sendable (_ done: UInt64, _ total: UInt64) -> Void)? = nil
    ) async throws(RcsealError) {
        try await translated {
            try await inner.fetchEncryptedBlob(
                senderId: message.senderId, messageId: message.id, part: part, path: file.path,
                progress: progress.map(Progress.init)
            )
        }
    }

    /// The safety number with the contact.
    public func safetyNumber() async throws(RcsealError) -> SafetyNumber {
        SafetyNumber(try await translated { try await inner.safetyNumber() })
    }
}

/// What two people compare, as it was when it was asked for.
public final class SafetyNumber: Sendable {
    let inner: RcsealFFI.SafetyNumber

    init(_ inner: RcsealFFI.SafetyNumber) { self.inner = inner }

    /// Sixty digits in groups of five, the same on both sides.
    public func numeric() throws(RcsealError) -> String { try translated { try inner.numeric() } }

    /// What the QR code on this side holds, for the other side to scan.
    public func qrPayload() throws(RcsealError) -> String { try translated { try inner.qrPayload() } }

    /// The user has scanned the contact's code. The contact is verified when this does not throw.
    public func verify(scan: String) async throws(RcsealError) { try await translated { try await inner.verify(scan: scan) } }

    /// The user has compared these digits with the contact's, and they are the same.
    public func verify(digits: String) async throws(RcsealError) {
        try await translated { try await inner.verifyDigits(digits: digits) }
    }
}

/// A device that shows its code and waits to be linked.
public final class LinkRequest: Sendable {
    let inner: RcsealFFI.LinkRequest

    init(_ inner: RcsealFFI.LinkRequest) { self.inner = inner }

    /// What to show the primary device. Whoever reads it can link this device, so it is shown to nobody else.
    public func text() throws(RcsealError) -> String { try translated { try inner.text() } }

    /// Waits for the primary device, and becomes part of its account. May be called once.
    public func finish() async throws(RcsealError) { try await translated { try await inner.finish() } }
}
