package org.rcseal.sample

import android.app.Application
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Deferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.async
import org.rcseal.ClientConfig
import org.rcseal.RcsealClient
import org.rcseal.RcsealException
import org.rcseal.android.AndroidKeyVault
import java.io.File
import java.util.concurrent.atomic.AtomicReference

/**
 * One client for the whole process. Activities, the push service and workers all take it from here: a store is open once.
 */
class SampleApplication : Application() {
    val scope = CoroutineScope(SupervisorJob() + Dispatchers.Default)
    private val opening = AtomicReference<Deferred<RcsealClient>?>()

    /** The client. A vault that was locked is asked again at the next call; everything else is thrown to the caller to show. */
    suspend fun client(): RcsealClient {
        val mine = scope.async(start = CoroutineStart.LAZY) { open() }
        val shared = opening.compareAndExchangeOrMine(mine)
        return try {
            shared.await()
        } catch (failure: RcsealException) {
            opening.compareAndSet(shared, null)
            throw failure
        }
    }

    private suspend fun open(): RcsealClient {
        val authorities = resources.openRawResource(R.raw.authority).bufferedReader().use { it.readText() }
        val config = ClientConfig(folder = File(noBackupFilesDir, "client").path, authoritiesPem = authorities)
        return RcsealClient.open(config, AndroidKeyVault(this))
    }

    private fun <T> AtomicReference<T?>.compareAndExchangeOrMine(mine: T): T {
        while (true) {
            get()?.let { return it }
            if (compareAndSet(null, mine)) return mine
        }
    }
}
