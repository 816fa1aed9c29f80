package org.rcseal.android

import org.rcseal.KeyProtection

/**
 * The Keystore as the vault needs it: the seam at which tests put one that fails. Answers are as narrow as the vault's logic; what the
 * phone's own exceptions mean is decided in [AndroidKeystore] alone.
 */
internal interface HardwareKeys {
    fun hasStrongBox(): Boolean

    fun contains(alias: String): Boolean

    fun create(alias: String, isStrongBox: Boolean, policy: VaultPolicy)

    fun encrypt(alias: String, plain: ByteArray): ByteArray

    fun decrypt(alias: String, sealed: ByteArray): ByteArray

    fun delete(alias: String)

    /** Where keys live: asked of a key that is there, else what a new one would get. */
    fun protection(policy: VaultPolicy): KeyProtection
}

/** Why the Keystore did not do it. */
internal sealed class HardwareRefusal(cause: Throwable?) : Exception(cause) {
    /** The system has discarded the key. */
    class Invalidated(cause: Throwable?) : HardwareRefusal(cause)

    /** The phone is locked, or the last authentication is too long ago. */
    class Locked(cause: Throwable?) : HardwareRefusal(cause)

    /** No key under this alias. */
    class Missing : HardwareRefusal(null)

    /** The StrongBox would not. */
    class NoStrongBox(cause: Throwable?) : HardwareRefusal(cause)

    /** The hardware or its daemon does not answer. */
    class Unavailable(cause: Throwable?) : HardwareRefusal(cause)

    /** The sealed bytes are not what this key sealed. */
    class Damaged(cause: Throwable?) : HardwareRefusal(cause)
}
