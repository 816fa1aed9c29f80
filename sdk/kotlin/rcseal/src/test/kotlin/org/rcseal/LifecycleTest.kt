package org.rcseal

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import kotlin.io.path.Path
import kotlin.io.path.exists
import kotlin.io.path.readBytes
import kotlin.io.path.readLines
import kotlin.io.path.writeBytes

/** Opening, closing, the account, and what a cancelled or refused call leaves. */
class LifecycleTest {
    @Test
    fun `a client opens in a new folder and closes`() = inWorld { world ->
        val client = world.blank("anna")
        assertNull(client.account())
        assertFalse(client.isClosed)
        client.close()
        assertTrue(client.isClosed)
        client.close()
    }

    @Test
    fun `every call after the close says closed`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val conversation = anna.conversationWith(ben)
        val flow = anna.observeEvents()
        anna.shutdown()
        val calls = listOf<suspend () -> Any?>(
            { anna.account() }, { anna.connect() }, { anna.contacts() }, { anna.conversations() }, { anna.securityState() },
            { anna.connectionState() }, { anna.rotateKeys() }, { conversation.messages() }, { conversation.send("late") },
            { flow.toList() },
        )
        for (call in calls) assertEquals("closed", failing<RcsealException.Closed> { call() }.code)
    }

    @Test
    fun `an account is created once and is there after the next opening`() = inWorld { world ->
        val client = world.blank("anna")
        val created = client.createAccount(NewAccount(world.relay.origin, Platform.ANDROID, "Anna"))
        assertTrue(created.isRegistered)
        assertNotNull(created.recoveryCode)
        assertEquals(created.recoveryCode, client.pendingRecoveryCode())
        client.confirmRecoveryCode()
        assertNull(client.pendingRecoveryCode())
        failing<RcsealException.Account> { client.createAccount(NewAccount(world.relay.origin, Platform.ANDROID, "Anna")) }
        client.shutdown()
        val again = world.blank("anna")
        val account = checkNotNull(again.account())
        assertEquals(created.accountId, account.accountId)
        assertEquals(AccountStage.ACTIVE, account.stage)
        assertEquals("Anna", account.displayName)
    }

    @Test
    fun `a second client on the same store is refused for as long as the first is open`() = inWorld { world ->
        val first = world.blank("anna")
        val refused = failing<RcsealException.Store> { world.blank("anna") }
        assertTrue(refused.retryable, refused.code)
        first.shutdown()
        world.blank("anna")
    }

    @Test
    fun `a call that is cancelled leaves the store whole`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val conversation = anna.conversationWith(ben)
        val calls = (1..20).map { number -> launch(start = CoroutineStart.UNDISPATCHED) { conversation.send("message $number") } }
        calls.forEach { it.cancel(CancellationException("the user left the screen")) }
        calls.forEach { it.join() }
        // Each was begun, so each runs to its end: the message is there once and arrives once.
        untilTrue("all messages") { conversation.messages().count { it.isOutgoing } == 20 }
        val there = ben.knowing(anna)
        untilTrue("all arrived") { there.messages().size == 20 }
        assertEquals((1..20).map { "message $it" }.toSet(), there.messages().map { it.text }.toSet())
        conversation.send("afterwards")
        there.received("afterwards")
    }

    @Test
    fun `many calls at a time are all answered`() = inWorld { world ->
        val client = world.client("anna")
        val answers = (1..64).map { async { client.account() } }.awaitAll()
        assertEquals(1, answers.toSet().size)
    }

    @Test
    fun `a software vault shows in the security state`() = inWorld { world ->
        val client = world.client("anna")
        val state = client.securityState()
        assertTrue(state.isSoftwareVault)
        assertEquals(KeyProtection.SOFTWARE, state.protection)
        assertTrue(state.isRegistered)
        assertTrue(state.isPrimary)
        assertFalse(state.wasRolledBack)
    }

    @Test
    fun `an export has what was said and is not written twice`() = inWorld { world ->
        val (anna, ben) = world.pair()
        anna.conversationWith(ben).send("keep this")
        val file = world.folder.resolve("export.jsonl")
        val summary = anna.exportData(file.toString())
        assertEquals(1u, summary.messages)
        assertTrue(file.exists())
        assertTrue(file.readLines().any { "keep this" in it })
        failing<RcsealException> { anna.exportData(file.toString()) }
    }

    @Test
    fun `an argument that cannot be read is named by a stable code`() = inWorld { world ->
        val client = world.client("anna")
        val calls = listOf<suspend () -> Any?>(
            { client.conversation("no id") }, { client.addContact("no invitation", "x") }, { client.contact("") },
            { client.removeDevice(-1) }, { client.exportData("") }, { client.approveLink("?") },
            { client.createAccount(NewAccount("http://", Platform.ANDROID, "x")) },
        )
        for (call in calls) {
            val refused = failing<RcsealException.InvalidArgument> { call() }
            assertEquals("argument_malformed", refused.code)
            assertFalse(refused.retryable)
        }
        failing<RcsealException.InvalidArgument> { RcsealClient.open(ClientConfig("", world.relay.authority), world.vault("x")) }
        failing<RcsealException.InvalidArgument> { RcsealClient.open(ClientConfig("y", "no PEM"), world.vault("x")) }
    }

    @Test
    fun `a server that is away is an error of the network and worth another try`() = inWorld { world ->
        val client = world.blank("anna")
        world.relay.close()
        val created = client.createAccount(NewAccount(world.relay.origin, Platform.ANDROID, "Anna"))
        assertFalse(created.isRegistered)
        assertTrue(created.isRetryable)
        assertNotNull(created.failureCode)
        val failure = failing<RcsealException.Network> { client.register() }
        assertTrue(failure.retryable)
        assertEquals(created.failureCode, failure.code)
    }

    @Test
    fun `an older copy of the store is recognised`() = inWorld { world ->
        val client = world.client("anna")
        client.shutdown()
        val (store, copy) = world.folder.resolve("anna").toFile() to world.folder.resolve("copy").toFile()
        store.copyRecursively(copy)
        world.blank("anna").shutdown()
        store.deleteRecursively()
        copy.copyRecursively(store)
        assertTrue(world.blank("anna").securityState().wasRolledBack)
    }

    @Test
    fun `a damaged store stays as it is until it is set aside`() = inWorld { world ->
        val folder = world.folder.resolve("anna")
        val client = world.client("anna")
        val refused = failing<RcsealException.Store> { RcsealClient.setStoreAside(folder.toString(), world.vault("anna")) }
        assertEquals("store.in_use" to true, refused.code to refused.retryable)
        client.shutdown()
        val damaged = folder.resolve("store.db").readBytes().also { it[IN_THE_HEADER] = (it[IN_THE_HEADER] + 1).toByte() }
        folder.resolve("store.db").writeBytes(damaged)
        repeat(2) {
            val failure = failing<RcsealException.Store> { world.blank("anna") }
            assertEquals("store.damaged" to false, failure.code to failure.retryable)
        }
        val aside = RcsealClient.setStoreAside(folder.toString(), world.vault("anna"))
        assertFalse(aside.isKeyDiscarded)
        assertArrayEquals(damaged, Path(aside.folder).resolve("store.db").readBytes())
        assertFalse(folder.exists())
        assertNull(world.blank("anna").account())
    }

    @Test
    fun `a device is linked by its code and taken out again`() = inWorld { world ->
        val phone = world.client("phone")
        val tablet = world.blank("tablet")
        val request = tablet.linkDevice(world.relay.origin, Platform.ANDROID)
        val finished = async { request.finish() }
        val number = phone.approveLink(request.text())
        finished.await()
        assertEquals(phone.account()?.accountId, tablet.account()?.accountId)
        assertEquals(setOf(1, number), phone.devices().map { it.number.toInt() }.toSet())
        assertEquals("sdk.link_used", failing<RcsealException.InvalidArgument> { request.finish() }.code)
        phone.removeDevice(number)
        phone.connect()
        untilTrue("the tablet is out") { phone.devices().size == 1 }
    }

    private companion object {
        /** A byte of the database's plain header, every one of which is fixed. */
        const val IN_THE_HEADER = 20
    }
}
