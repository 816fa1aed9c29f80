import Foundation
import RcsealFFI

/// What a notification says: words of the catalogue, and where the app goes when it is touched.
public struct NotificationText: Hashable, Sendable {
    /// A few words.
    public var title: String
    /// A sentence.
    public var body: String
    /// Which conversation it opens. Not shown.
    public var conversationId: String?

    /// A text.
    public init(title: String, body: String, conversationId: String?) {
        self.title = title
        self.body = body
        self.conversationId = conversationId
    }
}

/// One wake-up, from the payload to what is shown: the part of a notification service extension that needs no iPhone.
///
/// Whatever happens (the work is done, it fails, it is late, the system says that time is over), something is shown exactly once, and never
/// anything of content, sender or number.
public final class WakeUp: @unchecked Sendable {
    /// What does the work: ``RcsealClient/processPushInExtension(_:keyVault:payload:deadline:)`` in an extension.
    public typealias Process = @Sendable (_ payload: String, _ deadline: Duration) async throws -> PushOutcome

    private let language: String
    private let lock = NSLock()
    // Called once, and then gone. Read and written with the lock held.
    private var show: (@Sendable (NotificationText) -> Void)?

    /// A wake-up that is shown by this, in the language of this tag.
    public init(language: String, show: @escaping @Sendable (NotificationText) -> Void) {
        self.language = language
        self.show = show
    }

    /// Does the work and shows what came of it.
    public func run(payload: String, deadline: Duration, process: Process) async {
        do {
            let outcome = try await process(payload, deadline)
            let first = outcome.notifications.first
            finish(first?.wordsKey ?? outcome.pendingWordsKey ?? "notification.pending", first?.conversationId)
        } catch let error as RcsealError where error.kind == .vault && error.retryable {
            // Before the first unlock the key cannot be used: the user has to unlock for more.
            finish("notification.unlock", nil)
        } catch {
            finish("notification.pending", nil)
        }
    }

    /// The system says that time is over. What the work left is marked for the app.
    public func timeIsOver() { finish("notification.pending", nil) }

    private func finish(_ key: String, _ conversationId: String?) {
        let show = lock.withLock {
            defer { self.show = nil }
            return self.show
        }
        guard let show else { return }
        let words = try? Words.of(key, language: language)
        show(NotificationText(title: words?.title ?? "", body: words?.body ?? "", conversationId: conversationId))
    }
}
