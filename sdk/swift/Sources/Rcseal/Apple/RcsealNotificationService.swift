#if canImport(UserNotifications) && canImport(Security)
import Foundation
import UserNotifications

/// The base of an app's notification service extension: override ``settings`` and nothing else.
///
/// The extension is a process of its own with about 30 seconds and 24 MB. It shares the folder (an app group's container) and the key vault (an
/// access group) with the app. This file was not compiled on the machines that test this package; ``WakeUp``, which has the logic, was.
open class RcsealNotificationService: UNNotificationServiceExtension {
    /// What the extension works with.
    public struct Settings: Sendable {
        /// The configuration of the app's client: the same folder.
        public var config: ClientConfig
        /// The app's key vault.
        public var keyVault: any KeyVault

        /// The app's configuration and vault.
        public init(config: ClientConfig, keyVault: any KeyVault) {
            self.config = config
            self.keyVault = keyVault
        }
    }

    /// What the system may take back is half a minute; the work ends before.
    private static let deadline = Duration.seconds(20)
    private var wakeUp: WakeUp?

    /// The app's configuration and vault. Override it.
    open var settings: Settings? { nil }

    /// Takes the wake-up, does the work, and shows what came of it.
    open override func didReceive(_ request: UNNotificationRequest, withContentHandler handler: @escaping (UNNotificationContent) -> Void) {
        let content = (request.content.mutableCopy() as? UNMutableNotificationContent) ?? UNMutableNotificationContent()
        // The system calls back on any thread, once: `WakeUp` sees to that.
        nonisolated(unsafe) let (shown, give) = (content, handler)
        let wakeUp = WakeUp(language: Locale.preferredLanguages.first ?? "en") { text in
            shown.title = text.title
            shown.body = text.body
            if let conversation = text.conversationId { shown.userInfo["rcseal_conversation"] = conversation }
            give(shown)
        }
        self.wakeUp = wakeUp
        let wake = request.content.userInfo["rcseal"]
        guard let settings, let wake, JSONSerialization.isValidJSONObject(wake),
            let payload = try? JSONSerialization.data(withJSONObject: wake)
        else { return wakeUp.timeIsOver() }
        Task {
            await wakeUp.run(payload: String(decoding: payload, as: UTF8.self), deadline: Self.deadline) { payload, deadline in
                try await RcsealClient.processPushInExtension(
                    settings.config, keyVault: settings.keyVault, payload: payload, deadline: deadline)
            }
        }
    }

    /// Shows that there may be something.
    open override func serviceExtensionTimeWillExpire() { wakeUp?.timeIsOver() }
}
#endif
