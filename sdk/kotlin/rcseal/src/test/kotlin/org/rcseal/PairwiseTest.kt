package org.rcseal

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.ByteBuffer
import java.nio.file.Path

/** The crypto-only level: two clients over stores of the app's own, and the app's transport is a variable. */
class PairwiseTest {
    @TempDir
    lateinit var folder: Path

    /** The smallest store that keeps its promise in one process. */
    private class MemoryStore(var fault: () -> Throwable? = { null }) : CryptoStore {
        private val rows = mutableMapOf<ByteBuffer, ByteArray>()
        private val head = "head".encodeToByteArray()

        override fun get(key: ByteArray): ByteArray? = rows[ByteBuffer.wrap(key)]

        override fun commit(expectedHead: ByteArray?, writes: List<CryptoStoreWrite>) {
            fault()?.let { throw it }
            if (!(get(head) contentEquals expectedHead)) throw CryptoStoreException.Conflict()
            for (write in writes) {
                val value = write.value
                if (value == null) rows.remove(ByteBuffer.wrap(write.key)) else rows[ByteBuffer.wrap(write.key)] = value
            }
        }
    }

    private fun client(name: String, store: CryptoStore = MemoryStore()) = PairwiseClient.open(store, SoftwareKeyVault(folder.resolve(name)))

    @Test
    fun `bytes go both ways over the app's own transport`() {
        client("anna").use { anna ->
            client("ben").use { ben ->
                val toBen = anna.getOrCreateSession("ben", ben.localBundle())
                val bytes = ByteArray(1024) { it.toByte() }
                assertArrayEquals(bytes, ben.decrypt("anna", toBen.encrypt(bytes)))
                val toAnna = ben.getOrCreateSession("anna")
                assertArrayEquals(bytes, toBen.decrypt(toAnna.encrypt(bytes)))
                val (one, other) = toBen.safetyNumber() to toAnna.safetyNumber()
                assertEquals(one.numeric(), other.numeric())
                assertFalse(toBen.isVerified())
                one.verify(other.qrPayload())
                assertTrue(toBen.isVerified())
            }
        }
    }

    @Test
    fun `a message is decrypted once and a changed one never`() {
        val (anna, ben) = client("anna") to client("ben")
        val session = anna.getOrCreateSession("ben", ben.localBundle())
        val message = session.encrypt("hello".encodeToByteArray())
        val changed = message.copyOf().also { it[it.size - 1] = (it[it.size - 1] + 1).toByte() }
        assertThrows(RcsealException::class.java) { ben.decrypt("anna", changed) }
        assertEquals("hello", ben.decrypt("anna", message).decodeToString())
        assertFalse(assertThrows(RcsealException::class.java) { ben.decrypt("anna", message) }.retryable)
    }

    @Test
    fun `without a bundle there is no session`() {
        val failure = assertThrows(RcsealException.Send::class.java) { client("anna").getOrCreateSession("ben") }
        assertEquals("pairwise.bundle_needed", failure.code)
    }

    @Test
    fun `a store that throws is an error of the store and nothing was encrypted`() {
        val store = MemoryStore()
        val (anna, ben) = client("anna", store) to client("ben")
        val session = anna.getOrCreateSession("ben", ben.localBundle())
        store.fault = { IllegalStateException("the secret is 12345") }
        val failure = assertThrows(RcsealException.Store::class.java) { session.encrypt(ByteArray(1)) }
        assertFalse(failure.toString().contains("12345"))
        store.fault = { CryptoStoreException.Busy() }
        assertTrue(assertThrows(RcsealException.Store::class.java) { session.encrypt(ByteArray(1)) }.retryable)
        store.fault = { null }
        assertEquals("x", ben.decrypt("anna", session.encrypt("x".encodeToByteArray())).decodeToString())
    }

    @Test
    fun `after the close every call says closed`() {
        val anna = client("anna")
        anna.close()
        assertEquals("closed", assertThrows(RcsealException.Closed::class.java) { anna.identity(); anna.localBundle() }.code)
    }
}
