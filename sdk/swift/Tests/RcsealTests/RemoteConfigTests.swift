import Foundation
import XCTest

import Rcseal

/// What the maker of an app may set from afar, and learns. The documents were signed as `docs/protocol/push.md` says with the keys of the first
/// two test vectors of RFC 8032, because the tests' Linux has no Ed25519 for Swift; they expire in 2100.
final class RemoteConfigTests: XCTestCase {
    private var world: World!

    override func setUp() async throws { world = try World() }
    override func tearDown() async throws { world.remove() }

    func testASignedDocumentCountsOverARestartTooAndAnOlderOneNeverAgain() async throws {
        let client = try await open()
        let nothing = try await client.remoteConfig()
        XCTAssertEqual(nothing.counter, 0)
        let taken = try await client.applyRemoteConfig(Documents.second)
        XCTAssertEqual(taken.counter, 2)
        XCTAssertFalse(taken.isExpired)
        XCTAssertTrue(taken.isCanary)
        XCTAssertEqual(
            Set(taken.values),
            [
                RemoteValue(key: "canary_percent", value: 100, isClamped: false),
                RemoteValue(key: "rekey_seconds_max", value: 600, isClamped: true),
            ])
        XCTAssertEqual(taken.unknown, ["later"])
        await assertFails(.invalidArgument, "remote_config_rollback", retryable: false) { try await client.applyRemoteConfig(Documents.first) }
        try await client.close()
        let again = try await open()
        let standing = try await again.remoteConfig()
        XCTAssertEqual(standing, taken)
        await assertFails(.invalidArgument, "remote_config_rollback") { try await again.applyRemoteConfig(Documents.first) }
        let third = try await again.applyRemoteConfig(Documents.third)
        XCTAssertEqual(third.counter, 3)
        try await again.close()
    }

    func testADocumentOfAnotherKeyAChangedALateOrAnUnaskedOneIsRefused() async throws {
        let client = try await open()
        var changed = Documents.first
        // In the signature: the text stays JSON.
        changed[10] ^= 1
        let refused = [
            (Documents.foreign, "remote_config_signature"), (changed, "remote_config_signature"),
            (Documents.late, "remote_config_expired"), (Data([1]), "remote_config_malformed"),
        ]
        for (document, code) in refused {
            await assertFails(.invalidArgument, code, retryable: false) { try await client.applyRemoteConfig(document) }
        }
        let standing = try await client.remoteConfig()
        XCTAssertEqual(standing.counter, 0)
        try await client.close()
        let unasked = try await world.blank("bert")
        await assertFails(.invalidArgument, "remote_config_off") { try await unasked.applyRemoteConfig(Documents.first) }
        try await unasked.close()
    }

    func testWhatIsSwitchedOffIsRefusedUntilANewerDocumentAllowsItAgain() async throws {
        let client = try await open()
        _ = try await client.applyRemoteConfig(Documents.withoutLinking)
        do {
            _ = try await client.linkDevice(origin: world.server, platform: .ios)
            XCTFail("linked")
        } catch {
            XCTAssertEqual(error.code, "remote_config_switched_off")
        }
        _ = try await client.applyRemoteConfig(Documents.withLinking)
        _ = try await client.linkDevice(origin: world.server, platform: .ios)
        try await client.close()
    }

    func testNothingIsCountedUnlessTheAppSaysSo() async throws {
        let silent = try await world.blank("bert")
        let none = try await silent.telemetryReport()
        XCTAssertNil(none)
        try await silent.close()
        let counted = try await open()
        let report = try await XCTUnwrapAsync(await counted.telemetryReport())
        XCTAssertNotNil(try JSONSerialization.jsonObject(with: Data(report.utf8)) as? [String: Any])
        try await counted.close()
    }

    private func open() async throws -> RcsealClient {
        let config = ClientConfig(
            folder: world.folder.appendingPathComponent("ada").path, authoritiesPem: world.authorities, telemetry: true,
            remoteConfigKey: Documents.key)
        return try await RcsealClient.open(config, keyVault: world.vault("ada"))
    }
}

/// Signed documents: a version, a signature and JSON.
private enum Documents {
    static let key = Data(base64Encoded: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")!
    static let first = document(
        1, signature: "P3IzzFqd3/npev9xPEa+6IiHDn8JdUKVNrh+RLf7Oe3Fg+WELasDG/9+GdQ3DIkbqIgzMTxlSeaJzEugV3oVBg==")
    static let second = document(
        2, #"{"canary_percent":100,"rekey_seconds_max":1,"later":5}"#,
        signature: "cPMDYfC/TwE3pDmfvDc7Fmt9xeqXhb5re8RlzhdP3xQaZZo6+1x+gzp2vcHlovOPTLB2OmweGHKVQ9MBygIoDg==")
    static let third = document(
        3, signature: "pyHdLDc9ZDzo244nQoaDasdk+6JdcRcxYEt3RrKQ5TIZvLm8UglHkRYhS9tNt3nUvYWTsoONN2i8ePGz9DiwDg==")
    static let foreign = document(
        1, signature: "7Gt6T9yIcnHdtc93qAtiYTwATYYfgEeMFXNuRW4I6Sy5RXLvyEHnV69vvyGldq1Wvc4BImcpfSG83Lr1CB/mBA==")
    static let late = document(
        1, expires: 1_763_946_000_000,
        signature: "fggdXe42zgBraD25VRmqzxtx9X96INknHKowoBgYubFgsIU79gX3+CY+Fjb78iBIW/GtKaqO5MdCSLQpD9AsBw==")
    static let withoutLinking = document(
        1, #"{"no_linking":1}"#,
        signature: "spAAViF2VmMM5nDipZzQvYXMKnD9Q7ge0cPNZ5B0YVavYIgV/LdACuFziqHoJneXv2btGJ8ibCFk+NFedWJCBQ==")
    static let withLinking = document(
        2, signature: "m1tY2/0j+3/KAIBXz7qDd5xalxNdzPsvUaCbDw5hkbVM6rC1f6jdDxIoYzJgFgaqKgvAW90KJZPgroCvbMwgDQ==")

    private static func document(_ counter: Int, _ values: String = "{}", expires: UInt64 = 4_102_444_800_000, signature: String) -> Data {
        let json = #"{"counter":\#(counter),"issued_at_ms":1763942400000,"expires_at_ms":\#(expires),"values":\#(values)}"#
        return Data([1]) + Data(base64Encoded: signature)! + Data(json.utf8)
    }
}
