import Foundation
import RcsealFFI

/// Who carries wake-ups to the device.
public typealias PushProvider = RcsealFFI.PushProvider
/// What a notification is about.
public typealias PushKind = RcsealFFI.PushKind
/// Something to show.
public typealias PushNotification = RcsealFFI.PushNotification
/// What became of a wake-up.
public typealias PushOutcome = RcsealFFI.PushOutcome

extension RcsealClient {
    /// Tells the server where to wake this device. To be called at every start of the app, with the token that the system gave.
    public func registerPushToken(_ provider: PushProvider, token: Data, appId: String) async throws(RcsealError) {
        try await translated { try await inner.registerPushToken(provider: provider, token: token, appId: appId) }
    }

    /// Tells the server to wake this device no more.
    public func unregisterPushToken() async throws(RcsealError) { try await translated { try await inner.unregisterPushToken() } }

    /// Takes in what waits, and returns before the deadline. Work that is left is marked for the app.
    public func processPush(_ payload: String, deadline: Duration) async throws(RcsealError) -> PushOutcome {
        try await translated { try await inner.processPush(payload: payload, deadlineMs: deadline.milliseconds) }
    }

    /// The same for a notification service extension: a process of its own, with little memory, beside an app that may be running. Opens the
    /// store of this configuration, and closes it. The deadline counts from the call.
    public static func processPushInExtension(
        _ config: ClientConfig, keyVault: any KeyVault, payload: String, deadline: Duration
    ) async throws(RcsealError) -> PushOutcome {
        try await translated {
            try await RcsealFFI.processPushInExtension(
                config: config, keyVault: keyVault, payload: payload, deadlineMs: deadline.milliseconds)
        }
    }
}

extension Duration {
    /// Deadlines cross the border as milliseconds; what is past is none.
    var milliseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return UInt64(seconds) * 1000 + UInt64(attoseconds / 1_000_000_000_000_000)
    }
}
