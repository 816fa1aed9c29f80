package org.rcseal

import org.rcseal.internal.calling
import org.rcseal.ffi.StackException
import org.rcseal.ffi.RcsStack as GeneratedStack
import org.rcseal.ffi.SecureSession as Generated

/** What an app's own RCS stack is. */
public typealias HostStackConfig = org.rcseal.ffi.HostStackConfig

/** What a stack made of a message. */
public typealias StackOutcome = org.rcseal.ffi.StackOutcome

/** What the stack is to answer its network. */
public typealias StackAnswer = org.rcseal.ffi.StackAnswer

/** What became of something that the stack received. */
public typealias DecryptOutcome = org.rcseal.ffi.DecryptOutcome

/** One message of the carrier. */
public typealias PayloadPart = org.rcseal.ffi.PayloadPart

/** A message for the app's stack: its parts are carried in their order. */
public typealias EncryptedPayload = org.rcseal.ffi.EncryptedPayload

/**
 * An RCS stack of the app's, as [RcsealClient.attachHostStack] is given it. It is called on threads of the client's, up to 16 at once, and
 * may block until its network has answered, for 40 seconds at most. What it throws counts as a refusal, and its text goes no further.
 */
public fun interface RcsStack {
    /** Sends one message of the carrier and answers what the network said. */
    public fun sendEncryptedPayload(part: PayloadPart): StackOutcome
}

/** The end-to-end session with a contact, for messages that the app carries. */
public class SecureSession internal constructor(private val generated: Generated) {
    /** The contact's id. */
    public val contactId: String = calling { generated.contactId() }

    /**
     * Sends a message and answers what the stack is to carry. It is in the conversation, as every message that was sent. A
     * [RcsealException.Send] with a code `hand_over_...` says that it does not go by the carrier, and nothing was sent. Files go by
     * [Conversation.send].
     */
    public suspend fun encrypt(message: OutgoingMessage): EncryptedPayload = calling { generated.encrypt(message.generated()) }

    /** What the stack made of a message: the worst of its parts. Refused, it goes by the relay at once. */
    public suspend fun report(messageId: String, outcome: StackOutcome): Unit = calling { generated.report(messageId, outcome) }
}

/** An app's stack as the generated code calls it. */
internal class StackAdapter(private val stack: RcsStack) : GeneratedStack {
    override fun sendEncryptedPayload(part: PayloadPart): StackOutcome =
        try {
            stack.sendEncryptedPayload(part)
        } catch (failure: Throwable) {
            throw StackException.Failed("the app's stack threw")
        }
}
