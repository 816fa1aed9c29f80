package org.rcseal

import org.rcseal.internal.StoreAdapter
import org.rcseal.internal.VaultAdapter
import org.rcseal.internal.calling
import org.rcseal.ffi.PairwiseClient as Generated
import org.rcseal.ffi.PairwiseSafetyNumber as GeneratedNumber
import org.rcseal.ffi.PairwiseSession as GeneratedSession

/** What to publish in the app's directory. */
public typealias PairwiseBundles = org.rcseal.ffi.PairwiseBundles

/** How many prekeys there are. */
public typealias PairwisePrekeyState = org.rcseal.ffi.PairwisePrekeyState

/**
 * Sessions alone, for apps that have their own transport and directory: bytes in, bytes out.
 *
 * ```kotlin
 * val session = client.getOrCreateSession(peerId, bundleFromYourDirectory)
 * transport.send(session.encrypt(bytes))
 * val bytes = client.decrypt(peerId, received)
 * ```
 *
 * Calls block for the app's store and take no network; make them off the main thread.
 */
public class PairwiseClient private constructor(private val generated: Generated) : AutoCloseable {
    /** Whether the store was older than the vault remembered. The sessions are gone then; publish new bundles. */
    public fun wasRolledBack(): Boolean = calling { generated.wasRolledBack() }

    /** Our identity: 32 bytes, public. */
    public fun identity(): ByteArray = calling { generated.identity() }

    /** A bundle that any number of peers may be given, for a first test or for a directory of one entry. */
    public fun localBundle(): ByteArray = calling { generated.localBundle() }

    /** What to publish next, where the directory has [left] of our one-time bundles. */
    public fun replenishPrekeys(left: Int): PairwiseBundles = calling { generated.replenishPrekeys(left.coerceAtLeast(0).toUInt()) }

    /** How many prekeys there are. */
    public fun prekeyState(): PairwisePrekeyState = calling { generated.prekeyState() }

    /** The session with a peer, or a new one from a bundle of the app's directory. */
    public fun getOrCreateSession(peerId: String, bundle: ByteArray? = null): PairwiseSession =
        PairwiseSession(calling { generated.getOrCreateSession(peerId, bundle) })

    /** Decrypts what a peer sent, known or not: the first message of an unknown peer fixes its identity and opens the session. */
    public fun decrypt(peerId: String, message: ByteArray): ByteArray = calling { generated.decrypt(peerId, message) }

    /** Forgets a peer's identity and its sessions, after the user said that the new one is right. */
    public fun forgetPeer(peerId: String): Unit = calling { generated.forgetPeer(peerId) }

    /** Closes it. Every later call throws [RcsealException.Closed]. */
    override fun close(): Unit = calling { generated.shutdown() }

    public companion object {
        /** Opens what is in the store, or makes a new identity in an empty one. */
        public fun open(store: CryptoStore, keyVault: KeyVault): PairwiseClient =
            PairwiseClient(calling { Generated.open(StoreAdapter(store), VaultAdapter(keyVault)) })
    }
}

/** The session with one peer. */
public class PairwiseSession internal constructor(private val generated: GeneratedSession) {
    /** Encrypts. The bytes may leave the device: what they were made from is stored. */
    public fun encrypt(plaintext: ByteArray): ByteArray = calling { generated.encrypt(plaintext) }

    /** Decrypts. A message is decrypted once: a second time is an error. */
    public fun decrypt(message: ByteArray): ByteArray = calling { generated.decrypt(message) }

    /** The safety number with the peer. */
    public fun safetyNumber(): PairwiseSafetyNumber = PairwiseSafetyNumber(calling { generated.safetyNumber() })

    /** Whether the peer's safety number was compared. */
    public fun isVerified(): Boolean = calling { generated.isVerified() }
}

/** What two people compare. */
public class PairwiseSafetyNumber internal constructor(private val generated: GeneratedNumber) {
    /** Sixty digits in groups of five, the same on both sides. */
    public fun numeric(): String = calling { generated.numeric() }

    /** What the QR code on this side holds, for the other side to scan. */
    public fun qrPayload(): String = calling { generated.qrPayload() }

    /** Compares what was scanned, or digits that were typed. The peer is verified when this returns. */
    public fun verify(scan: String): Unit = calling { generated.verify(scan) }
}
