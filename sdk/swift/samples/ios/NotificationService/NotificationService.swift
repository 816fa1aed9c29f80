import Rcseal

/// The extension: everything it does is in the package.
final class NotificationService: RcsealNotificationService {
    override var settings: Settings? {
        guard let config = try? Shared.config() else { return nil }
        return Settings(config: config, keyVault: Shared.keyVault)
    }
}
