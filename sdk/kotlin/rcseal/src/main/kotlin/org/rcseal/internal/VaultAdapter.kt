package org.rcseal.internal

import org.rcseal.KeyProtection
import org.rcseal.KeyVault
import org.rcseal.KeyVaultException
import org.rcseal.ffi.VaultException
import org.rcseal.ffi.KeyVault as GeneratedVault

/** An app's vault as the generated code calls it. Nothing that an app's exception says goes further. */
internal class VaultAdapter(private val vault: KeyVault) : GeneratedVault {
    override fun createWrappingKey(alias: String) = asking { vault.createWrappingKey(alias) }

    override fun hasWrappingKey(alias: String): Boolean = asking { vault.hasWrappingKey(alias) }

    override fun wrap(alias: String, dataKey: ByteArray): ByteArray =
        try {
            asking { vault.wrap(alias, dataKey) }
        } finally {
            dataKey.fill(0)
        }

    override fun unwrap(alias: String, wrapped: ByteArray): ByteArray = asking { vault.unwrap(alias, wrapped) }

    override fun delete(alias: String) = asking { vault.delete(alias) }

    override fun protection(): KeyProtection = asking { vault.protection() }

    override fun generation(alias: String): ULong = asking { vault.generation(alias).toULong() }

    override fun bumpGeneration(alias: String): ULong = asking { vault.bumpGeneration(alias).toULong() }

    private inline fun <T> asking(question: () -> T): T =
        try {
            question()
        } catch (failure: KeyVaultException) {
            throw when (failure) {
                is KeyVaultException.UserNotAuthenticated -> VaultException.UserNotAuthenticated()
                is KeyVaultException.KeyInvalidated -> VaultException.KeyInvalidated()
                is KeyVaultException.NotFound -> VaultException.NotFound()
                is KeyVaultException.AlreadyExists -> VaultException.AlreadyExists()
                is KeyVaultException.HardwareUnavailable -> VaultException.HardwareUnavailable()
                is KeyVaultException.Unexpected -> VaultException.Unexpected(UNEXPECTED)
            }
        } catch (failure: Throwable) {
            throw VaultException.Unexpected(UNEXPECTED)
        }

    private companion object {
        const val UNEXPECTED = "the app's key vault threw"
    }
}
