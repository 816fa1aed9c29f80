package org.rcseal.android

import android.content.Context
import android.content.pm.PackageManager
import android.os.Build
import android.security.keystore.KeyInfo
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyProperties
import android.security.keystore.StrongBoxUnavailableException
import android.security.keystore.UserNotAuthenticatedException
import org.rcseal.KeyProtection
import java.io.IOException
import java.security.GeneralSecurityException
import java.security.KeyStore
import java.security.ProviderException
import java.security.UnrecoverableKeyException
import javax.crypto.AEADBadTagException
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.SecretKeyFactory
import javax.crypto.spec.GCMParameterSpec

/** The phone's Keystore. Thin on purpose: none of it can be run where there is no phone. */
internal class AndroidKeystore(private val context: Context) : HardwareKeys {
    override fun hasStrongBox(): Boolean =
        Build.VERSION.SDK_INT >= Build.VERSION_CODES.P &&
            context.packageManager.hasSystemFeature(PackageManager.FEATURE_STRONGBOX_KEYSTORE)

    override fun contains(alias: String): Boolean = translating { store().containsAlias(alias.inKeystore()) }

    override fun create(alias: String, isStrongBox: Boolean, policy: VaultPolicy): Unit = translating {
        val generator = KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, PROVIDER)
        generator.init(specification(alias, isStrongBox, policy))
        generator.generateKey()
    }

    override fun encrypt(alias: String, plain: ByteArray): ByteArray = translating {
        val cipher = Cipher.getInstance(TRANSFORMATION)
        cipher.init(Cipher.ENCRYPT_MODE, key(alias))
        // The Keystore draws the nonce itself and refuses one from outside.
        cipher.updateAAD(alias.encodeToByteArray())
        val nonce = cipher.iv
        byteArrayOf(VERSION, nonce.size.toByte()) + nonce + cipher.doFinal(plain)
    }

    override fun decrypt(alias: String, sealed: ByteArray): ByteArray = translating {
        val length = if (sealed.size > 2 && sealed[0] == VERSION) sealed[1].toInt() else -1
        if (length != NONCE_BYTES || sealed.size < 2 + length + TAG_BITS / 8) throw HardwareRefusal.Damaged(null)
        val cipher = Cipher.getInstance(TRANSFORMATION)
        cipher.init(Cipher.DECRYPT_MODE, key(alias), GCMParameterSpec(TAG_BITS, sealed, 2, length))
        cipher.updateAAD(alias.encodeToByteArray())
        cipher.doFinal(sealed, 2 + length, sealed.size - 2 - length)
    }

    override fun delete(alias: String): Unit = translating { store().deleteEntry(alias.inKeystore()) }

    override fun protection(policy: VaultPolicy): KeyProtection = translating {
        val ours = store().aliases().asSequence().firstOrNull { it.startsWith(PREFIX) }
        when {
            ours != null -> level(store().getKey(ours, null) as SecretKey)
            policy.prefersStrongBox && hasStrongBox() -> KeyProtection.STRONG_BOX
            else -> KeyProtection.TEE
        }
    }

    private fun specification(alias: String, isStrongBox: Boolean, policy: VaultPolicy): KeyGenParameterSpec {
        val purposes = KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT
        val builder = KeyGenParameterSpec.Builder(alias.inKeystore(), purposes)
            .setKeySize(KEY_BITS)
            .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
            .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
            .setRandomizedEncryptionRequired(true)
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.P) {
            builder.setIsStrongBoxBacked(isStrongBox)
            builder.setUnlockedDeviceRequired(policy.requiresUnlockedDevice)
        }
        policy.authenticationSeconds?.let { seconds ->
            builder.setUserAuthenticationRequired(true)
            if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
                val kinds = KeyProperties.AUTH_BIOMETRIC_STRONG or KeyProperties.AUTH_DEVICE_CREDENTIAL
                builder.setUserAuthenticationParameters(seconds, kinds)
            } else {
                @Suppress("DEPRECATION")
                builder.setUserAuthenticationValidityDurationSeconds(seconds)
            }
        }
        return builder.build()
    }

    private fun level(key: SecretKey): KeyProtection {
        val factory = SecretKeyFactory.getInstance(key.algorithm, PROVIDER)
        val info = factory.getKeySpec(key, KeyInfo::class.java) as KeyInfo
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) {
            return when (info.securityLevel) {
                KeyProperties.SECURITY_LEVEL_STRONGBOX -> KeyProtection.STRONG_BOX
                KeyProperties.SECURITY_LEVEL_TRUSTED_ENVIRONMENT -> KeyProtection.TEE
                // A level that a later system adds is at least as good as the environment, and the system says so by this name.
                KeyProperties.SECURITY_LEVEL_UNKNOWN_SECURE -> KeyProtection.TEE
                else -> KeyProtection.SOFTWARE
            }
        }
        @Suppress("DEPRECATION")
        return if (info.isInsideSecureHardware) KeyProtection.TEE else KeyProtection.SOFTWARE
    }

    private fun key(alias: String): SecretKey =
        store().getKey(alias.inKeystore(), null) as? SecretKey ?: throw HardwareRefusal.Missing()

    private fun store(): KeyStore = KeyStore.getInstance(PROVIDER).apply { load(null) }

    private fun String.inKeystore(): String = PREFIX + this

    internal companion object {
        private const val PROVIDER = "AndroidKeyStore"
        private const val PREFIX = "rcseal."
        private const val TRANSFORMATION = "AES/GCM/NoPadding"
        private const val KEY_BITS = 256
        private const val TAG_BITS = 128
        private const val NONCE_BYTES = 12
        private const val VERSION: Byte = 1

        /**
         * What the phone's exceptions mean. The order matters: the first three are subclasses of those below them, and some phones hide
         * the one that matters as the cause of another.
         */
        internal inline fun <T> translating(call: () -> T): T =
            try {
                call()
            } catch (refusal: HardwareRefusal) {
                throw refusal
            } catch (failure: Exception) {
                throw meaning(failure)
            }

        /** The refusal that an exception of the phone stands for. An exception of nobody's is passed on as it is. */
        internal fun meaning(failure: Exception): Exception {
            val causes = generateSequence<Throwable>(failure) { it.cause }.take(MAX_CAUSES).toList()
            return when {
                causes.any { it is KeyPermanentlyInvalidatedException } -> HardwareRefusal.Invalidated(failure)
                causes.any { it is UserNotAuthenticatedException } -> HardwareRefusal.Locked(failure)
                causes.any { it is StrongBoxUnavailableException } -> HardwareRefusal.NoStrongBox(failure)
                causes.any { it is AEADBadTagException } -> HardwareRefusal.Damaged(failure)
                // The alias is known and its key cannot be loaded any more: what a factory reset of the secure hardware leaves.
                failure is UnrecoverableKeyException -> HardwareRefusal.Invalidated(failure)
                failure is ProviderException || failure is GeneralSecurityException || failure is IOException ->
                    HardwareRefusal.Unavailable(failure)
                else -> failure
            }
        }

        /** Deeper chains of causes are a loop. */
        private const val MAX_CAUSES = 8
    }
}
