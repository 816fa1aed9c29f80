import Foundation
import RcsealFFI

/// Small values under a name that survive the app and no backup brings back: on Apple's systems, items of the Keychain.
public protocol VaultItems: Sendable {
    /// The value, or nothing.
    func read(_ name: String) throws -> Data?
    /// A new value; throws ``VaultError/AlreadyExists`` where there is one.
    func add(_ name: String, _ value: Data) throws
    /// Another value in place of the one that is there; throws ``VaultError/NotFound`` where there is none.
    func update(_ name: String, _ value: Data) throws
    /// Takes the value away. Where there is none, nothing happens.
    func remove(_ name: String) throws
}

/// Keys that never leave where they are, and wrap and unwrap there: on Apple's systems, P-256 keys of the Secure Enclave.
public protocol WrappingKeys: Sendable {
    /// Where the keys live.
    var protection: KeyProtection { get }
    /// Creates the key of a name.
    func create(_ name: String) throws
    /// Whether there is a key of this name.
    func exists(_ name: String) throws -> Bool
    /// Wraps for the key of this name; throws ``VaultError/NotFound`` without one.
    func wrap(_ name: String, _ dataKey: Data) throws -> Data
    /// Unwraps with it.
    func unwrap(_ name: String, _ wrapped: Data) throws -> Data
    /// Deletes the key. Where there is none, nothing happens.
    func delete(_ name: String) throws
}

/// A key vault over a place for keys and a place for numbers. What is the same on every platform is here; ``SecureEnclaveKeyVault`` puts Apple's
/// two places in, and tests put theirs.
///
/// The generation is written when the key is created and goes when the key is deleted. A generation without its key therefore means that the
/// system has discarded the key: ``VaultError/KeyInvalidated``, and not ``VaultError/NotFound``.
public final class PlatformKeyVault: KeyVault, Sendable {
    private let keys: any WrappingKeys
    private let items: any VaultItems

    /// A vault over these two.
    public init(keys: any WrappingKeys, items: any VaultItems) {
        self.keys = keys
        self.items = items
    }

    /// Creates the wrapping key of an alias, generation 0.
    public func createWrappingKey(alias: String) throws {
        if try hasWrappingKey(alias: alias) { throw VaultError.AlreadyExists }
        // The number first: a key without one would be found after a crash, and could not be told from one whose number was rolled back.
        try items.remove(Self.item(alias))
        try items.add(Self.item(alias), Self.encoded(0))
        do {
            try keys.create(alias)
        } catch {
            try? items.remove(Self.item(alias))
            throw error
        }
    }

    /// Whether the alias has a wrapping key.
    public func hasWrappingKey(alias: String) throws -> Bool { try keys.exists(alias) }

    /// Wraps a data key.
    public func wrap(alias: String, dataKey: Data) throws -> Data {
        try telling(alias) { try keys.wrap(alias, dataKey) }
    }

    /// Unwraps what ``wrap(alias:dataKey:)`` answered.
    public func unwrap(alias: String, wrapped: Data) throws -> Data {
        try telling(alias) { try keys.unwrap(alias, wrapped) }
    }

    /// Deletes the wrapping key and its generation.
    public func delete(alias: String) throws {
        try keys.delete(alias)
        try items.remove(Self.item(alias))
    }

    /// Where the wrapping key lives.
    public func protection() throws -> KeyProtection { keys.protection }

    /// The generation number of an alias.
    public func generation(alias: String) throws -> UInt64 {
        guard let value = try items.read(Self.item(alias)) else { throw VaultError.NotFound }
        guard let number = Self.decoded(value) else { throw VaultError.Unexpected(reason: "the generation cannot be read") }
        return number
    }

    /// Adds one to the generation number and answers the new one. The caller holds the store's lock, so no other process does the same.
    public func bumpGeneration(alias: String) throws -> UInt64 {
        let next = try generation(alias: alias) + 1
        try items.update(Self.item(alias), Self.encoded(next))
        return next
    }

    private func telling(_ alias: String, _ call: () throws -> Data) throws -> Data {
        do {
            return try call()
        } catch VaultError.NotFound {
            throw try items.read(Self.item(alias)) == nil ? VaultError.NotFound : VaultError.KeyInvalidated
        }
    }

    private static func item(_ alias: String) -> String { "generation." + alias }

    private static func encoded(_ number: UInt64) -> Data { withUnsafeBytes(of: number.bigEndian) { Data($0) } }

    private static func decoded(_ value: Data) -> UInt64? {
        guard value.count == MemoryLayout<UInt64>.size else { return nil }
        return value.reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// What a status of Apple's Security framework means for a vault. The numbers are Apple's, and stable.
public func vaultError(status: Int32) -> VaultError {
    switch status {
    case -25300: .NotFound // errSecItemNotFound
    case -25299: .AlreadyExists // errSecDuplicateItem
    case -25308, -25293, -128: .UserNotAuthenticated // errSecInteractionNotAllowed (locked), errSecAuthFailed, errSecUserCanceled
    case -25291, -34018: .HardwareUnavailable // errSecNotAvailable, errSecMissingEntitlement
    default: .Unexpected(reason: "status \(status)")
    }
}
