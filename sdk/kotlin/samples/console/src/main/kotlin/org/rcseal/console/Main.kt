// A chat in a terminal: an account, invitations, messages, safety numbers. Start it twice, with two folders:
//
//     chat --folder anna --server https://127.0.0.1:8443 --ca authority.pem --name Anna
//
// and type /help. What it shows is what every app does: open, listen, connect, send, compare.
package org.rcseal.console

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import org.rcseal.ClientConfig
import org.rcseal.ConnectionState
import org.rcseal.Conversation
import org.rcseal.MessageChange
import org.rcseal.MessageKind
import org.rcseal.MessageUpdate
import org.rcseal.NewAccount
import org.rcseal.OutgoingMessage
import org.rcseal.Padlock
import org.rcseal.Platform
import org.rcseal.RcsealClient
import org.rcseal.RcsealException
import org.rcseal.SoftwareKeyVault
import java.io.File
import kotlin.system.exitProcess

private const val HELP = """/invite                 an invitation for somebody else
/add INVITATION NAME    take one in
/to NAME                write to somebody
/photo PATH             send a file
/number                 the safety number, and your code for the other side to scan
/verify CODE            what you scanned, or the digits that you compared
/who                    conversations
/quit                   end"""

fun main(arguments: Array<String>) {
    val options = arguments.toList().chunked(2).filter { it.size == 2 }.associate { (name, value) -> name.removePrefix("--") to value }
    val (folder, authority) = options["folder"] to options["ca"]
    if (folder == null || authority == null) {
        System.err.println("chat --folder FOLDER --ca PEM [--server ORIGIN --name NAME]")
        exitProcess(2)
    }
    runBlocking {
        try {
            // On a phone this is AndroidKeyVault(context). This one keeps its keys in files, and securityState() says so.
            val vault = SoftwareKeyVault(File("$folder.keys").toPath())
            RcsealClient.open(ClientConfig(folder, File(authority).readText()), vault).use { client ->
                Chat(client).run(this, options["server"], options["name"].orEmpty())
            }
        } catch (failure: RcsealException) {
            System.err.println("error: ${failure.message} [${failure.code}]")
            exitProcess(1)
        }
    }
}

/** The chat of one client. */
private class Chat(private val client: RcsealClient) {
    private var conversation: Conversation? = null

    suspend fun run(scope: CoroutineScope, server: String?, name: String) {
        if (client.account() == null) {
            val origin = server ?: return System.err.println("this folder has no account yet: give --server and --name")
            val created = client.createAccount(NewAccount(origin, Platform.DESKTOP, name))
            println("your recovery code, for paper: ${created.recoveryCode}")
            client.confirmRecoveryCode()
        }
        // First the listeners, then the connection: what nobody has dealt with is told again after the next start.
        val listening = listOf(
            scope.launch(start = CoroutineStart.UNDISPATCHED) { client.observeMessages().collect(::show) },
            scope.launch(start = CoroutineStart.UNDISPATCHED) { client.observeConnection().collect(::show) },
        )
        client.connect()
        println("type /help")
        while (true) {
            val line = withContext(Dispatchers.IO) { readlnOrNull() } ?: break
            if (line == "/quit") break
            try {
                command(line.trim())
            } catch (failure: RcsealException) {
                println("! ${failure.message}${if (failure.retryable) " (try again)" else ""}")
            }
        }
        client.disconnect()
        listening.forEach { it.cancel() }
    }

    private suspend fun command(line: String) {
        val (word, rest) = line.split(' ', limit = 2).let { it[0] to it.getOrElse(1) { "" } }
        when (word) {
            "" -> Unit
            "/help" -> println(HELP)
            "/invite" -> println(client.invitation())
            "/add" -> add(rest.substringBefore(' '), rest.substringAfter(' ', "somebody"))
            "/to" -> open(rest)
            "/photo" -> here { send(OutgoingMessage.Media(rest)) { done, total -> println("${done * 100 / maxOf(total, 1)} %") } }
            "/number" -> here { safetyNumber().let { println("${it.numeric()}\nyour code: ${it.qrPayload()}") } }
            "/verify" -> here {
                val number = safetyNumber()
                if (rest.firstOrNull()?.isDigit() == true) number.verifyDigits(rest) else number.verify(rest)
                println("verified")
            }
            "/who" -> client.conversations().forEach { println("${lock(it.padlock)} ${it.title} (${it.unreadCount} unread)") }
            else -> here { send(line).let { println("  [${it.state.name.lowercase()}]") } }
        }
    }

    private suspend fun add(invitation: String, name: String) {
        conversation = client.conversation(client.addContact(invitation, name).id)
        println("you write to $name now")
    }

    private suspend fun open(name: String) {
        val contact = client.contacts().firstOrNull { it.name == name || it.displayName == name } ?: return println("nobody has this name")
        conversation = client.conversation(contact.id)
        conversation?.messages(limit = 20)?.reversed()?.forEach { println("${if (it.isOutgoing) ">" else "<"} ${it.text.orEmpty()}") }
    }

    private suspend fun here(act: suspend Conversation.() -> Unit) {
        conversation?.act() ?: println("to whom? /to NAME")
    }

    private suspend fun show(update: MessageUpdate) {
        val message = update.message
        if (message.isOutgoing || update.change != MessageChange.RECEIVED) return
        val (sender, there) = client.contact(message.senderId) to client.conversation(message.senderId)
        if (conversation == null) conversation = there
        println("${sender.name.ifEmpty { sender.displayName }}: ${message.text ?: message.kind.name.lowercase()}")
        if (message.kind == MessageKind.MEDIA) println("  (${message.media?.fileName}, ${message.media?.size} bytes)")
        there.markRead(message.order)
    }

    private fun show(state: ConnectionState) = println("- ${state.status.name.lowercase()} ${state.code.orEmpty()}")

    private fun lock(padlock: Padlock) = if (padlock == Padlock.VERIFIED) "[verified]" else "[${padlock.name.lowercase()}]"
}
