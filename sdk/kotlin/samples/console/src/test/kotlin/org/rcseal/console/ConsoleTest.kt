package org.rcseal.console

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.rcseal.Relay
import java.io.File
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit

/** Two chats in processes of their own, as two users start them. */
class ConsoleTest {
    @TempDir
    lateinit var folder: File

    @Test
    fun `two people chat and verify each other`() {
        Relay(folder.toPath().resolve("relay")).use { relay ->
            val authority = File(folder, "ca.pem").apply { writeText(relay.authority) }
            chat(relay, authority, "Anna").use { anna ->
                chat(relay, authority, "Ben").use { ben ->
                    anna.until { "type /help" in it }
                    ben.until { "type /help" in it }
                    ben.type("/invite")
                    val invitation = ben.until { it.length > 60 && ' ' !in it }
                    anna.type("/add $invitation Ben")
                    anna.until { it == "you write to Ben now" }
                    anna.type("hello from the terminal")
                    ben.until { it == "Anna: hello from the terminal" }
                    ben.type("hello to you")
                    anna.until { it == "Ben: hello to you" }
                    ben.type("/number")
                    val code = ben.until { it.startsWith("your code: ") }.removePrefix("your code: ")
                    anna.type("/verify $code")
                    anna.until { it == "verified" }
                    anna.type("/who")
                    assertTrue(anna.until { "Ben (" in it }.startsWith("[verified]"))
                    anna.type("/quit")
                    assertEquals(0, anna.ended())
                }
            }
        }
    }

    private fun chat(relay: Relay, authority: File, name: String) = Chat(
        listOf("--folder", File(folder, name).path, "--server", relay.origin, "--ca", authority.path, "--name", name),
    )

    /** One chat as a child process. It is killed by its own handle. */
    private class Chat(arguments: List<String>) : AutoCloseable {
        private val process: Process
        private val lines = LinkedBlockingQueue<String>()

        init {
            val java = File(System.getProperty("java.home"), "bin/java").path
            val library = "-Djna.library.path=${System.getProperty("jna.library.path")}"
            val command = listOf(java, library, "-cp", System.getProperty("java.class.path"), "org.rcseal.console.MainKt") + arguments
            process = ProcessBuilder(command).redirectErrorStream(true).start()
            Thread { process.inputStream.bufferedReader().forEachLine { lines += it } }.apply { isDaemon = true }.start()
        }

        fun type(line: String) = process.outputStream.run {
            write("$line\n".encodeToByteArray())
            flush()
        }

        fun until(wanted: (String) -> Boolean): String {
            val seen = mutableListOf<String>()
            while (true) {
                val line = lines.poll(60, TimeUnit.SECONDS) ?: throw AssertionError("the line did not come; there were: $seen")
                if (wanted(line)) return line
                seen += line
            }
        }

        fun ended(): Int {
            check(process.waitFor(60, TimeUnit.SECONDS)) { "the chat does not end" }
            return process.exitValue()
        }

        override fun close() {
            process.destroyForcibly().waitFor(10, TimeUnit.SECONDS)
        }
    }
}
