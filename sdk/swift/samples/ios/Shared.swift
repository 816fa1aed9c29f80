import Foundation
import Rcseal

/// What app and extension share: where the store is, whom it trusts, who keeps its key.
enum Shared {
    static let appGroup = "group.org.example.chat"
    static let keychainGroup = "TEAMID.org.example.chat"
    static let server = "https://relay.example.org"

    static var keyVault: any KeyVault { SecureEnclaveKeyVault(accessGroup: keychainGroup) }

    /// The store's folder, which no backup of the system takes along.
    static func config() throws -> ClientConfig {
        guard var folder = FileManager.default.containerURL(forSecurityApplicationGroupIdentifier: appGroup)?
            .appendingPathComponent("rcseal", isDirectory: true),
            let authority = Bundle.main.url(forResource: "authority", withExtension: "pem")
        else { throw CocoaError(.fileNoSuchFile) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        var values = URLResourceValues()
        values.isExcludedFromBackup = true
        try folder.setResourceValues(values)
        return ClientConfig(folder: folder.path, authoritiesPem: try String(contentsOf: authority, encoding: .utf8))
    }
}
