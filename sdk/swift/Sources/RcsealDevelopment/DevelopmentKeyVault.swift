import Foundation
import Rcseal

/// A key vault for development machines: a file that holds the keys as they are, readable by its owner alone.
///
/// It protects nothing against whoever reads the file, says so (``KeyProtection/software``), and belongs into no app: there
/// `SecureEnclaveKeyVault` goes. "Wrapped" is the number of an entry of the file.
public final class DevelopmentKeyVault: KeyVault, @unchecked Sendable {
    private struct Entry: Codable {
        var generation: UInt64 = 0
        var dataKeys: [Data] = []
    }

    private let file: URL
    // The file is read and written with this lock held.
    private let lock = NSLock()

    /// A vault in this file, which is made when it is needed.
    public init(file: URL) { self.file = file }

    /// Creates the entry of an alias, generation 0.
    public func createWrappingKey(alias: String) throws {
        try change { entries in
            guard entries[alias] == nil else { throw VaultError.AlreadyExists }
            entries[alias] = Entry()
        }
    }

    /// Whether the alias has an entry.
    public func hasWrappingKey(alias: String) throws -> Bool {
        try lock.withLock { try entries()[alias] != nil }
    }

    /// Keeps a data key and answers its number.
    public func wrap(alias: String, dataKey: Data) throws -> Data {
        try changeEntry(alias) { entry in
            entry.dataKeys.append(dataKey)
            return Data(String(entry.dataKeys.count - 1).utf8)
        }
    }

    /// The data key of a number.
    public func unwrap(alias: String, wrapped: Data) throws -> Data {
        let entry = try entry(alias)
        guard let index = Int(String(decoding: wrapped, as: UTF8.self)), entry.dataKeys.indices.contains(index) else {
            throw VaultError.Unexpected(reason: "no such data key")
        }
        return entry.dataKeys[index]
    }

    /// Deletes the entry.
    public func delete(alias: String) throws { try change { $0[alias] = nil } }

    /// Software.
    public func protection() throws -> KeyProtection { .software }

    /// The generation number of an alias.
    public func generation(alias: String) throws -> UInt64 { try entry(alias).generation }

    /// Adds one to it.
    public func bumpGeneration(alias: String) throws -> UInt64 {
        try changeEntry(alias) { entry in
            entry.generation += 1
            return entry.generation
        }
    }

    private func entry(_ alias: String) throws -> Entry {
        guard let entry = try lock.withLock({ try entries()[alias] }) else { throw VaultError.NotFound }
        return entry
    }

    private func changeEntry<T>(_ alias: String, _ change: (inout Entry) -> T) throws -> T {
        try self.change { entries in
            guard var entry = entries[alias] else { throw VaultError.NotFound }
            let answer = change(&entry)
            entries[alias] = entry
            return answer
        }
    }

    private func change<T>(_ change: (inout [String: Entry]) throws -> T) throws -> T {
        try lock.withLock {
            var entries = try entries()
            let answer = try change(&entries)
            try JSONEncoder().encode(entries).write(to: file, options: .atomic)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
            return answer
        }
    }

    private func entries() throws -> [String: Entry] {
        guard FileManager.default.fileExists(atPath: file.path) else { return [:] }
        return try JSONDecoder().decode([String: Entry].self, from: Data(contentsOf: file))
    }
}
