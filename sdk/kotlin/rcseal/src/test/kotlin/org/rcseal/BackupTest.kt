package org.rcseal

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import kotlin.io.path.readBytes
import kotlin.io.path.writeBytes
import kotlin.io.path.writeText

/** Backups and the end of an account. */
class BackupTest {
    @Test
    fun `a lost phone comes back with contacts and history as a new device`() = inWorld { world ->
        val (anna, ben) = world.pair()
        val here = anna.conversationWith(ben)
        here.send("before the loss")
        ben.knowing(anna).received("before the loss")
        val file = world.folder.resolve("anna.backup").toString()
        val secret = BackupSecret.Written(Backups.generateSecret())
        val summary = anna.createBackup(file, secret)
        assertTrue(summary.hasAccountKey)
        assertTrue(Backups.inspect(file).isGenerated)
        val account = checkNotNull(anna.account()).accountId
        anna.shutdown()
        val phone = world.blank("new phone")
        val outcome = phone.restoreBackup(file, secret, Platform.ANDROID)
        assertTrue(outcome.isNewDevice)
        assertEquals(account, outcome.accountId)
        assertEquals(listOf("before the loss"), phone.conversationWith(ben).messages().map { it.text })
        phone.connect()
        phone.conversationWith(ben).send("on a new phone")
        ben.knowing(phone).received("on a new phone")
    }

    @Test
    fun `a wrong secret, a cut file and a changed file have codes of their own`() = inWorld { world ->
        val anna = world.client("anna")
        val file = world.folder.resolve("anna.backup")
        val secret = BackupSecret.Passphrase("correct horse battery staple")
        assertFalse(anna.createBackup(file.toString(), secret).hasAccountKey)
        val blank = world.client("other")
        suspend fun code(with: BackupSecret = secret) =
            failing<RcsealException.Backup> { blank.restoreBackup(file.toString(), with, Platform.ANDROID) }.code
        assertEquals("backup_wrong_secret", code(BackupSecret.Passphrase("an entirely wrong one")))
        val whole = file.readBytes()
        file.writeBytes(whole.copyOf(whole.size - 1))
        assertEquals("backup_truncated", code())
        file.writeBytes(whole.copyOf().also { it[it.size - 20] = (it[it.size - 20] + 1).toByte() })
        assertEquals("backup_tampered", code())
        file.writeText("holiday pictures")
        assertEquals("backup_not_a_backup", code())
        assertEquals("backup_weak_passphrase", failing<RcsealException> { anna.createBackup(file.toString(), BackupSecret.Passphrase("short")) }.code)
    }

    @Test
    fun `an account that is deleted is gone here and there`() = inWorld { world ->
        val client = world.client("anna")
        client.deleteAccount()
        assertEquals("closed", failing<RcsealException.Closed> { client.account() }.code)
        assertNull(world.blank("anna").account())
    }

    @Test
    fun `secrets say nothing of themselves`() {
        val secret = Backups.generateSecret()
        assertEquals("Written", BackupSecret.Written(secret).toString())
        assertEquals("Passphrase", BackupSecret.Passphrase("correct horse").toString())
        assertEquals("Text", OutgoingMessage.Text("hello").toString())
    }
}
