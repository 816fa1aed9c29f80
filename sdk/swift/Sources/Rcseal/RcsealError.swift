import Foundation
import RcsealFFI

/// Why a call did not do what it was asked for. The one error that calls of this module throw.
///
/// Decide by ``kind`` and ``code``; never by ``reason``, which is for developers and may change. None of them holds content, ids, numbers,
/// names or keys, so an error may be logged as it is.
public struct RcsealError: LocalizedError, Hashable, Sendable {
    /// Whose matter an error is.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// The store on this device.
        case store
        /// The key vault.
        case vault
        /// The network, or a server that refused.
        case network
        /// This account and its devices.
        case account
        /// A contact, or a comparison of safety numbers.
        case contact
        /// A message that was not sent.
        case send
        /// A file that was not sent, fetched or written.
        case media
        /// What may be sent how: a refusal of the delivery policy, a consent, a downgrade.
        case policy
        /// A backup.
        case backup
        /// Push registrations and wake-ups.
        case push
        /// The client was closed.
        case closed
        /// An argument cannot be read.
        case invalidArgument
        /// Something that should not happen: please report it with its code.
        case `internal`
    }

    /// Whose matter it is.
    public let kind: Kind
    /// What happened: stable, documented, and what logs and metrics should name.
    public let code: String
    /// Whether the same call may succeed later without anybody changing anything.
    public let retryable: Bool
    /// What happened, in words for developers.
    public let reason: String

    /// The code and the reason. What a user should read comes from the catalogue of words.
    public var errorDescription: String? { "\(code): \(reason)" }

    /// What the library threw, or anything else that came out of a call.
    init(_ error: any Error) {
        guard let error = error as? RcsealFFI.RcsealError else {
            // Only the generated layer's own errors come here: a library of another version, or a panic that it caught.
            self.init(.internal, ("sdk.foreign", false, "the library and this layer do not understand each other"))
            return
        }
        switch error {
        case .Store(let code, let retryable, let reason): self.init(.store, (code, retryable, reason))
        case .Vault(let code, let retryable, let reason): self.init(.vault, (code, retryable, reason))
        case .Network(let code, let retryable, let reason): self.init(.network, (code, retryable, reason))
        case .Account(let code, let retryable, let reason): self.init(.account, (code, retryable, reason))
        case .Contact(let code, let retryable, let reason): self.init(.contact, (code, retryable, reason))
        case .Send(let code, let retryable, let reason): self.init(.send, (code, retryable, reason))
        case .Media(let code, let retryable, let reason): self.init(.media, (code, retryable, reason))
        case .Policy(let code, let retryable, let reason): self.init(.policy, (code, retryable, reason))
        case .Backup(let code, let retryable, let reason): self.init(.backup, (code, retryable, reason))
        case .Push(let code, let retryable, let reason): self.init(.push, (code, retryable, reason))
        case .Closed(let code, let retryable, let reason): self.init(.closed, (code, retryable, reason))
        case .InvalidArgument(let code, let retryable, let reason): self.init(.invalidArgument, (code, retryable, reason))
        case .Internal(let code, let retryable, let reason): self.init(.internal, (code, retryable, reason))
        }
    }

    private init(_ kind: Kind, _ what: (code: String, retryable: Bool, reason: String)) {
        self.kind = kind
        code = what.code
        retryable = what.retryable
        reason = what.reason
    }
}

/// Runs a call of the library and throws what it throws as the error of this module.
func translated<T>(_ call: () async throws -> T) async throws(RcsealError) -> T {
    do { return try await call() } catch { throw RcsealError(error) }
}

/// The same for calls that do not wait.
func translated<T>(_ call: () throws -> T) throws(RcsealError) -> T {
    do { return try call() } catch { throw RcsealError(error) }
}
