package org.rcseal

import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import org.rcseal.internal.calling
import org.rcseal.internal.reporting
import org.rcseal.ffi.Conversation as Generated

/** The conversation with one contact. */
public class Conversation internal constructor(private val generated: Generated) {
    /** Its id. */
    public val id: String = calling { generated.id() }

    /** The contact's id. */
    public val contactId: String = calling { generated.contactId() }

    /** Messages with a place below [beforeOrder], or the newest ones; newest first, 500 at most. */
    public suspend fun messages(beforeOrder: ULong? = null, limit: Int = PAGE): List<Message> =
        calling { generated.messages(beforeOrder, limit.coerceAtLeast(0).toUInt()) }

    /** Every message from the newest to the oldest, read page by page as they are collected. */
    public fun history(): Flow<Message> = flow {
        var before: ULong? = null
        while (true) {
            val page = messages(before)
            for (message in page) emit(message)
            before = page.lastOrNull()?.order ?: break
        }
    }

    /** One message; `null` where there is none. */
    public suspend fun message(senderId: String, messageId: String): Message? = calling { generated.message(senderId, messageId) }

    /**
     * Sends. The message is durable here when this returns, and leaves when a server can be reached. It goes on when the caller is
     * cancelled. [onProgress] hears how far a file has come, on a thread of the client's.
     */
    public suspend fun send(message: OutgoingMessage, onProgress: ((done: Long, total: Long) -> Unit)? = null): MessageReceipt = calling {
        if (onProgress == null) {
            generated.send(message.generated())
        } else {
            generated.sendWithProgress(message.generated(), reporting(onProgress))
        }
    }

    /** Sends words. */
    public suspend fun send(text: String): MessageReceipt = send(OutgoingMessage.Text(text))

    /** The user has seen the messages up to this place. */
    public suspend fun markRead(upToOrder: ULong): Unit = calling { generated.markRead(upToOrder) }

    /** Tells the contact that the user is writing, or has stopped. */
    public suspend fun setTyping(isTyping: Boolean): Unit = calling { generated.setTyping(isTyping) }

    /** How safe the conversation is, and how the next message would go. */
    public suspend fun security(): ConversationSecurity = calling { generated.security() }

    /** The fallback policy set for this conversation; `null` where none is, and the account's alone counts. */
    public suspend fun fallbackPolicy(): FallbackPolicy? = calling { generated.fallbackPolicy() }

    /** Sets it, or takes it back. Of several policies that apply the strictest counts. */
    public suspend fun setFallbackPolicy(policy: FallbackPolicy?): Unit = calling { generated.setFallbackPolicy(policy) }

    /** The user agrees that messages of this conversation go in a readable mode until a time. Only with the user's own word. */
    public suspend fun giveConsent(mode: DeliveryMode, expiresAtMs: ULong): Unit = calling { generated.giveConsent(mode, expiresAtMs) }

    /** The user acknowledges that the conversation goes without end-to-end encryption. The other side is told, end to end. */
    public suspend fun acknowledgeDowngrade(mode: DeliveryMode): Unit = calling { generated.acknowledgeDowngrade(mode) }

    /** A downgraded conversation is end to end again. */
    public suspend fun restoreEndToEnd(): Unit = calling { generated.restoreEndToEnd() }

    /**
     * Fetches a file of a message and writes it to [path], which appears only when it is whole and authentic. A download that was cut short
     * goes on where it was. [onProgress] hears how far it has come, on a thread of the client's.
     */
    public suspend fun fetchEncryptedBlob(
        message: Message,
        path: String,
        part: MediaPart = MediaPart.FILE,
        onProgress: ((done: Long, total: Long) -> Unit)? = null,
    ): Unit = calling {
        generated.fetchEncryptedBlob(message.senderId, message.id, part, path, onProgress?.let(::reporting))
    }

    /** The safety number with the contact, once its keys are known. */
    public suspend fun safetyNumber(): SafetyNumber = SafetyNumber(calling { generated.safetyNumber() })

    private companion object {
        /** More than a screen shows. */
        const val PAGE = 50
    }
}
