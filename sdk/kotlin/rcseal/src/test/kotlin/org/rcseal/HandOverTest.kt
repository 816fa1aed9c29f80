package org.rcseal

import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.util.concurrent.ConcurrentLinkedQueue

/** An RCS stack of the app's own; the carrier between two phones is a call. */
class HandOverTest {
    private fun stack(number: String) =
        HostStackConfig(number = number, isBinarySafe = true, bodyLenMax = 1_300u, partsMax = 16u, patienceMs = null)

    /** Two that have written to each other and know each other's numbers. */
    private suspend fun acquainted(world: World): Pair<RcsealClient, RcsealClient> {
        val (anna, ben) = world.pair()
        anna.conversationWith(ben).send("hello")
        val there = ben.knowing(anna)
        there.received("hello")
        there.send("hello to you")
        anna.conversationWith(ben).received("hello to you")
        anna.setContactNumber(anna.conversationWith(ben).contactId, BEN)
        ben.setContactNumber(there.contactId, ANNA)
        return anna to ben
    }

    private suspend fun RcsealClient.takeIn(from: String, part: PayloadPart) =
        decrypt(from, isAsserted = true, part.contentType, part.contentEncoding, part.body)

    @Test
    fun `a message that the app carries arrives end to end`() = inWorld { world ->
        val (anna, ben) = acquainted(world)
        anna.useAppStack(stack(ANNA))
        ben.useAppStack(stack(BEN))
        val session = anna.getOrCreateSession(anna.conversationWith(ben).contactId)
        // Ben's app has to have said, end to end, that it has a stack.
        val payload = until("a way by the carrier") {
            try {
                session.encrypt(OutgoingMessage.Text("by the carrier"))
            } catch (notYet: RcsealException.Send) {
                check(notYet.code.startsWith("hand_over_")) { notYet.code }
                null
            }
        }
        assertEquals(BEN, payload.number)
        assertFalse(payload.parts.any { "by the carrier" in it.body.decodeToString() })
        val outcomes = payload.parts.map { ben.takeIn(ANNA, it) }
        assertTrue(outcomes.all { it.answer == StackAnswer.ACCEPTED }, outcomes.toString())
        session.report(payload.messageId, StackOutcome.TAKEN)
        val message = ben.knowing(anna).received("by the carrier")
        assertEquals(payload.messageId, message.id)
        assertEquals(DeliveryMode.NATIVE, message.mode)
        assertTrue(message.isEndToEnd)
    }

    @Test
    fun `a stack that is lent carries what is sent and one that throws loses nothing`() = inWorld { world ->
        val (anna, ben) = acquainted(world)
        val carried = ConcurrentLinkedQueue<PayloadPart>()
        var isBroken = false
        anna.attachHostStack(stack(ANNA)) { part ->
            check(!isBroken) { "the secret is 12345" }
            carried += part
            runBlocking { ben.takeIn(ANNA, part) }
            StackOutcome.TAKEN
        }
        ben.attachHostStack(stack(BEN)) { StackOutcome.TAKEN }
        val here = anna.conversationWith(ben)
        anna.getOrCreateSession(here.contactId)
        untilTrue("the carrier is the way") { here.security().mode == DeliveryMode.NATIVE }
        here.send("through the stack")
        assertEquals(DeliveryMode.NATIVE, ben.knowing(anna).received("through the stack").mode)
        assertTrue(carried.isNotEmpty())
        isBroken = true
        here.send("the stack is broken")
        ben.knowing(anna).received("the stack is broken")
    }

    @Test
    fun `what is no message of ours is answered by what it is`() = inWorld { world ->
        val anna = world.client("anna")
        anna.useAppStack(stack(ANNA))
        val unknown = anna.decrypt(BEN, true, "application/x-other", null, byteArrayOf(1, 2))
        assertEquals(StackAnswer.UNSUPPORTED_MEDIA, unknown.answer)
        val failure = failing<RcsealException.InvalidArgument> { anna.decrypt("nobody", true, "", null, ByteArray(0)) }
        assertEquals("argument_malformed", failure.code)
    }

    private companion object {
        const val ANNA = "+15552010001"
        const val BEN = "+15552010002"
    }
}
