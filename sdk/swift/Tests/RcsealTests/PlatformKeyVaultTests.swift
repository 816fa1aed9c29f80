import Foundation
import XCTest

import Rcseal

/// The logic of the vault that on Apple's systems stands over Keychain and Secure Enclave, over two places that are neither.
final class PlatformKeyVaultTests: XCTestCase {
    private let items = MemoryItems()
    private let keys = MemoryKeys()
    private var vault: PlatformKeyVault { PlatformKeyVault(keys: keys, items: items) }

    func testAKeyIsCreatedOnceWithGenerationZero() throws {
        try vault.createWrappingKey(alias: "a")
        XCTAssertEqual(try vault.generation(alias: "a"), 0)
        XCTAssertThrowsError(try vault.createWrappingKey(alias: "a")) { XCTAssertEqual($0 as? VaultError, .AlreadyExists) }
        XCTAssertEqual(try vault.bumpGeneration(alias: "a"), 1)
        XCTAssertEqual(try vault.bumpGeneration(alias: "a"), 2)
        XCTAssertEqual(try vault.generation(alias: "a"), 2)
    }

    func testWrappedBytesComeBack() throws {
        try vault.createWrappingKey(alias: "a")
        let key = Data(repeating: 7, count: 48)
        let wrapped = try vault.wrap(alias: "a", dataKey: key)
        XCTAssertNotEqual(wrapped, key)
        XCTAssertEqual(try vault.unwrap(alias: "a", wrapped: wrapped), key)
    }

    func testAKeyThatTheSystemDiscardedIsInvalidatedAndOneThatNeverWasIsNotFound() throws {
        try vault.createWrappingKey(alias: "a")
        let wrapped = try vault.wrap(alias: "a", dataKey: Data([1]))
        try keys.delete("a")
        XCTAssertThrowsError(try vault.unwrap(alias: "a", wrapped: wrapped)) { XCTAssertEqual($0 as? VaultError, .KeyInvalidated) }
        XCTAssertThrowsError(try vault.unwrap(alias: "b", wrapped: wrapped)) { XCTAssertEqual($0 as? VaultError, .NotFound) }
    }

    func testAKeyThatCannotBeCreatedLeavesNothing() throws {
        keys.refuses = true
        XCTAssertThrowsError(try vault.createWrappingKey(alias: "a")) { XCTAssertEqual($0 as? VaultError, .HardwareUnavailable) }
        XCTAssertThrowsError(try vault.generation(alias: "a")) { XCTAssertEqual($0 as? VaultError, .NotFound) }
        keys.refuses = false
        try vault.createWrappingKey(alias: "a")
    }

    func testDeletingTakesKeyAndGenerationAway() throws {
        try vault.createWrappingKey(alias: "a")
        try vault.delete(alias: "a")
        XCTAssertFalse(try vault.hasWrappingKey(alias: "a"))
        XCTAssertThrowsError(try vault.generation(alias: "a")) { XCTAssertEqual($0 as? VaultError, .NotFound) }
        try vault.delete(alias: "a")
    }

    func testAGenerationThatCannotBeReadIsNoZero() throws {
        try vault.createWrappingKey(alias: "a")
        try items.update("generation.a", Data([1, 2, 3]))
        XCTAssertThrowsError(try vault.generation(alias: "a"))
        XCTAssertThrowsError(try vault.bumpGeneration(alias: "a"))
    }

    func testStatusesOfTheKeychainHaveTheirMeaning() {
        XCTAssertEqual(vaultError(status: -25300), .NotFound)
        XCTAssertEqual(vaultError(status: -25308), .UserNotAuthenticated)
        XCTAssertEqual(vaultError(status: -128), .UserNotAuthenticated)
        XCTAssertEqual(vaultError(status: -25299), .AlreadyExists)
        XCTAssertEqual(vaultError(status: -34018), .HardwareUnavailable)
        XCTAssertEqual(vaultError(status: -50), .Unexpected(reason: "status -50"))
    }
}

private final class MemoryItems: VaultItems, @unchecked Sendable {
    private var values: [String: Data] = [:]
    func read(_ name: String) throws -> Data? { values[name] }
    func add(_ name: String, _ value: Data) throws {
        guard values[name] == nil else { throw VaultError.AlreadyExists }
        values[name] = value
    }
    func update(_ name: String, _ value: Data) throws {
        guard values[name] != nil else { throw VaultError.NotFound }
        values[name] = value
    }
    func remove(_ name: String) throws { values[name] = nil }
}

private final class MemoryKeys: WrappingKeys, @unchecked Sendable {
    var refuses = false
    private var masks: [String: UInt8] = [:]
    var protection: KeyProtection { .secureEnclave }
    func create(_ name: String) throws {
        if refuses { throw VaultError.HardwareUnavailable }
        masks[name] = 0x5A
    }
    func exists(_ name: String) throws -> Bool { masks[name] != nil }
    func wrap(_ name: String, _ dataKey: Data) throws -> Data {
        guard let mask = masks[name] else { throw VaultError.NotFound }
        return Data(dataKey.map { $0 ^ mask })
    }
    func unwrap(_ name: String, _ wrapped: Data) throws -> Data { try wrap(name, wrapped) }
    func delete(_ name: String) throws { masks[name] = nil }
}
