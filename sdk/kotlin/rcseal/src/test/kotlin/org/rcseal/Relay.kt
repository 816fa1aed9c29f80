package org.rcseal

import java.nio.file.Files
import java.nio.file.Path
import java.util.concurrent.TimeUnit
import kotlin.io.path.readText

/**
 * A relay as a child process, on a free port of this machine. It is killed by its own handle when it is closed, however the test ended.
 */
class Relay(private val folder: Path, options: List<String> = emptyList()) : AutoCloseable {
    private val process: Process
    val origin: String
    val authority: String

    init {
        val program = System.getenv("RCSEAL_PROGRAM") ?: error("RCSEAL_PROGRAM is not set: run `cargo xtask sdk kotlin`")
        val command = listOf(program, "--json", "serve", "--listen", "127.0.0.1:0", "--dir", folder.toString()) + options
        val builder = ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD)
        builder.environment().keys.removeAll { it in listOf("RCSEAL_PROFILE", "RCSEAL_PASSPHRASE", "RCSEAL_LOG") }
        process = builder.start()
        val lines = process.inputStream.bufferedReader()
        val serving = generateSequence { lines.readLine() }.firstOrNull { "\"serving\"" in it } ?: error("the relay ended before it served")
        origin = Regex("\"server\":\\s*\"([^\"]+)\"").find(serving)?.groupValues?.get(1) ?: error("no server in: $serving")
        authority = folder.resolve("authority.pem").readText()
        // A pipe that nobody reads fills up and stops the relay.
        Thread { lines.forEachLine { } }.apply { isDaemon = true }.start()
    }

    override fun close() {
        process.destroyForcibly().waitFor(10, TimeUnit.SECONDS)
    }
}
