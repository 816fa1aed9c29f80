package org.rcseal

import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.io.path.createFile
import kotlin.io.path.exists
import kotlin.io.path.readBytes
import kotlin.io.path.writeBytes
import kotlin.random.Random

/** Two clients through a real relay. */
class ConversationTest {
    @Test
    fun `text goes both ways and is receipted`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val here = anna.conversationWith(ben)
        val receipt = here.send("hello")
        assertEquals(DeliveryMode.RELAYED, receipt.mode)
        val there = ben.knowing(anna)
        val message = there.received("hello")
        assertEquals(receipt.messageId, message.id)
        assertTrue(message.isEndToEnd)
        assertEquals(listOf(Reader.PARTICIPANTS), message.readers)
        untilTrue("delivered") { here.messages().first().state == MessageState.DELIVERED }
        there.markRead(message.order)
        untilTrue("read") { here.messages().first().state == MessageState.READ }
        there.send(OutgoingMessage.Text("hello to you", replyTo = message.id))
        assertEquals(receipt.messageId, here.received("hello to you").replyTo)
    }

    @Test
    fun `a photo arrives byte by byte and its progress is told`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val photo = world.folder.resolve("cat.jpg").createFile()
        photo.writeBytes(Random(1).nextBytes(200_000))
        val here = anna.conversationWith(ben)
        val sent = ConcurrentLinkedQueue<Pair<Long, Long>>()
        here.send(OutgoingMessage.Media(photo.toString(), "a cat")) { done, total -> sent += done to total }
        val there = ben.knowing(anna)
        val message = until("the photo") { there.messages().firstOrNull { it.kind == MessageKind.MEDIA } }
        assertEquals("a cat", message.text)
        assertEquals("cat.jpg", message.media?.fileName)
        assertEquals(200_000uL, message.media?.size)
        val copy = world.folder.resolve("copy.jpg")
        there.fetchEncryptedBlob(message, copy.toString())
        assertArrayEquals(photo.readBytes(), copy.readBytes())
        untilTrue("progress") { sent.isNotEmpty() }
        assertTrue(sent.all { (done, total) -> done in 0..total })
    }

    @Test
    fun `a file that is not there is an error of media and writes nothing`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val here = anna.conversationWith(ben)
        val failure = failing<RcsealException.Media> { here.send(OutgoingMessage.Media(world.folder.resolve("none").toString())) }
        assertFalse(failure.retryable)
        assertEquals(0, here.messages().size)
    }

    @Test
    fun `reactions, edits and deletions reach the other side`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val here = anna.conversationWith(ben)
        val first = here.send("first")
        val there = ben.knowing(anna)
        there.received("first")
        there.send(OutgoingMessage.Reaction(first.messageId, "\uD83D\uDC4D"))
        untilTrue("the reaction") { here.messages().first().reactions.map { it.emoji } == listOf("\uD83D\uDC4D") }
        there.send(OutgoingMessage.Reaction(first.messageId, "\uD83D\uDC4D", isRemoved = true))
        untilTrue("no reaction") { here.messages().first().reactions.isEmpty() }
        here.send(OutgoingMessage.Edit(first.messageId, "better words"))
        val edited = there.received("better words")
        assertTrue(edited.isEdited)
        assertEquals(first.messageId, edited.id)
        here.send(OutgoingMessage.Delete(first.messageId))
        untilTrue("deleted") { there.messages().first().kind == MessageKind.DELETED }
        assertNull(there.messages().first().text)
    }

    @Test
    fun `two people verify each other by their codes`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val here = anna.conversationWith(ben)
        here.send("hello")
        val there = ben.knowing(anna)
        there.received("hello")
        val mine = until("keys of Ben") { runCatching { here.safetyNumber() }.getOrNull() }
        val theirs = until("keys of Anna") { runCatching { there.safetyNumber() }.getOrNull() }
        assertEquals(mine.numeric(), theirs.numeric())
        assertNotEquals(mine.qrPayload(), theirs.qrPayload())
        mine.verify(theirs.qrPayload())
        theirs.verify(mine.qrPayload())
        assertEquals(Verification.VERIFIED, anna.contact(here.contactId).verification)
        assertEquals(Verification.VERIFIED, ben.contact(there.contactId).verification)
        assertEquals(Padlock.VERIFIED, here.security().padlock)
        assertEquals(Padlock.VERIFIED, anna.conversations().single().padlock)
    }

    @Test
    fun `a code that is somebody else's verifies nobody`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val carol = world.client("carol")
        anna.addContact(carol.invitation(), "carol")
        val (here, other) = anna.conversationWith(ben) to anna.conversationWith(carol)
        val number = until("keys of Ben") { runCatching { here.safetyNumber() }.getOrNull() }
        val carols = until("keys of Carol") { runCatching { other.safetyNumber() }.getOrNull() }
        assertFalse(failing<RcsealException.Contact> { number.verify(carols.qrPayload()) }.retryable)
        failing<RcsealException> { number.verify("no code") }
        failing<RcsealException> { number.verifyDigits("00000") }
        assertEquals(Verification.UNVERIFIED, anna.contact(here.contactId).verification)
        number.verifyDigits(number.numeric())
        assertEquals(Verification.VERIFIED, anna.contact(here.contactId).verification)
    }

    @Test
    fun `the list has the newest first and history comes page by page`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val carol = world.client("carol")
        anna.addContact(carol.invitation(), "carol")
        val (toBen, toCarol) = anna.conversationWith(ben) to anna.conversationWith(carol)
        toCarol.send("to Carol")
        for (number in 1..60) toBen.send("$number")
        val list = anna.conversations()
        assertEquals(listOf("ben", "carol"), list.map { it.title })
        assertEquals("60", list.first().lastMessage?.text)
        assertEquals(list.drop(1).map { it.id }, anna.conversations(after = list.first().id).map { it.id })
        assertEquals((60 downTo 1).map { "$it" }, toBen.history().toList().map { it.text })
        assertEquals(listOf("60", "59"), toBen.history().take(2).toList().map { it.text })
        assertEquals(1, anna.conversations(limit = 1).size)
    }

    @Test
    fun `nobody writes to a contact that is blocked`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val here = anna.conversationWith(ben)
        anna.blockContact(here.contactId)
        failing<RcsealException> { here.send("hello") }
        assertEquals(Padlock.CLOSED, here.security().padlock)
        anna.blockContact(here.contactId, isBlocked = false)
        here.send("hello again")
    }

    @Test
    fun `what is not end to end is refused without a policy`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val here = anna.conversationWith(ben)
        assertNull(anna.fallbackPolicy())
        anna.setFallbackPolicy(FallbackPolicy.BLOCK)
        here.setFallbackPolicy(FallbackPolicy.DOWNGRADE)
        assertEquals(FallbackPolicy.BLOCK, anna.fallbackPolicy())
        assertEquals(FallbackPolicy.DOWNGRADE, here.fallbackPolicy())
        val security = here.security()
        assertTrue(security.isEndToEnd)
        assertEquals(listOf(Reader.PARTICIPANTS), security.readers)
        here.setFallbackPolicy(null)
        assertNull(here.fallbackPolicy())
    }

    @Test
    fun `what was written while nobody was connected goes with one sync`() = inWorld { world ->
        val (anna, ben) = world.client("anna") to world.client("ben")
        anna.addContact(ben.invitation(), "ben")
        anna.conversationWith(ben).send("from the train")
        assertFalse(anna.syncOnce().let { !it.isOutboxEmpty })
        val report = ben.syncOnce()
        assertTrue(report.received > 0u)
        ben.knowing(anna).received("from the train")
    }

    @Test
    fun `a download into a folder that is not there fails and leaves nothing`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val file = world.folder.resolve("a.bin").createFile()
        file.writeBytes(ByteArray(1_000))
        anna.conversationWith(ben).send(OutgoingMessage.Media(file.toString()))
        val there = ben.knowing(anna)
        val message = until("the file") { there.messages().firstOrNull { it.kind == MessageKind.MEDIA } }
        val target = world.folder.resolve("nowhere/a.bin")
        failing<RcsealException.Media> { there.fetchEncryptedBlob(message, target.toString()) }
        assertFalse(target.exists())
    }
}
