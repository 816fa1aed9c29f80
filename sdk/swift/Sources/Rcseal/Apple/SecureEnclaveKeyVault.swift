#if canImport(Security)
import Foundation
import RcsealFFI
import Security

/// The key vault of iPhones, iPads and Macs: a P-256 key of the Secure Enclave wraps the store's key by ECIES, and the generation is an item of
/// the Keychain. Both can be read from the first unlock after a start, on this device only, by every program of the access group: the
/// notification service extension needs that.
///
/// This file was not compiled on the machines that test this package, which have no Security framework; ``PlatformKeyVault``, which has the
/// logic, was.
public final class SecureEnclaveKeyVault: KeyVault, Sendable {
    private let vault: PlatformKeyVault

    /// A vault whose keys and items are shared with the programs of an access group, as the entitlement `keychain-access-groups` names it.
    ///
    /// - Parameters:
    ///   - accessGroup: The group of app and extension; nothing for the app alone.
    ///   - service: What the items are filed under.
    public init(accessGroup: String?, service: String = "org.rcseal.vault") {
        vault = PlatformKeyVault(
            keys: SecureEnclaveKeys(accessGroup: accessGroup, service: service),
            items: KeychainItems(accessGroup: accessGroup, service: service)
        )
    }

    /// Creates the wrapping key of an alias, generation 0.
    public func createWrappingKey(alias: String) throws { try vault.createWrappingKey(alias: alias) }
    /// Whether the alias has a wrapping key.
    public func hasWrappingKey(alias: String) throws -> Bool { try vault.hasWrappingKey(alias: alias) }
    /// Wraps a data key.
    public func wrap(alias: String, dataKey: Data) throws -> Data { try vault.wrap(alias: alias, dataKey: dataKey) }
    /// Unwraps it.
    public func unwrap(alias: String, wrapped: Data) throws -> Data { try vault.unwrap(alias: alias, wrapped: wrapped) }
    /// Deletes the wrapping key and its generation.
    public func delete(alias: String) throws { try vault.delete(alias: alias) }
    /// The Secure Enclave; software in a simulator, which has none.
    public func protection() throws -> KeyProtection { try vault.protection() }
    /// The generation number of an alias.
    public func generation(alias: String) throws -> UInt64 { try vault.generation(alias: alias) }
    /// Adds one to it.
    public func bumpGeneration(alias: String) throws -> UInt64 { try vault.bumpGeneration(alias: alias) }
}

/// P-256 keys of the Secure Enclave, found by their application tag.
struct SecureEnclaveKeys: WrappingKeys {
    let accessGroup: String?
    let service: String

    /// Cofactor ECDH, X9.63 key derivation with SHA-256, AES-GCM with an IV from the derivation: what the Enclave offers for a P-256 key.
    private static let algorithm = SecKeyAlgorithm.eciesEncryptionCofactorVariableIVX963SHA256AESGCM

    var protection: KeyProtection {
        #if targetEnvironment(simulator)
        .software
        #else
        .secureEnclave
        #endif
    }

    func create(_ name: String) throws {
        var problem: Unmanaged<CFError>?
        guard let access = SecAccessControlCreateWithFlags(
            nil, kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly, .privateKeyUsage, &problem
        ) else { throw Self.error(problem) }
        var key: [CFString: Any] = [
            kSecAttrIsPermanent: true, kSecAttrApplicationTag: tag(name), kSecAttrAccessControl: access,
        ]
        key[kSecAttrAccessGroup] = accessGroup
        var attributes: [CFString: Any] = [
            kSecAttrKeyType: kSecAttrKeyTypeECSECPrimeRandom, kSecAttrKeySizeInBits: 256, kSecPrivateKeyAttrs: key,
        ]
        if protection == .secureEnclave { attributes[kSecAttrTokenID] = kSecAttrTokenIDSecureEnclave }
        guard SecKeyCreateRandomKey(attributes as CFDictionary, &problem) != nil else { throw Self.error(problem) }
    }

    func exists(_ name: String) throws -> Bool {
        do {
            _ = try find(name)
            return true
        } catch VaultError.NotFound {
            return false
        }
    }

    func wrap(_ name: String, _ dataKey: Data) throws -> Data {
        var problem: Unmanaged<CFError>?
        guard let key = SecKeyCopyPublicKey(try find(name)) else { throw VaultError.HardwareUnavailable }
        guard let wrapped = SecKeyCreateEncryptedData(key, Self.algorithm, dataKey as CFData, &problem) else { throw Self.error(problem) }
        return wrapped as Data
    }

    func unwrap(_ name: String, _ wrapped: Data) throws -> Data {
        var problem: Unmanaged<CFError>?
        guard let dataKey = SecKeyCreateDecryptedData(try find(name), Self.algorithm, wrapped as CFData, &problem) else {
            throw Self.error(problem)
        }
        return dataKey as Data
    }

    func delete(_ name: String) throws {
        let status = SecItemDelete(query(name) as CFDictionary)
        guard status == errSecSuccess || status == errSecItemNotFound else { throw vaultError(status: status) }
    }

    private func find(_ name: String) throws -> SecKey {
        var query = query(name)
        query[kSecReturnRef] = true
        var found: CFTypeRef?
        let status = SecItemCopyMatching(query as CFDictionary, &found)
        guard status == errSecSuccess, let found, CFGetTypeID(found) == SecKeyGetTypeID() else { throw vaultError(status: status) }
        return found as! SecKey // The type was asked for in the line above; Swift has no conditional cast to a Core Foundation type.
    }

    private func query(_ name: String) -> [CFString: Any] {
        var query: [CFString: Any] = [
            kSecClass: kSecClassKey, kSecAttrKeyType: kSecAttrKeyTypeECSECPrimeRandom,
            kSecAttrKeyClass: kSecAttrKeyClassPrivate, kSecAttrApplicationTag: tag(name),
        ]
        query[kSecAttrAccessGroup] = accessGroup
        return query
    }

    private func tag(_ name: String) -> Data { Data("\(service).\(name)".utf8) }

    private static func error(_ problem: Unmanaged<CFError>?) -> VaultError {
        guard let problem = problem?.takeRetainedValue() else { return .HardwareUnavailable }
        return vaultError(status: Int32(truncatingIfNeeded: CFErrorGetCode(problem)))
    }
}

/// Generic passwords of the Keychain.
struct KeychainItems: VaultItems {
    let accessGroup: String?
    let service: String

    func read(_ name: String) throws -> Data? {
        var query = query(name)
        query[kSecReturnData] = true
        var found: CFTypeRef?
        let status = SecItemCopyMatching(query as CFDictionary, &found)
        if status == errSecItemNotFound { return nil }
        guard status == errSecSuccess, let value = found as? Data else { throw vaultError(status: status) }
        return value
    }

    func add(_ name: String, _ value: Data) throws {
        var attributes = query(name)
        attributes[kSecValueData] = value
        attributes[kSecAttrAccessible] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
        try check(SecItemAdd(attributes as CFDictionary, nil))
    }

    func update(_ name: String, _ value: Data) throws {
        try check(SecItemUpdate(query(name) as CFDictionary, [kSecValueData: value] as CFDictionary))
    }

    func remove(_ name: String) throws {
        let status = SecItemDelete(query(name) as CFDictionary)
        if status != errSecItemNotFound { try check(status) }
    }

    private func check(_ status: OSStatus) throws {
        guard status == errSecSuccess else { throw vaultError(status: status) }
    }

    private func query(_ name: String) -> [CFString: Any] {
        var query: [CFString: Any] = [
            kSecClass: kSecClassGenericPassword, kSecAttrService: service, kSecAttrAccount: name, kSecAttrSynchronizable: false,
        ]
        // On a Mac the older keychains know no access groups.
        query[kSecUseDataProtectionKeychain] = true
        query[kSecAttrAccessGroup] = accessGroup
        return query
    }
}
#endif
