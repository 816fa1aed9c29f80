import Foundation
import RcsealFFI

/// What opens a backup. Not to be logged.
public typealias BackupSecret = RcsealFFI.BackupSecret
/// What was written.
public typealias BackupSummary = RcsealFFI.BackupSummary
/// What a backup says of itself without a secret.
public typealias BackupInfo = RcsealFFI.BackupInfo
/// What a restoration made of this device.
public typealias RestoreOutcome = RcsealFFI.RestoreOutcome

extension BackupSecret {
    /// A new secret, to be written down: 24 symbols in groups of four.
    public static func generate() throws(RcsealError) -> BackupSecret {
        .generated(text: try translated { try generateBackupSecret() })
    }
}

extension BackupInfo {
    /// What the backup in a file says of itself. Nothing of it is authentic.
    public static func inspect(_ file: URL) async throws(RcsealError) -> BackupInfo {
        try await translated { try await inspectBackup(path: file.path) }
    }
}

extension RcsealClient {
    /// Writes a backup. A file of that name is replaced, and only by a whole one.
    public func createBackup(
        to file: URL, secret: BackupSecret, progress: (@Sendable (_ done: UInt64, _ total: UInt64) -> Void)? = nil
    ) async throws(RcsealError) -> BackupSummary {
        try await translated {
            try await inner.createBackup(path: file.path, secret: secret, progress: progress.map(Progress.init))
        }
    }

    /// Restores a backup. On a client without an account one with the account key makes this device the account's new and only one; on a
    /// client with an account and without messages contacts and history come into it.
    public func restoreBackup(
        from file: URL, secret: BackupSecret, platform: Platform,
        progress: (@Sendable (_ done: UInt64, _ total: UInt64) -> Void)? = nil
    ) async throws(RcsealError) -> RestoreOutcome {
        try await translated {
            try await inner.restoreBackup(
                path: file.path, secret: secret, platform: platform, progress: progress.map(Progress.init))
        }
    }

    /// Deletes the account at its server and then everything on this device; on the primary device only. Closes the client.
    public func deleteAccount() async throws(RcsealError) { try await translated { try await inner.deleteAccount() } }

    /// Erases everything on this device and tells nobody. Closes the client.
    public func erase() async throws(RcsealError) { try await translated { try await inner.erase() } }
}
