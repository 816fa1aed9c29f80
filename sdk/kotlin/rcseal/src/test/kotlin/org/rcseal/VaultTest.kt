package org.rcseal

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.util.concurrent.CountDownLatch

/** A vault that is locked, slow, hanging, throwing, invalidated: each has its code, and none harms the store. */
class VaultTest {
    /** Opens a store that is there with a vault that has this fault, and answers with what the opening failed. */
    private suspend fun opening(world: World, limit: ULong? = null, fault: (String) -> Unit): RcsealException {
        world.client("anna").shutdown()
        val vault = FaultyVault(world.vault("anna"), fault)
        val failure = failing<RcsealException> { world.blank("anna", vault, limit) }
        vault.fault = {}
        // Nothing was reset: the next opening finds the account.
        val again = world.blank("anna")
        checkNotNull(again.account())
        return failure
    }

    private fun on(call: String, thrown: () -> Throwable): (String) -> Unit = { if (it == call) throw thrown() }

    @Test
    fun `a locked vault is worth another try`() = inWorld { world ->
        val failure = opening(world, fault = on("unwrap") { KeyVaultException.UserNotAuthenticated() })
        assertTrue(failure is RcsealException.Vault)
        assertEquals("vault.user_not_authenticated", failure.code)
        assertTrue(failure.retryable)
    }

    @Test
    fun `a key that the system has discarded is named so`() = inWorld { world ->
        val failure = opening(world, fault = on("unwrap") { KeyVaultException.KeyInvalidated() })
        assertTrue(failure is RcsealException.Vault)
        assertEquals("vault.key_invalidated", failure.code)
        assertFalse(failure.retryable)
    }

    @Test
    fun `a key that is gone is named so and nothing new takes its place`() = inWorld { world ->
        val failure = opening(world, fault = on("unwrap") { KeyVaultException.NotFound() })
        assertTrue(failure is RcsealException.Vault)
        assertEquals("vault.not_found", failure.code)
        assertFalse(failure.retryable)
    }

    @Test
    fun `a store whose key was discarded is set aside with what is left of the key`() = inWorld { world ->
        world.client("anna").shutdown()
        val folder = world.folder.resolve("anna").toString()
        val vault = FaultyVault(world.vault("anna"), on("unwrap") { KeyVaultException.UserNotAuthenticated() })
        val locked = failing<RcsealException.Vault> { RcsealClient.setStoreAside(folder, vault) }
        assertEquals("vault.user_not_authenticated", locked.code)
        vault.fault = on("unwrap") { KeyVaultException.KeyInvalidated() }
        assertTrue(RcsealClient.setStoreAside(folder, vault).isKeyDiscarded)
        vault.fault = {}
        assertNull(world.blank("anna", vault).account())
    }

    @Test
    fun `hardware that does not answer is worth another try`() = inWorld { world ->
        val failure = opening(world, fault = on("unwrap") { KeyVaultException.HardwareUnavailable() })
        assertEquals("vault.hardware_unavailable", failure.code)
        assertTrue(failure.retryable)
    }

    @Test
    fun `a vault that throws something of its own says unexpected and none of its words`() = inWorld { world ->
        val failure = opening(world, fault = on("unwrap") { IllegalStateException("the secret is 12345") })
        assertEquals("vault.unexpected", failure.code)
        assertFalse(failure.toString().contains("12345"))
    }

    @Test
    fun `a vault that hangs ends the opening in time`() = inWorld { world ->
        val forever = CountDownLatch(1)
        try {
            val failure = opening(world, limit = 200u) { if (it == "unwrap") forever.await() }
            assertEquals("vault.timeout", failure.code)
            assertTrue(failure.retryable)
        } finally {
            forever.countDown()
        }
    }

    @Test
    fun `a slow vault is waited for`() = inWorld { world ->
        world.client("anna").shutdown()
        val opened = CountDownLatch(1)
        val vault = FaultyVault(world.vault("anna")) { if (it == "unwrap") opened.await() }
        Thread { until(vault) { opened.countDown() } }.start()
        checkNotNull(world.blank("anna", vault).account())
    }

    @Test
    fun `a new store with a vault that refuses is not begun`() = inWorld { world ->
        val vault = FaultyVault(world.vault("anna"), on("createWrappingKey") { KeyVaultException.HardwareUnavailable() })
        assertEquals("vault.hardware_unavailable", failing<RcsealException.Vault> { world.blank("anna", vault) }.code)
        vault.fault = {}
        world.blank("anna", vault)
    }

    @Test
    fun `the vault is not asked for each message`() = inWorld { world ->
        val vault = FaultyVault(world.vault("anna"))
        val (anna, ben) = world.client("anna", vault) to world.client("ben")
        anna.addContact(ben.invitation(), "ben")
        val before = vault.calls.size
        repeat(20) { anna.conversationWith(ben).send("message $it") }
        assertEquals(before, vault.calls.size)
    }

    /** Lets go once the vault has been asked to unwrap. */
    private fun until(vault: FaultyVault, letGo: () -> Unit) {
        while ("unwrap" !in vault.calls) Thread.onSpinWait()
        letGo()
    }
}
