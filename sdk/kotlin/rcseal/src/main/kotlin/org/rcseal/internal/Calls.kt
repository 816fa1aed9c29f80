package org.rcseal.internal

import org.rcseal.RcsealException
import org.rcseal.ffi.InternalException
import org.rcseal.ffi.ProgressListener
import org.rcseal.ffi.RcsealException as Failure

/** Runs a generated call and throws what the face throws. Cancellation goes through: the call itself runs on to its end behind it. */
internal inline fun <T> calling(call: () -> T): T =
    try {
        call()
    } catch (failure: Failure) {
        throw failure.shown()
    } catch (panic: InternalException) {
        // What a panic said may hold anything.
        throw RcsealException.Internal("sdk.panic", false, "the call ended with a panic")
    } catch (gone: IllegalStateException) {
        // The generated code answers so when an object was destroyed; a cancelled coroutine throws a subclass, which is no failure.
        if (gone is kotlin.coroutines.cancellation.CancellationException) throw gone
        throw RcsealException.Closed("closed", false, "the client was closed")
    }

/** The generated error as apps see it. */
internal fun Failure.shown(): RcsealException =
    when (this) {
        is Failure.Store -> RcsealException.Store(code, retryable, reason)
        is Failure.Vault -> RcsealException.Vault(code, retryable, reason)
        is Failure.Network -> RcsealException.Network(code, retryable, reason)
        is Failure.Account -> RcsealException.Account(code, retryable, reason)
        is Failure.Contact -> RcsealException.Contact(code, retryable, reason)
        is Failure.Send -> RcsealException.Send(code, retryable, reason)
        is Failure.Media -> RcsealException.Media(code, retryable, reason)
        is Failure.Policy -> RcsealException.Policy(code, retryable, reason)
        is Failure.Backup -> RcsealException.Backup(code, retryable, reason)
        is Failure.Push -> RcsealException.Push(code, retryable, reason)
        is Failure.Closed -> RcsealException.Closed(code, retryable, reason)
        is Failure.InvalidArgument -> RcsealException.InvalidArgument(code, retryable, reason)
        is Failure.Internal -> RcsealException.Internal(code, retryable, reason)
    }

/** A function as the listener that the generated code calls. */
internal fun reporting(onProgress: (done: Long, total: Long) -> Unit): ProgressListener = object : ProgressListener {
    override fun onProgress(done: ULong, total: ULong) = onProgress(done.toLong(), total.toLong())
}
