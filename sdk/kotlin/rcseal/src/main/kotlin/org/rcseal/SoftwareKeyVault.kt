package org.rcseal

import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.StandardCopyOption
import java.nio.file.StandardOpenOption
import java.nio.file.attribute.PosixFilePermissions
import java.security.GeneralSecurityException
import java.security.SecureRandom
import javax.crypto.Cipher
import javax.crypto.spec.GCMParameterSpec
import javax.crypto.spec.SecretKeySpec

/**
 * A key vault in files, for servers, tests and first steps. Whoever can copy the folder has the keys, and `securityState()` says so; on
 * phones use the platform's vault.
 *
 * @param folder Where the keys lie, outside the client's own folder and outside backups. It is made, for its owner alone.
 */
public class SoftwareKeyVault(private val folder: Path) : KeyVault {
    private val random = SecureRandom()

    @Synchronized
    override fun createWrappingKey(alias: String) {
        if (hasWrappingKey(alias)) throw KeyVaultException.AlreadyExists()
        write(generationFile(alias), "0".encodeToByteArray())
        write(keyFile(alias), ByteArray(KEY_BYTES).also(random::nextBytes))
    }

    override fun hasWrappingKey(alias: String): Boolean = Files.exists(keyFile(alias))

    override fun wrap(alias: String, dataKey: ByteArray): ByteArray {
        val nonce = ByteArray(NONCE_BYTES).also(random::nextBytes)
        return nonce + cipher(Cipher.ENCRYPT_MODE, alias, nonce).doFinal(dataKey)
    }

    override fun unwrap(alias: String, wrapped: ByteArray): ByteArray =
        try {
            if (wrapped.size < NONCE_BYTES + TAG_BITS / 8) throw KeyVaultException.Unexpected("the wrapped key is damaged")
            val nonce = wrapped.copyOf(NONCE_BYTES)
            cipher(Cipher.DECRYPT_MODE, alias, nonce).doFinal(wrapped, NONCE_BYTES, wrapped.size - NONCE_BYTES)
        } catch (failure: GeneralSecurityException) {
            throw KeyVaultException.Unexpected("the wrapped key is damaged", failure)
        }

    override fun delete(alias: String) {
        Files.deleteIfExists(keyFile(alias))
        Files.deleteIfExists(generationFile(alias))
    }

    override fun protection(): KeyProtection = KeyProtection.SOFTWARE

    override fun generation(alias: String): Long =
        if (hasWrappingKey(alias)) Files.readString(generationFile(alias)).trim().toLong() else throw KeyVaultException.NotFound()

    @Synchronized
    override fun bumpGeneration(alias: String): Long {
        val next = generation(alias) + 1
        write(generationFile(alias), next.toString().encodeToByteArray())
        return next
    }

    private fun cipher(mode: Int, alias: String, nonce: ByteArray): Cipher {
        if (!hasWrappingKey(alias)) throw KeyVaultException.NotFound()
        val key = Files.readAllBytes(keyFile(alias))
        return Cipher.getInstance("AES/GCM/NoPadding").apply {
            init(mode, SecretKeySpec(key, "AES"), GCMParameterSpec(TAG_BITS, nonce))
            updateAAD(alias.encodeToByteArray())
            key.fill(0)
        }
    }

    /** Beside the old file first, then in its place: a process that is killed leaves one of the two. */
    private fun write(file: Path, bytes: ByteArray) {
        if (!Files.exists(folder)) {
            Files.createDirectories(folder)
            if (folder.fileSystem.supportedFileAttributeViews().contains("posix")) {
                Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx------"))
            }
        }
        val beside = file.resolveSibling("${file.fileName}.new")
        val how = arrayOf(StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.SYNC)
        Files.write(beside, bytes, *how)
        Files.move(beside, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING)
    }

    private fun keyFile(alias: String) = folder.resolve("key-${safe(alias)}")

    private fun generationFile(alias: String) = folder.resolve("generation-${safe(alias)}")

    private fun safe(alias: String) = alias.map { if (it.isLetterOrDigit() || it == '-') it else '_' }.joinToString("")

    private companion object {
        const val KEY_BYTES = 32
        const val NONCE_BYTES = 12
        const val TAG_BITS = 128
    }
}
