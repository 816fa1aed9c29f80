// What the Kotlin face costs over the Rust call, for messages of 1 KiB. `cargo xtask bench sdk` starts it with the address of a relay and
// the file of its authority; it prints one JSON object with its rows.
//
// The work behind a call (encryption, a transaction) takes a hundred times as long as the border and varies more than the border costs, so
// the border is measured by itself: a call that carries the same 1 KiB and is refused at once behind it (the client is closed), and the
// translation of a message of 1 KiB out of the library's memory. The whole calls are rows beside them, without a goal.
package org.rcseal.cross

import kotlinx.coroutines.runBlocking
import org.rcseal.ClientConfig
import org.rcseal.NewAccount
import org.rcseal.Platform
import org.rcseal.RcsealClient
import org.rcseal.RcsealException
import org.rcseal.SoftwareKeyVault
import org.rcseal.ffi.FfiConverterTypeMessage
import java.io.File
import java.nio.file.Files

private const val WARM_UP = 2_000
private const val ROUNDS = 5_000
private const val WHOLE_ROUNDS = 200
private val text = "x".repeat(1024)

fun main(arguments: Array<String>): Unit = runBlocking {
    val (server, authority) = arguments
    val folder = Files.createTempDirectory("rcseal-bench-")
    val clients = listOf("anna", "ben").map { name ->
        val config = ClientConfig(folder.resolve(name).toString(), File(authority).readText())
        RcsealClient.open(config, SoftwareKeyVault(folder.resolve("$name.keys"))).also {
            it.createAccount(NewAccount(server, Platform.ANDROID, name))
        }
    }
    val (anna, ben) = clients
    val conversation = anna.conversation(anna.addContact(ben.invitation(), "ben").id)
    val whole = median(WHOLE_ROUNDS / 4, WHOLE_ROUNDS) { conversation.send(text) }
    val message = conversation.messages(limit = 1).single()
    val read = median(WHOLE_ROUNDS, WHOLE_ROUNDS) { conversation.message(message.senderId, message.id) }
    val lift = median(WARM_UP, ROUNDS) { FfiConverterTypeMessage.lift(FfiConverterTypeMessage.lower(message)) }
    clients.forEach { it.shutdown() }
    val send = median(WARM_UP, ROUNDS) { refused { conversation.send(text) } }
    val receive = median(WARM_UP, ROUNDS) { refused { conversation.message(message.senderId, message.id) } } + lift
    println(
        """{"rows":[{"id":"kotlin_send_1kib_border","value":$send,"unit":"µs","goal":100.0},""" +
            """{"id":"kotlin_receive_1kib_border","value":$receive,"unit":"µs","goal":100.0},""" +
            """{"id":"kotlin_send_1kib_whole","value":$whole,"unit":"µs"},""" +
            """{"id":"kotlin_read_1kib_whole","value":$read,"unit":"µs"}]}""",
    )
    folder.toFile().deleteRecursively()
}

private suspend inline fun refused(call: suspend () -> Unit) {
    try {
        call()
    } catch (closed: RcsealException.Closed) {
        return
    }
    error("the client is closed, and the call was not refused")
}

/** The median time of a call, in microseconds. */
private suspend inline fun median(warmUp: Int, rounds: Int, call: suspend () -> Any?): Double {
    repeat(warmUp) { call() }
    val times = LongArray(rounds)
    for (round in 0 until rounds) {
        val since = System.nanoTime()
        call()
        times[round] = System.nanoTime() - since
    }
    times.sort()
    return times[rounds / 2] / 1000.0
}
