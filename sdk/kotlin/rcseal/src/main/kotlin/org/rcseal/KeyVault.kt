package org.rcseal

/** Where a wrapping key lives. */
public typealias KeyProtection = org.rcseal.ffi.KeyProtection

/**
 * Keeps the key that wraps the store's key, and a number that a restored backup does not bring along.
 *
 * Implement it over what the platform has; `org.rcseal.android.AndroidKeyVault` does so over the Android Keystore. The client calls it on
 * one thread of its own, one call at a time, and waits for a limited time (`ClientConfig.vaultTimeoutMs`), so a call may block for a
 * fingerprint. Throw a [KeyVaultException] to say why there is no answer; anything else that is thrown is taken as
 * [KeyVaultException.Unexpected], and its text goes no further.
 */
public interface KeyVault {
    /** Creates the wrapping key of an alias, with generation 0. An alias that is there already is refused. */
    public fun createWrappingKey(alias: String)

    /** Whether the alias has a wrapping key. */
    public fun hasWrappingKey(alias: String): Boolean

    /** Wraps a data key of up to 64 bytes. The answer is opaque and may be stored anywhere. The array is wiped when this returns. */
    public fun wrap(alias: String, dataKey: ByteArray): ByteArray

    /** Unwraps what [wrap] answered. The client wipes the array that it is given. */
    public fun unwrap(alias: String, wrapped: ByteArray): ByteArray

    /** Deletes the wrapping key and its generation. */
    public fun delete(alias: String)

    /** Where the wrapping key lives. */
    public fun protection(): KeyProtection

    /** The generation number of an alias. It must not be part of any backup. */
    public fun generation(alias: String): Long

    /** Adds one to the generation number, durably, and answers the new one. */
    public fun bumpGeneration(alias: String): Long
}

/** Why a key vault did not answer. */
public sealed class KeyVaultException(message: String, cause: Throwable? = null) : Exception(message, cause) {
    /** The user has to unlock the phone or to authenticate first. */
    public class UserNotAuthenticated(cause: Throwable? = null) : KeyVaultException("the user has not authenticated", cause)

    /** The system has discarded the key. The store cannot be read any more. */
    public class KeyInvalidated(cause: Throwable? = null) : KeyVaultException("the wrapping key is no longer valid", cause)

    /** There is no wrapping key under this alias. */
    public class NotFound : KeyVaultException("the key vault has no key under this alias")

    /** There is one already. */
    public class AlreadyExists : KeyVaultException("the key vault has a key under this alias already")

    /** The secure hardware does not answer. */
    public class HardwareUnavailable(cause: Throwable? = null) : KeyVaultException("the secure hardware is not available", cause)

    /** Something else. The reason stays on this side. */
    public class Unexpected(reason: String, cause: Throwable? = null) : KeyVaultException(reason, cause)
}
