package org.rcseal

import java.util.concurrent.CopyOnWriteArrayList

/** A vault that does what it is told before it answers. [fault] runs first with the call's name; what it throws is what the call throws. */
class FaultyVault(private val inner: KeyVault, @Volatile var fault: (call: String) -> Unit = {}) : KeyVault {
    val calls = CopyOnWriteArrayList<String>()

    private fun <T> called(name: String, work: () -> T): T {
        calls += name
        fault(name)
        return work()
    }

    override fun createWrappingKey(alias: String) = called("createWrappingKey") { inner.createWrappingKey(alias) }

    override fun hasWrappingKey(alias: String) = called("hasWrappingKey") { inner.hasWrappingKey(alias) }

    override fun wrap(alias: String, dataKey: ByteArray) = called("wrap") { inner.wrap(alias, dataKey) }

    override fun unwrap(alias: String, wrapped: ByteArray) = called("unwrap") { inner.unwrap(alias, wrapped) }

    override fun delete(alias: String) = called("delete") { inner.delete(alias) }

    override fun protection() = called("protection") { inner.protection() }

    override fun generation(alias: String) = called("generation") { inner.generation(alias) }

    override fun bumpGeneration(alias: String) = called("bumpGeneration") { inner.bumpGeneration(alias) }
}
