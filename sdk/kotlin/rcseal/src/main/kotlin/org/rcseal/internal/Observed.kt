package org.rcseal.internal

import kotlinx.coroutines.Job
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.trySendBlocking
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import org.rcseal.ffi.ListenerException
import org.rcseal.ffi.Subscription
import java.util.concurrent.CompletableFuture

/** One thing that a listener was told, and the promise that the collector has dealt with it. */
private class Told<T>(val what: T, val done: CompletableFuture<Unit> = CompletableFuture())

/**
 * A listener as a flow.
 *
 * The listener's thread waits until the collector has dealt with what it was told, so a slow collector slows its own listener and nothing
 * else, nothing piles up, and the client forgets an event only after it was dealt with. The subscription begins with the collection and
 * ends with it, however it ends; it ends also when the client is closed. A listener that waits at that moment is let go with an exception.
 */
internal fun <T> observed(closed: Job, subscribe: (tell: (T) -> Unit) -> Subscription): Flow<T> = flow {
    // A collector that is cancelled between taking a thing and waking up for it never sees it, and its listener must not wait for ever.
    val channel = Channel<Told<T>>(Channel.RENDEZVOUS, onUndeliveredElement = { it.done.cancel(true) })
    // A client that is closed tells nobody so: its listeners just end.
    val ending = closed.invokeOnCompletion { channel.close() }
    val subscription = calling {
        subscribe { what ->
            val told = Told(what)
            if (channel.trySendBlocking(told).isFailure) throw ListenerException.Failed("nobody collects any more")
            // Ends exceptionally when the collector failed or was cancelled.
            try {
                told.done.get()
            } catch (failure: Exception) {
                throw ListenerException.Failed("the collector ended")
            }
        }
    }
    try {
        for (told in channel) {
            try {
                emit(told.what)
                told.done.complete(Unit)
            } finally {
                // Does nothing where it is complete.
                told.done.cancel(true)
            }
        }
    } finally {
        ending.dispose()
        subscription.cancel()
        channel.cancel()
        subscription.destroy()
    }
}
