package org.rcseal.sample

import android.app.NotificationChannel
import android.app.NotificationManager
import android.app.PendingIntent
import android.content.Context
import android.content.Intent
import com.google.firebase.messaging.FirebaseMessagingService
import com.google.firebase.messaging.RemoteMessage
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.rcseal.PushProvider
import org.rcseal.RcsealException
import org.rcseal.Words
import java.util.Locale

/**
 * A wake-up says that something waits, and nothing else: who, what and how much are fetched and decrypted here. The system gives a service
 * about ten seconds; the client is told fewer and returns before, with what is left marked for the app.
 */
class PushService : FirebaseMessagingService() {
    override fun onNewToken(token: String) {
        val app = application as SampleApplication
        app.scope.launch {
            // At every start of the app as well: each registration rotates the handle that the provider sees.
            runCatching { app.client().registerPushToken(PushProvider.FCM, token, packageName) }
        }
    }

    override fun onMessageReceived(message: RemoteMessage) {
        val payload = message.data["payload"] ?: return
        val app = application as SampleApplication
        // This runs on a thread of the service's own, and the process may be stopped as soon as it returns.
        runBlocking {
            try {
                val outcome = app.client().processPush(payload, DEADLINE_MS)
                outcome.notifications.forEach { show(it.wordsKey, it.conversationId) }
                outcome.pendingWordsKey?.let { show(it, null) }
            } catch (failure: RcsealException.Vault) {
                show("notification.unlock", null)
            } catch (failure: RcsealException) {
                // Nothing is shown for what nobody can act on; the next start of the app fetches what waits.
            }
        }
    }

    /** The words come from the catalogue: no content, no name, no number. */
    private fun show(wordsKey: String, conversationId: String?) {
        val words = Words.of(wordsKey, Locale.getDefault().toLanguageTag())
        val manager = getSystemService(Context.NOTIFICATION_SERVICE) as NotificationManager
        manager.createNotificationChannel(NotificationChannel(CHANNEL, getString(R.string.conversations), NotificationManager.IMPORTANCE_HIGH))
        val open = PendingIntent.getActivity(this, 0, Intent(this, MainActivity::class.java), PendingIntent.FLAG_IMMUTABLE)
        val notification = android.app.Notification.Builder(this, CHANNEL)
            .setSmallIcon(android.R.drawable.stat_notify_chat)
            .setContentTitle(words.title)
            .setContentText(words.body)
            .setContentIntent(open)
            .setAutoCancel(true)
            .build()
        manager.notify(conversationId.hashCode(), notification)
    }

    private companion object {
        const val CHANNEL = "messages"
        const val DEADLINE_MS = 8_000L
    }
}
