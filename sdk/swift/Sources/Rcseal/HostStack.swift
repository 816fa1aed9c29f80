import Foundation
import RcsealFFI

/// What an app's own RCS stack is.
public typealias HostStackConfig = RcsealFFI.HostStackConfig
/// What a stack made of a message.
public typealias StackOutcome = RcsealFFI.StackOutcome
/// What the stack is to answer its network.
public typealias StackAnswer = RcsealFFI.StackAnswer
/// What became of something that the stack received.
public typealias DecryptOutcome = RcsealFFI.DecryptOutcome
/// One message of the carrier.
public typealias PayloadPart = RcsealFFI.PayloadPart
/// A message for the app's stack: its parts are carried in their order.
public typealias EncryptedPayload = RcsealFFI.EncryptedPayload

/// An RCS stack of the app's, as ``RcsealClient/attachHostStack(_:stack:)`` is given it. It is called on threads of the library, up to 16 at
/// once, and may block until its network has answered, for 40 seconds at most. What it throws counts as no answer: the
/// message may have arrived. Its text goes no further.
public protocol RcsStack: AnyObject, Sendable {
    /// Sends one message of the carrier and answers what the network said.
    func sendEncryptedPayload(_ part: PayloadPart) throws -> StackOutcome
}

/// The end-to-end session with a contact, for messages that the app carries.
public final class SecureSession: Sendable {
    private let inner: RcsealFFI.SecureSession

    init(_ inner: RcsealFFI.SecureSession) { self.inner = inner }

    /// The contact's id.
    public func contactId() throws(RcsealError) -> String { try translated { try inner.contactId() } }

    /// Sends a message and answers what the stack is to carry. An error of kind ``RcsealError/Kind/send`` with a code `hand_over_...` says
    /// that it does not go by the carrier, and nothing was sent. Files go by ``Conversation/send(_:)``.
    public func encrypt(_ message: OutgoingMessage) async throws(RcsealError) -> EncryptedPayload {
        try await translated { try await inner.encrypt(message: message) }
    }

    /// What the stack made of a message: the worst of its parts. Refused, it goes by the relay at once.
    public func report(_ messageId: String, _ outcome: StackOutcome) async throws(RcsealError) {
        try await translated { try await inner.report(messageId: messageId, outcome: outcome) }
    }
}

// An account uses one of the two forms at a time: the app asks for what it carries (`useAppStack`, `getOrCreateSession`), or lends its stack
// (`attachHostStack`). Both give what the stack receives to `decrypt`.
extension RcsealClient {
    /// The user gives a contact a number, or takes it back. Nothing goes to a contact by a carrier before that.
    public func setContactNumber(_ contactId: String, _ number: String?) async throws(RcsealError) {
        try await translated { try await inner.setContactNumber(contactId: contactId, number: number) }
    }

    /// The app has a stack of its own, and asks for what it carries. Contacts are told of the number, end to end.
    public func useAppStack(_ config: HostStackConfig) async throws(RcsealError) {
        try await translated { try await inner.useAppStack(config: config) }
    }

    /// The app lends its stack: what goes by the carrier is handed to it while the client is connected. To be called after each opening.
    public func attachHostStack(_ config: HostStackConfig, stack: any Rcseal.RcsStack) async throws(RcsealError) {
        try await translated { try await inner.attachHostStack(config: config, stack: StackAdapter(stack)) }
    }

    /// The app's stack is gone for good: contacts are told that nothing comes here by a carrier any more.
    public func leaveCarrier() async throws(RcsealError) { try await translated { try await inner.leaveCarrier() } }

    /// The session with a contact. Its messages go by the carrier from now on where they can. A contact that was never heard is written to by
    /// ``Conversation/send(_:)`` first.
    public func getOrCreateSession(with contactId: String) async throws(RcsealError) -> SecureSession {
        SecureSession(try await translated { try await inner.getOrCreateSession(contactId: contactId) })
    }

    /// Takes in what the app's stack received. It is durable when this returns; after an error tell the network "later" (503).
    /// `isAsserted` says that the network vouches for the number.
    public func decrypt(
        from number: String?, isAsserted: Bool, contentType: String, contentEncoding: String?, body: Data
    ) async throws(RcsealError) -> DecryptOutcome {
        try await translated {
            try await inner.decrypt(
                fromNumber: number, isAsserted: isAsserted, contentType: contentType, contentEncoding: contentEncoding, body: body)
        }
    }
}

/// An app's stack as the generated code calls it.
private final class StackAdapter: RcsealFFI.RcsStack {
    private let stack: any Rcseal.RcsStack

    init(_ stack: any Rcseal.RcsStack) { self.stack = stack }

    func sendEncryptedPayload(part: PayloadPart) throws -> StackOutcome {
        do { return try stack.sendEncryptedPayload(part) } catch { throw StackError.Failed(reason: "the app's stack threw") }
    }
}
