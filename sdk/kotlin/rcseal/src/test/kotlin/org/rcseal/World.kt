package org.rcseal

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.TimeoutCancellationException
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import java.nio.file.Files
import java.nio.file.Path
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds

/** A limit for everything that should happen soon, many times what it takes on a busy machine. */
val SOON = 60.seconds

/** A relay and clients in a folder of their own. Everything ends when it is closed. */
class World(options: List<String> = emptyList()) : AutoCloseable {
    val folder: Path = Files.createTempDirectory("rcseal-world-")
    val relay = Relay(folder.resolve("relay"), options)
    private val clients = mutableListOf<RcsealClient>()

    fun config(name: String, vaultTimeoutMs: ULong? = null) =
        ClientConfig(folder = folder.resolve(name).toString(), authoritiesPem = relay.authority, vaultTimeoutMs = vaultTimeoutMs)

    fun vault(name: String) = SoftwareKeyVault(folder.resolve("$name.keys"))

    /** A client without an account. */
    suspend fun blank(name: String, vault: KeyVault = vault(name), vaultTimeoutMs: ULong? = null): RcsealClient =
        RcsealClient.open(config(name, vaultTimeoutMs), vault).also { clients += it }

    /** A client with an account of its own. */
    suspend fun client(name: String, vault: KeyVault = vault(name)): RcsealClient = blank(name, vault).also { client ->
        val created = client.createAccount(NewAccount(relay.origin, Platform.ANDROID, name))
        check(created.isRegistered) { "not registered: ${created.failureCode}" }
        client.confirmRecoveryCode()
    }

    /** Two connected clients, of which the first has taken the second's invitation in. */
    suspend fun pair(one: String = "anna", other: String = "ben"): Pair<RcsealClient, RcsealClient> {
        val (first, second) = client(one) to client(other)
        first.addContact(second.invitation(), other)
        first.connect()
        second.connect()
        return first to second
    }

    override fun close() {
        clients.forEach { runCatching { it.close() } }
        relay.close()
        folder.toFile().deleteRecursively()
    }
}

/** Runs a test in a world, for at most a minute. */
fun inWorld(options: List<String> = emptyList(), test: suspend CoroutineScope.(World) -> Unit): Unit = runBlocking {
    World(options).use { world -> withTimeout(SOON * 2) { test(world) } }
}

/** Waits until something is there, and answers it. */
suspend fun <T : Any> until(what: String, look: suspend () -> T?): T =
    try {
        withTimeout(SOON) {
            var found = look()
            while (found == null) {
                delay(10.milliseconds)
                found = look()
            }
            found
        }
    } catch (late: TimeoutCancellationException) {
        throw AssertionError("$what did not come to be within $SOON", late)
    }

/** Waits until something holds. */
suspend fun untilTrue(what: String, holds: suspend () -> Boolean) {
    until(what) { if (holds()) Unit else null }
}

/** Runs what has to fail, and answers with what. */
suspend inline fun <reified E : Throwable> failing(crossinline call: suspend () -> Any?): E {
    try {
        call()
    } catch (failure: Throwable) {
        if (failure is E) return failure
        throw AssertionError("${E::class.simpleName} was expected", failure)
    }
    throw AssertionError("${E::class.simpleName} was expected, and nothing was thrown")
}

/** The other side's conversation with the account that wrote first. */
suspend fun RcsealClient.conversationWith(other: RcsealClient): Conversation = conversation(checkNotNull(other.account()).accountId)

/** Waits for a message with these words in a conversation. */
suspend fun Conversation.received(text: String): Message =
    until("the message") { messages().firstOrNull { !it.isOutgoing && it.text == text } }

/** Waits until the client knows an account. */
suspend fun RcsealClient.knowing(other: RcsealClient): Conversation {
    val id = checkNotNull(other.account()).accountId
    until("the contact") { contacts().firstOrNull { it.id == id } }
    return conversation(id)
}
