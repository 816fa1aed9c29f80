import Foundation
import RcsealFFI

/// A transactional store of bytes, as the app implements it for ``PairwiseClient``.
public typealias CryptoStore = RcsealFFI.CryptoStore
/// One change of one row.
public typealias CryptoStoreWrite = RcsealFFI.CryptoStoreWrite
/// Why the app's store did nothing.
public typealias CryptoStoreError = RcsealFFI.CryptoStoreError
/// What to publish in the app's directory.
public typealias PairwiseBundles = RcsealFFI.PairwiseBundles
/// How many prekeys there are.
public typealias PairwisePrekeyState = RcsealFFI.PairwisePrekeyState

/// Sessions alone, for apps with a transport of their own: one identity over the app's store and key vault.
///
/// ```swift
/// let session = try client.session(with: "bert", bundle: bundleFromTheDirectory)
/// stack.send(try session.encrypt(Data("hello".utf8)))
/// ```
public final class PairwiseClient: Sendable {
    private let inner: RcsealFFI.PairwiseClient

    /// Opens what is in the store, or makes a new identity in an empty one.
    public init(store: any CryptoStore, keyVault: any KeyVault) throws(RcsealError) {
        inner = try translated { try RcsealFFI.PairwiseClient.open(store: store, keyVault: keyVault) }
    }

    /// Whether the store was older than the vault remembered. The sessions are gone then: publish new bundles.
    public func wasRolledBack() throws(RcsealError) -> Bool { try translated { try inner.wasRolledBack() } }

    /// Our identity: 32 bytes, public.
    public func identity() throws(RcsealError) -> Data { try translated { try inner.identity() } }

    /// A bundle that any number of peers may be given.
    public func localBundle() throws(RcsealError) -> Data { try translated { try inner.localBundle() } }

    /// What to publish next, where the directory has this many of our one-time bundles left.
    public func replenishPrekeys(left: UInt32) throws(RcsealError) -> PairwiseBundles {
        try translated { try inner.replenishPrekeys(left: left) }
    }

    /// How many prekeys there are.
    public func prekeyState() throws(RcsealError) -> PairwisePrekeyState { try translated { try inner.prekeyState() } }

    /// The session with a peer, or a new one from a bundle.
    public func session(with peerId: String, bundle: Data? = nil) throws(RcsealError) -> PairwiseSession {
        PairwiseSession(try translated { try inner.getOrCreateSession(peerId: peerId, bundle: bundle) })
    }

    /// Decrypts what a peer sent, known or not.
    public func decrypt(from peerId: String, _ message: Data) throws(RcsealError) -> Data {
        try translated { try inner.decrypt(peerId: peerId, message: message) }
    }

    /// Forgets a peer's identity and its sessions, after the user said that the new one is right.
    public func forgetPeer(_ peerId: String) throws(RcsealError) { try translated { try inner.forgetPeer(peerId: peerId) } }

    /// Closes it.
    public func close() throws(RcsealError) { try translated { try inner.shutdown() } }
}

/// The session with one peer.
public final class PairwiseSession: Sendable {
    private let inner: RcsealFFI.PairwiseSession

    init(_ inner: RcsealFFI.PairwiseSession) { self.inner = inner }

    /// Encrypts. The bytes may leave the device: what they were made from is stored.
    public func encrypt(_ plaintext: Data) throws(RcsealError) -> Data { try translated { try inner.encrypt(plaintext: plaintext) } }

    /// Decrypts. A message is decrypted once.
    public func decrypt(_ message: Data) throws(RcsealError) -> Data { try translated { try inner.decrypt(message: message) } }

    /// Sixty digits in groups of five, the same on both sides.
    public func safetyNumber() throws(RcsealError) -> String { try translated { try inner.safetyNumber().numeric() } }

    /// What the QR code on this side holds.
    public func qrPayload() throws(RcsealError) -> String { try translated { try inner.safetyNumber().qrPayload() } }

    /// Compares what was scanned, or digits that were typed. The peer is verified when this does not throw.
    public func verify(_ scan: String) throws(RcsealError) { try translated { try inner.safetyNumber().verify(scan: scan) } }

    /// Whether the peer's safety number was compared.
    public func isVerified() throws(RcsealError) -> Bool { try translated { try inner.isVerified() } }
}
