package org.rcseal

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.nio.file.Files
import java.nio.file.Path
import kotlin.io.path.listDirectoryEntries
import kotlin.io.path.readText

/** Wake-ups out of a real relay, and the words of notifications. */
class PushTest {
    private val spool: Path = Files.createTempDirectory("rcseal-spool-")

    @Test
    fun `a wake-up brings what waits and says nothing of it`() = inWorld(listOf("--wake-ups", spool.toString())) { world ->
        val (anna, ben) = world.client("anna") to world.client("ben")
        anna.addContact(ben.invitation(), "ben")
        ben.registerPushToken(PushProvider.FCM, "a token of the provider's", "org.example")
        anna.conversationWith(ben).send("the secret is 12345")
        anna.syncOnce()
        val wakeUp = until("the wake-up") { spool.listDirectoryEntries("*.json").firstOrNull()?.readText() }
        assertFalse("12345" in wakeUp)
        val payload = checkNotNull(Regex("\"payload\":\\s*\"((?:[^\"\\\\]|\\\\.)*)\"").find(wakeUp)).groupValues[1].replace("\\\"", "\"")
        val outcome = ben.processPush(payload, deadlineMs = 20_000)
        assertTrue(outcome.isComplete)
        val notification = outcome.notifications.single()
        assertEquals(PushKind.MESSAGE, notification.kind)
        assertEquals(1u, notification.count)
        for (language in Words.languages()) {
            val words = Words.of(notification.wordsKey, language)
            assertTrue(words.placeholders.isEmpty())
            assertFalse("12345" in "${words.title} ${words.body} ${words.accessibility}")
        }
        ben.knowing(anna).received("the secret is 12345")
        ben.unregisterPushToken()
    }

    @Test
    fun `a payload that is no wake-up is an error of push`() = inWorld { world ->
        val ben = world.client("ben")
        for (payload in listOf("", "{}", "hello")) failing<RcsealException.Push> { ben.processPush(payload, deadlineMs = 1_000) }
        failing<RcsealException.Push> { ben.registerPushToken(PushProvider.FCM, "", "org.example") }
    }

    @Test
    fun `every state of the catalogue has words in every language`() {
        val keys = Words.languages().map { language -> Words.all(language).map { it.key } }
        assertTrue(keys.first().isNotEmpty())
        keys.forEach { assertEquals(keys.first(), it) }
        val failure = runCatching { Words.of("no.such.key", "en") }.exceptionOrNull()
        assertEquals("words.unknown_key", (failure as RcsealException.InvalidArgument).code)
        assertEquals(Words.of(keys.first().first(), "en"), Words.of(keys.first().first(), "xx"))
    }

    @Test
    fun `the code of an error leads to its words`() {
        val found = listOf("backup_wrong_secret", "store.damaged", "vault.not_found", "link_expired").map { Words.of(it, "de").key }
        assertEquals(listOf("backup.wrong_passphrase", "store.damaged", "vault.invalidated", "link.start_over"), found)
        val failure = runCatching { Words.of("argument_malformed", "en") }.exceptionOrNull()
        assertEquals("words.unknown_key", (failure as RcsealException.InvalidArgument).code)
    }
}
