package org.rcseal

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.filter
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.yield
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.util.concurrent.ConcurrentLinkedQueue

/** Flows: in order, one at a time, with the collector's own pace; what a collector does wrong is its own matter. */
class ListenerTest {
    @Test
    fun `messages are told in order`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val told = async(start = CoroutineStart.UNDISPATCHED) {
            ben.observeMessages().filter { it.change == MessageChange.RECEIVED }.take(10).toList()
        }
        val here = anna.conversationWith(ben)
        for (number in 1..10) here.send("$number")
        assertEquals((1..10).map { "$it" }, told.await().map { it.message.text })
    }

    @Test
    fun `a collector that throws ends its own flow and no other`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val other = async(start = CoroutineStart.UNDISPATCHED) { ben.observeEvents().first { it.kind == EventKind.MESSAGE_RECEIVED } }
        val failing = async(Dispatchers.Default, start = CoroutineStart.UNDISPATCHED) {
            failing<IllegalStateException> { ben.observeMessages().collect { error("the app has a bug") } }
        }
        anna.conversationWith(ben).send("hello")
        failing.await()
        other.await()
        // The client is as it was.
        ben.knowing(anna).received("hello")
        ben.knowing(anna).send("hello to you")
    }

    @Test
    fun `a collector may call the client`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val answering = launch(start = CoroutineStart.UNDISPATCHED) {
            ben.observeMessages().filter { !it.message.isOutgoing }.take(1).collect { update ->
                val conversation = ben.conversation(update.message.senderId)
                conversation.markRead(update.message.order)
                conversation.send("I heard: ${update.message.text}")
            }
        }
        val here = anna.conversationWith(ben)
        here.send("hello")
        here.received("I heard: hello")
        answering.join()
    }

    @Test
    fun `a collector that blocks delays itself alone`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val release = CompletableDeferred<Unit>()
        val seen = ConcurrentLinkedQueue<ULong>()
        val slow = launch(Dispatchers.Default, start = CoroutineStart.UNDISPATCHED) {
            ben.observeEvents().filter { it.kind == EventKind.MESSAGE_RECEIVED }.take(5).collect { event ->
                seen += event.number
                release.await()
            }
        }
        val here = anna.conversationWith(ben)
        for (number in 1..5) here.send("$number")
        val there = ben.knowing(anna)
        // Messages go on, calls are answered, and the slow one has been told one thing.
        there.received("5")
        there.send("still here")
        here.received("still here")
        untilTrue("the first is told") { seen.size == 1 }
        release.complete(Unit)
        slow.join()
        assertEquals(5, seen.size)
        assertEquals(seen.toList().sorted(), seen.toList())
    }

    @Test
    fun `a flow that is cancelled is told nothing more and what it has not heard is kept`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val seen = ConcurrentLinkedQueue<String?>()
        val first = launch(start = CoroutineStart.UNDISPATCHED) { ben.observeMessages().collect { seen += it.message.text } }
        val here = anna.conversationWith(ben)
        here.send("one")
        untilTrue("one is told") { "one" in seen }
        first.cancelAndJoin()
        here.send("two")
        ben.knowing(anna).received("two")
        assertFalse("two" in seen)
        val later = ben.observeMessages().first { it.message.text == "two" }
        assertEquals(MessageChange.RECEIVED, later.change)
    }

    @Test
    fun `flows that are cancelled at any moment leave no thread behind`() = inWorld { world ->
        val client = world.client("anna")
        client.connect()
        repeat(50) { round ->
            val flow = launch(Dispatchers.Default, start = CoroutineStart.UNDISPATCHED) { client.observeConnection().collect { } }
            // Each round lets the listener come a little further before the flow is cancelled.
            repeat(round) { yield() }
            flow.cancelAndJoin()
        }
        untilTrue("no listener waits") {
            Thread.getAllStackTraces().values.none { stack -> stack.any { "Observed" in it.className } }
        }
    }

    @Test
    fun `flows complete when the client is closed`() = inWorld { world ->
        val (_, ben) = world.pair()
        val flows = listOf(ben.observeMessages(), ben.observeEvents(), ben.observeConnection())
        val collecting = flows.map { flow -> launch(Dispatchers.Default, start = CoroutineStart.UNDISPATCHED) { flow.collect { } } }
        ben.shutdown()
        collecting.forEach { it.join() }
        assertTrue(collecting.none { it.isCancelled })
    }

    @Test
    fun `the connection is told with its reason`() = inWorld { world ->
        val client = world.client("anna")
        val states = ConcurrentLinkedQueue<ConnectionState>()
        val following = launch(start = CoroutineStart.UNDISPATCHED) { client.observeConnection().collect { states += it } }
        client.connect()
        untilTrue("online") { states.any { it.status == ConnectionStatus.ONLINE } }
        assertEquals(ConnectionStatus.ONLINE, client.connectionState().status)
        world.relay.close()
        untilTrue("offline") { states.any { it.status == ConnectionStatus.OFFLINE && it.code != null } }
        client.disconnect()
        untilTrue("stopped") { states.last().status == ConnectionStatus.STOPPED }
        following.cancelAndJoin()
    }
}
