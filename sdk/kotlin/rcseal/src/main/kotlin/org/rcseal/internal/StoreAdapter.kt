package org.rcseal.internal

import org.rcseal.CryptoStore
import org.rcseal.CryptoStoreException
import org.rcseal.CryptoStoreWrite
import org.rcseal.ffi.CryptoStore as GeneratedStore
import org.rcseal.ffi.CryptoStoreException as Fault

/** An app's store as the generated code calls it. Nothing that an app's exception says goes further. */
internal class StoreAdapter(private val store: CryptoStore) : GeneratedStore {
    override fun get(key: ByteArray): ByteArray? = asking { store.get(key) }

    override fun commit(expectedHead: ByteArray?, writes: List<CryptoStoreWrite>) = asking { store.commit(expectedHead, writes) }

    private inline fun <T> asking(question: () -> T): T =
        try {
            question()
        } catch (failure: CryptoStoreException) {
            throw when (failure) {
                is CryptoStoreException.Conflict -> Fault.Conflict()
                is CryptoStoreException.Full -> Fault.Full()
                is CryptoStoreException.Busy -> Fault.Busy()
            }
        } catch (failure: Throwable) {
            throw Fault.Unexpected("the app's store threw")
        }
}
