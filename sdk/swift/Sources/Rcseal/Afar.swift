import Foundation
import RcsealFFI

/// What may be set from afar, and what counts now.
public typealias RemoteConfig = RcsealFFI.RemoteConfig
/// One value of it.
public typealias RemoteValue = RcsealFFI.RemoteValue

extension RcsealClient {
    /// Counts since the last report, as JSON, rounded down, without ids and times; nothing where telemetry is off. Nothing sends it by itself.
    public func telemetryReport() async throws(RcsealError) -> String? {
        try await translated { try await inner.telemetryReport() }
    }

    /// Takes a signed document that the app fetched.
    public func applyRemoteConfig(_ document: Data) async throws(RcsealError) -> RemoteConfig {
        try await translated { try await inner.applyRemoteConfig(document: document) }
    }

    /// What counts now.
    public func remoteConfig() async throws(RcsealError) -> RemoteConfig { try await translated { try await inner.remoteConfig() } }
}
