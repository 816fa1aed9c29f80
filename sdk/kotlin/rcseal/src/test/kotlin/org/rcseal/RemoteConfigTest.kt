package org.rcseal

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.security.KeyPair
import java.security.KeyPairGenerator
import java.security.Signature
import kotlin.time.Duration
import kotlin.time.Duration.Companion.hours

/** What the maker of an app may set from afar: documents are signed here as `docs/protocol/push.md` says, with keys drawn for each test. */
class RemoteConfigTest {
    private val maker = newKey()

    private fun newKey(): KeyPair = KeyPairGenerator.getInstance("Ed25519").generateKeyPair()

    /** The key as apps are built with it: the 32 bytes at the end of its usual encoding. */
    private fun KeyPair.raw(): ByteArray = public.encoded.takeLast(32).toByteArray()

    private fun document(counter: Int, values: String, by: KeyPair = maker, valid: Duration = 1.hours): ByteArray {
        val now = System.currentTimeMillis()
        val expires = now + valid.inWholeMilliseconds
        val json = """{"counter":$counter,"issued_at_ms":$now,"expires_at_ms":$expires,"values":$values}""".encodeToByteArray()
        val version = byteArrayOf(1)
        val signature = Signature.getInstance("Ed25519").run {
            initSign(by.private)
            update("rcseal/remote-config/v1".encodeToByteArray() + version + json)
            sign()
        }
        return version + signature + json
    }

    private suspend fun World.open(name: String, key: KeyPair?): RcsealClient =
        RcsealClient.open(config(name).copy(remoteConfigKey = key?.raw()), vault(name))

    private suspend fun refused(client: RcsealClient, document: ByteArray): String =
        failing<RcsealException.InvalidArgument> { client.applyRemoteConfig(document) }.also { assertFalse(it.retryable) }.code

    @Test
    fun `a signed document counts, over a restart too, and an older one never again`() = inWorld { world ->
        val client = world.open("anna", maker)
        assertEquals(0uL, client.remoteConfig().counter)
        val taken = client.applyRemoteConfig(document(2, """{"canary_percent":100,"rekey_seconds_max":1,"later":5}"""))
        assertEquals(2uL, taken.counter)
        assertFalse(taken.isExpired)
        assertTrue(taken.isCanary)
        assertEquals(setOf(RemoteValue("canary_percent", 100u, false), RemoteValue("rekey_seconds_max", 600u, true)), taken.values.toSet())
        assertEquals(listOf("later"), taken.unknown)
        assertEquals("remote_config_rollback", refused(client, document(1, "{}")))
        assertEquals(taken, client.remoteConfig())
        client.shutdown()
        world.open("anna", maker).use { again ->
            assertEquals(taken, again.remoteConfig())
            assertEquals("remote_config_rollback", refused(again, document(1, "{}")))
            assertEquals(3uL, again.applyRemoteConfig(document(3, "{}")).counter)
        }
    }

    @Test
    fun `a document of another key, a changed, a late or an unasked one is refused`() = inWorld { world ->
        world.open("anna", maker).use { client ->
            assertEquals("remote_config_signature", refused(client, document(1, "{}", by = newKey())))
            val changed = document(1, """{"no_sms":0}""").also { it[it.lastIndex - 2] = '1'.code.toByte() }
            assertEquals("remote_config_signature", refused(client, changed))
            assertEquals("remote_config_expired", refused(client, document(1, "{}", valid = (-1).hours)))
            assertEquals("remote_config_malformed", refused(client, byteArrayOf(1)))
            assertEquals(0uL, client.remoteConfig().counter)
        }
        world.open("ben", null).use { client -> assertEquals("remote_config_off", refused(client, document(1, "{}"))) }
    }

    @Test
    fun `what is switched off is refused until a newer document allows it again`() = inWorld { world ->
        world.open("anna", maker).use { client ->
            client.applyRemoteConfig(document(1, """{"no_linking":1}"""))
            val off = failing<RcsealException> { client.linkDevice(world.relay.origin, Platform.ANDROID) }
            assertEquals("remote_config_switched_off", off.code)
            client.applyRemoteConfig(document(2, "{}"))
            client.linkDevice(world.relay.origin, Platform.ANDROID)
        }
    }
}
