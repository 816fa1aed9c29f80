package org.rcseal.android

import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.StrongBoxUnavailableException
import android.security.keystore.UserNotAuthenticatedException
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.rcseal.KeyProtection
import org.rcseal.KeyVaultException
import java.io.File
import java.security.InvalidKeyException
import java.security.ProviderException
import java.security.UnrecoverableKeyException

/** The vault's logic, with a Keystore that fails on request. What a real phone does is not run here. */
class AndroidKeyVaultTest {
    @TempDir
    lateinit var folder: File

    private fun vault(keys: FaultyKeys, policy: VaultPolicy = VaultPolicy()) = AndroidKeyVault(keys, Generations(folder), policy)

    private val dataKey = ByteArray(48) { it.toByte() }

    /** A vault with a key, and the data key as it wrapped it. */
    private fun wrapped(keys: FaultyKeys = FaultyKeys()): Pair<AndroidKeyVault, ByteArray> {
        val vault = vault(keys)
        vault.createWrappingKey(ALIAS)
        return vault to vault.wrap(ALIAS, dataKey)
    }

    @Test
    fun `a data key comes back as it was wrapped`() {
        val vault = vault(FaultyKeys())
        vault.createWrappingKey(ALIAS)
        assertTrue(vault.hasWrappingKey(ALIAS))
        assertArrayEquals(dataKey, vault.unwrap(ALIAS, vault.wrap(ALIAS, dataKey)))
        assertEquals(KeyProtection.STRONG_BOX, vault.protection())
    }

    @Test
    fun `an alias that is there is refused and keeps its key`() {
        val (vault, wrapped) = wrapped()
        assertThrows(KeyVaultException.AlreadyExists::class.java) { vault.createWrappingKey(ALIAS) }
        assertArrayEquals(dataKey, vault.unwrap(ALIAS, wrapped))
    }

    @Test
    fun `a StrongBox that refuses is replaced by the trusted environment`() {
        val keys = FaultyKeys(fault = { if (it == "create in StrongBox") StrongBoxUnavailableException() else null })
        val vault = vault(keys)
        vault.createWrappingKey(ALIAS)
        assertEquals(KeyProtection.TEE, vault.protection())
        assertEquals(listOf("create in StrongBox", "create"), keys.calls.filter { it.startsWith("create") })
    }

    @Test
    fun `a StrongBox that some phones hide in a provider's exception counts as well`() {
        val hidden = ProviderException(StrongBoxUnavailableException())
        val vault = vault(FaultyKeys(fault = { if (it == "create in StrongBox") hidden else null }))
        vault.createWrappingKey(ALIAS)
        assertEquals(KeyProtection.TEE, vault.protection())
    }

    @Test
    fun `a phone without StrongBox is not asked for one`() {
        val keys = FaultyKeys(hasStrongBox = false)
        vault(keys).createWrappingKey(ALIAS)
        assertFalse("create in StrongBox" in keys.calls)
    }

    @Test
    fun `a policy that wants no StrongBox gets none`() {
        val keys = FaultyKeys()
        vault(keys, VaultPolicy(prefersStrongBox = false)).createWrappingKey(ALIAS)
        assertFalse("create in StrongBox" in keys.calls)
    }

    @Test
    fun `a key that the system has discarded is named so`() {
        val keys = FaultyKeys()
        val (vault, wrapped) = wrapped(keys)
        keys.fault = { if (it == "decrypt") KeyPermanentlyInvalidatedException() else null }
        assertThrows(KeyVaultException.KeyInvalidated::class.java) { vault.unwrap(ALIAS, wrapped) }
        keys.fault = { if (it == "decrypt") InvalidKeyException(KeyPermanentlyInvalidatedException()) else null }
        assertThrows(KeyVaultException.KeyInvalidated::class.java) { vault.unwrap(ALIAS, wrapped) }
        keys.fault = { if (it == "decrypt") UnrecoverableKeyException() else null }
        assertThrows(KeyVaultException.KeyInvalidated::class.java) { vault.unwrap(ALIAS, wrapped) }
    }

    @Test
    fun `a locked phone is named so and the key is good afterwards`() {
        val keys = FaultyKeys()
        val (vault, wrapped) = wrapped(keys)
        keys.fault = { if (it == "decrypt") UserNotAuthenticatedException() else null }
        assertThrows(KeyVaultException.UserNotAuthenticated::class.java) { vault.unwrap(ALIAS, wrapped) }
        keys.fault = { null }
        assertArrayEquals(dataKey, vault.unwrap(ALIAS, wrapped))
    }

    @Test
    fun `hardware that does not answer is named so`() {
        val vault = vault(FaultyKeys(fault = { if (it == "encrypt") ProviderException("keystore daemon died") else null }))
        vault.createWrappingKey(ALIAS)
        assertThrows(KeyVaultException.HardwareUnavailable::class.java) { vault.wrap(ALIAS, dataKey) }
    }

    @Test
    fun `bytes that were changed are damaged and not a lost key`() {
        val (vault, wrapped) = wrapped()
        wrapped[20] = (wrapped[20] + 1).toByte()
        assertThrows(KeyVaultException.Unexpected::class.java) { vault.unwrap(ALIAS, wrapped) }
    }

    @Test
    fun `without a key nothing is wrapped`() {
        val vault = vault(FaultyKeys())
        assertThrows(KeyVaultException.NotFound::class.java) { vault.wrap(ALIAS, dataKey) }
        assertThrows(KeyVaultException.NotFound::class.java) { vault.generation(ALIAS) }
        assertFalse(vault.hasWrappingKey(ALIAS))
    }

    @Test
    fun `generations count up and outlive the process`() {
        val keys = FaultyKeys()
        val vault = vault(keys)
        vault.createWrappingKey(ALIAS)
        assertEquals(0, vault.generation(ALIAS))
        assertEquals(1, vault.bumpGeneration(ALIAS))
        assertEquals(2, vault(keys).bumpGeneration(ALIAS))
        assertEquals(2, vault(keys).generation(ALIAS))
    }

    @Test
    fun `a generation that cannot be read is an error and no zero`() {
        val vault = vault(FaultyKeys())
        vault.createWrappingKey(ALIAS)
        folder.listFiles().orEmpty().forEach { it.writeText("") }
        assertThrows(KeyVaultException.Unexpected::class.java) { vault.generation(ALIAS) }
        assertThrows(KeyVaultException.Unexpected::class.java) { vault.bumpGeneration(ALIAS) }
    }

    @Test
    fun `a write that was cut short leaves the number of before`() {
        val vault = vault(FaultyKeys())
        vault.createWrappingKey(ALIAS)
        vault.bumpGeneration(ALIAS)
        File(folder, "generation-$ALIAS.new").writeText("")
        assertEquals(1, vault.generation(ALIAS))
        assertEquals(2, vault.bumpGeneration(ALIAS))
    }

    @Test
    fun `an alias cannot leave the folder`() {
        val vault = vault(FaultyKeys())
        vault.createWrappingKey("../../up")
        assertEquals(listOf("generation-______up"), folder.list().orEmpty().toList())
    }

    @Test
    fun `deleting leaves neither key nor number`() {
        val vault = vault(FaultyKeys())
        vault.createWrappingKey(ALIAS)
        vault.delete(ALIAS)
        assertFalse(vault.hasWrappingKey(ALIAS))
        assertEquals(emptyList<String>(), folder.list().orEmpty().toList())
        vault.createWrappingKey(ALIAS)
        assertEquals(0, vault.generation(ALIAS))
    }

    private companion object {
        const val ALIAS = "rcseal-0011"
    }
}
