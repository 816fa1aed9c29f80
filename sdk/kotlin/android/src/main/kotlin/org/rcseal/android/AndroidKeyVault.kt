package org.rcseal.android

import android.content.Context
import org.rcseal.KeyProtection
import org.rcseal.KeyVault
import org.rcseal.KeyVaultException
import java.io.File

/**
 * A key vault on the Android Keystore.
 *
 * The wrapping key is an AES-256-GCM key that never leaves the secure hardware: a discrete element (StrongBox) where the phone has one,
 * else the trusted execution environment. StrongBox is slow, which costs nothing here: the client asks once when it is opened and never
 * per message. The generation number lies in the folder that Android leaves out of backups, and the key cannot be part of one, so a
 * restored store is recognised as an old copy.
 *
 * With [VaultPolicy.requiresUnlockedDevice] the key can be used only while the phone is unlocked; pushes that arrive before are answered
 * with `vault.locked` and the words `notification.unlock`.
 */
public class AndroidKeyVault internal constructor(
    private val keystore: HardwareKeys,
    private val generations: Generations,
    private val policy: VaultPolicy,
) : KeyVault {
    /** A vault for this app. Any context will do; the app's own is kept. */
    public constructor(context: Context, policy: VaultPolicy = VaultPolicy()) : this(
        AndroidKeystore(context.applicationContext ?: context),
        Generations(File(context.noBackupFilesDir, FOLDER)),
        policy,
    )

    override fun createWrappingKey(alias: String): Unit = asking {
        if (keystore.contains(alias)) throw KeyVaultException.AlreadyExists()
        // First the number: a key without one would be taken for a key of before.
        generations.begin(alias)
        val wantsStrongBox = policy.prefersStrongBox && keystore.hasStrongBox()
        if (wantsStrongBox) {
            try {
                keystore.create(alias, isStrongBox = true, policy)
                return@asking
            } catch (refusal: HardwareRefusal.NoStrongBox) {
                // Some phones announce a StrongBox that is full or does not know AES-256. The next best is good enough.
            }
        }
        keystore.create(alias, isStrongBox = false, policy)
    }

    override fun hasWrappingKey(alias: String): Boolean = asking { keystore.contains(alias) }

    override fun wrap(alias: String, dataKey: ByteArray): ByteArray = asking { keystore.encrypt(alias, dataKey) }

    override fun unwrap(alias: String, wrapped: ByteArray): ByteArray = asking { keystore.decrypt(alias, wrapped) }

    override fun delete(alias: String): Unit = asking {
        keystore.delete(alias)
        generations.forget(alias)
    }

    override fun protection(): KeyProtection = asking { keystore.protection(policy) }

    override fun generation(alias: String): Long = asking { generations.read(alias) }

    override fun bumpGeneration(alias: String): Long = asking { generations.bump(alias) }

    /** Answers what the Keystore says in the words of the SDK. */
    private inline fun <T> asking(question: () -> T): T =
        try {
            question()
        } catch (refusal: HardwareRefusal) {
            throw when (refusal) {
                is HardwareRefusal.Invalidated -> KeyVaultException.KeyInvalidated(refusal.cause)
                is HardwareRefusal.Locked -> KeyVaultException.UserNotAuthenticated(refusal.cause)
                is HardwareRefusal.Missing -> KeyVaultException.NotFound()
                is HardwareRefusal.NoStrongBox -> KeyVaultException.HardwareUnavailable(refusal.cause)
                is HardwareRefusal.Unavailable -> KeyVaultException.HardwareUnavailable(refusal.cause)
                is HardwareRefusal.Damaged -> KeyVaultException.Unexpected("the wrapped key is damaged", refusal.cause)
            }
        }

    private companion object {
        const val FOLDER = "rcseal"
    }
}

/**
 * What the wrapping key asks of the phone.
 *
 * An app that has to decrypt while the phone lies locked on a table leaves [requiresUnlockedDevice] off.
 */
public class VaultPolicy(
    /** Whether a StrongBox is used where there is one. */
    public val prefersStrongBox: Boolean = true,
    /** Whether the key can be used only while the phone is unlocked. */
    public val requiresUnlockedDevice: Boolean = false,
    /**
     * For how many seconds an authentication counts; `null` asks for none. With a number, the system discards the key when somebody adds
     * a fingerprint or removes the screen lock, and the store with it: offer the recovery code then.
     */
    public val authenticationSeconds: Int? = null,
)
