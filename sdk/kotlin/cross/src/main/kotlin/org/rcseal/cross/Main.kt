// The driver of the Kotlin face: commands as lines of JSON in, answers and events as lines of JSON out. `sdk/DRIVER.md` is its protocol.
package org.rcseal.cross

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.buildJsonArray
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.contentOrNull
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.rcseal.ClientConfig
import org.rcseal.Contact
import org.rcseal.Message
import org.rcseal.MessageChange
import org.rcseal.MessageReceipt
import org.rcseal.NewAccount
import org.rcseal.OutgoingMessage
import org.rcseal.Platform
import org.rcseal.RcsealClient
import org.rcseal.RcsealException
import org.rcseal.SoftwareKeyVault
import java.io.File

fun main(): Unit = runBlocking {
    val driver = Driver(this)
    while (true) {
        val line = withContext(Dispatchers.IO) { readlnOrNull() } ?: break
        if (line.isNotBlank()) driver.answer(Json.parseToJsonElement(line).jsonObject)
    }
    driver.end()
}

private class Driver(private val scope: CoroutineScope) {
    private var client: RcsealClient? = null

    suspend fun answer(command: JsonObject) {
        val outcome = try {
            "ok" to carryOut(command)
        } catch (failure: RcsealException) {
            "error" to json(
                "kind" to failure::class.java.simpleName.lowercase(), "code" to failure.code, "retryable" to failure.retryable,
            )
        }
        say(JsonObject(mapOf("id" to (command["id"] ?: JsonNull), outcome)))
    }

    suspend fun end() {
        client?.shutdown()
    }

    private suspend fun carryOut(command: JsonObject): JsonElement {
        fun field(name: String) = command[name]?.jsonPrimitive?.contentOrNull.orEmpty()
        val word = field("do")
        if (word == "open") return open(field("folder"), field("authority"))
        val client = checkNotNull(client) { "the first command is open" }
        suspend fun conversation() = client.conversation(field("contact"))
        when (word) {
            "account" -> {
                val platform = Platform.entries.firstOrNull { name(it) == field("platform") } ?: Platform.ANDROID
                val created = client.createAccount(NewAccount(field("server"), platform, field("name")))
                return json("account" to created.accountId, "is_registered" to created.isRegistered)
            }
            "connect" -> client.connect()
            "invite" -> return json("invitation" to client.invitation())
            "add" -> return json("contact" to client.addContact(field("invitation"), field("name")).id)
            "contacts" -> return json("contacts" to client.contacts().map { contact(it) })
            "contact" -> return contact(client.contact(field("contact")))
            "text" -> return receipt(conversation().send(field("text")))
            "file" -> return receipt(conversation().send(OutgoingMessage.Media(field("path"), field("caption"))))
            "react" -> return receipt(conversation().send(OutgoingMessage.Reaction(field("message"), field("emoji"))))
            "messages" -> return json("messages" to conversation().messages(limit = 50).map { message(it) })
            "fetch" -> {
                val conversation = conversation()
                val message = conversation.message(field("sender"), field("message"))
                    ?: return json("found" to false)
                conversation.fetchEncryptedBlob(message, field("path"))
            }
            "read" -> conversation().markRead(field("order").toULong())
            "safety" -> return conversation().safetyNumber().let { json("numeric" to it.numeric(), "qr" to it.qrPayload()) }
            "scan" -> conversation().safetyNumber().verify(field("qr"))
            "security" -> return conversation().security().let {
                json("mode" to it.mode?.let(::name), "is_end_to_end" to it.isEndToEnd, "padlock" to name(it.padlock))
            }
            "close" -> client.shutdown()
            else -> error("there is no command $word")
        }
        return json()
    }

    private suspend fun open(folder: String, authority: String): JsonElement {
        val opened = RcsealClient.open(ClientConfig(folder, File(authority).readText()), SoftwareKeyVault(File("$folder.vault").toPath()))
        client = opened
        scope.launch(start = CoroutineStart.UNDISPATCHED) {
            opened.observeMessages().collect { update ->
                val isNew = update.change == MessageChange.RECEIVED
                say(json("event" to "message", "is_new" to isNew, "message" to message(update.message)))
            }
        }
        scope.launch(start = CoroutineStart.UNDISPATCHED) {
            opened.observeConnection().collect { say(json("event" to "connection", "status" to name(it.status), "code" to it.code)) }
        }
        return json()
    }
}

private fun say(line: JsonElement) {
    synchronized(System.out) {
        println(line)
        System.out.flush()
    }
}

private fun contact(contact: Contact) = json(
    "contact" to contact.id, "name" to contact.name, "verification" to name(contact.verification), "has_keys" to contact.hasKeys,
)

private fun receipt(receipt: MessageReceipt) =
    json("message" to receipt.messageId, "state" to name(receipt.state), "mode" to receipt.mode?.let(::name))

private fun message(message: Message) = json(
    "message" to message.id, "sender" to message.senderId, "order" to message.order.toLong(), "is_outgoing" to message.isOutgoing,
    "state" to name(message.state), "kind" to name(message.kind), "text" to message.text, "file" to message.media?.fileName,
    "size" to message.media?.size?.toLong(), "mode" to name(message.mode), "is_end_to_end" to message.isEndToEnd,
    "reactions" to message.reactions.map { it.emoji },
)

/** A name in lower case without separators, as every driver writes it. */
private fun name(value: Enum<*>) = value.name.lowercase().replace("_", "")

private fun json(vararg fields: Pair<String, Any?>): JsonElement = buildJsonObject { fields.forEach { (key, value) -> put(key, element(value)) } }

private fun element(value: Any?): JsonElement = when (value) {
    null -> JsonNull
    is JsonElement -> value
    is Boolean -> JsonPrimitive(value)
    is Number -> JsonPrimitive(value)
    is List<*> -> buildJsonArray { value.forEach { add(element(it)) } }
    else -> JsonPrimitive(value.toString())
}
