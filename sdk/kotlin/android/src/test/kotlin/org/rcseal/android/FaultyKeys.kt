package org.rcseal.android

import org.rcseal.KeyProtection
import java.security.SecureRandom
import javax.crypto.Cipher
import javax.crypto.spec.GCMParameterSpec
import javax.crypto.spec.SecretKeySpec

/** A Keystore in memory that fails as it is told. [fault] is asked before every call with the call's name. */
internal class FaultyKeys(
    private val hasStrongBox: Boolean = true,
    var fault: (call: String) -> Exception? = { null },
) : HardwareKeys {
    private class Held(val key: ByteArray, val isStrongBox: Boolean)

    private val held = mutableMapOf<String, Held>()
    val calls = mutableListOf<String>()

    private fun <T> called(name: String, work: () -> T): T {
        calls += name
        fault(name)?.let { throw AndroidKeystore.meaning(it) }
        return work()
    }

    override fun hasStrongBox() = hasStrongBox

    override fun contains(alias: String) = called("contains") { alias in held }

    override fun create(alias: String, isStrongBox: Boolean, policy: VaultPolicy) =
        called(if (isStrongBox) "create in StrongBox" else "create") {
            held[alias] = Held(ByteArray(32).also(SecureRandom()::nextBytes), isStrongBox)
        }

    override fun encrypt(alias: String, plain: ByteArray) = called("encrypt") {
        val nonce = ByteArray(12).also(SecureRandom()::nextBytes)
        nonce + cipher(Cipher.ENCRYPT_MODE, alias, nonce).doFinal(plain)
    }

    override fun decrypt(alias: String, sealed: ByteArray) = called("decrypt") {
        AndroidKeystore.translating { cipher(Cipher.DECRYPT_MODE, alias, sealed.copyOf(12)).doFinal(sealed, 12, sealed.size - 12) }
    }

    override fun delete(alias: String) = called("delete") { held.remove(alias); Unit }

    override fun protection(policy: VaultPolicy) = called("protection") {
        val isStrongBox = held.values.firstOrNull()?.isStrongBox ?: (hasStrongBox && policy.prefersStrongBox)
        if (isStrongBox) KeyProtection.STRONG_BOX else KeyProtection.TEE
    }

    private fun cipher(mode: Int, alias: String, nonce: ByteArray): Cipher {
        val key = held[alias] ?: throw HardwareRefusal.Missing()
        return Cipher.getInstance("AES/GCM/NoPadding").apply { init(mode, SecretKeySpec(key.key, "AES"), GCMParameterSpec(128, nonce)) }
    }
}
