package org.rcseal.android

import org.rcseal.KeyVaultException
import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.nio.file.Files
import java.nio.file.StandardCopyOption

/**
 * Generation numbers, one small file each, in a folder that is no part of a backup.
 *
 * A number is written beside the old one, forced to the disk and then put into its place, so that a phone that loses power keeps one of
 * the two. A file that cannot be read is an error and never a zero: a zero would make an old store look like a new one.
 */
internal class Generations(private val folder: File) {
    fun begin(alias: String) = write(alias, 0)

    fun read(alias: String): Long {
        val file = file(alias)
        if (!file.exists()) throw KeyVaultException.NotFound()
        return reading { file.readText() }.trim().toLongOrNull()?.takeIf { it >= 0 }
            ?: throw KeyVaultException.Unexpected("the generation number cannot be read")
    }

    @Synchronized
    fun bump(alias: String): Long {
        val next = read(alias) + 1
        write(alias, next)
        return next
    }

    fun forget(alias: String) {
        reading { Files.deleteIfExists(file(alias).toPath()) }
    }

    private fun write(alias: String, generation: Long) = reading {
        Files.createDirectories(folder.toPath())
        val (file, beside) = file(alias) to File(folder, "${name(alias)}.new")
        FileOutputStream(beside).use { out ->
            out.write(generation.toString().encodeToByteArray())
            out.fd.sync()
        }
        Files.move(beside.toPath(), file.toPath(), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING)
        Unit
    }

    private fun file(alias: String) = File(folder, name(alias))

    /** Aliases are our own (`rcseal-` and hexadecimal digits); anything else in a file's name would be a way out of the folder. */
    private fun name(alias: String): String = "generation-" + alias.map { if (it.isLetterOrDigit() || it == '-') it else '_' }.joinToString("")

    private inline fun <T> reading(io: () -> T): T =
        try {
            io()
        } catch (failure: IOException) {
            throw KeyVaultException.Unexpected("the generation number cannot be kept", failure)
        }
}
