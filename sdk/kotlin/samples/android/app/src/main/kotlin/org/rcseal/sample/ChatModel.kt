package org.rcseal.sample

import android.app.Application
import androidx.annotation.StringRes
import androidx.lifecycle.AndroidViewModel
import androidx.lifecycle.viewModelScope
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableSharedFlow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.onStart
import kotlinx.coroutines.launch
import org.rcseal.ConversationSecurity
import org.rcseal.ConversationSummary
import org.rcseal.Message
import org.rcseal.RcsealClient
import org.rcseal.RcsealException

/** What the screens show. It keeps no state of its own that the client has: after every change it reads again. */
class ChatModel(application: Application) : AndroidViewModel(application) {
    private val app get() = getApplication<SampleApplication>()
    private val changes = MutableSharedFlow<Unit>(replay = 1, extraBufferCapacity = 1, onBufferOverflow = kotlinx.coroutines.channels.BufferOverflow.DROP_OLDEST)
    private val shownProblem = MutableStateFlow<Problem?>(null)
    private var isFollowing = false

    /** What went wrong last, in words. */
    val problem: StateFlow<Problem?> = shownProblem.asStateFlow()

    fun connect() = attempt { client ->
        if (!isFollowing) {
            isFollowing = true
            // Listeners first. They belong to the process and not to this screen, since what they have heard is forgotten.
            app.scope.launch { client.observeEvents().collect { changes.emit(Unit) } }
        }
        if (client.account() != null) client.connect()
    }

    fun conversations(): Flow<List<ConversationSummary>> = following { it.conversations() }

    fun messages(contactId: String): Flow<List<Message>> = following { client ->
        val conversation = client.conversation(contactId)
        conversation.messages().also { page -> page.firstOrNull { !it.isOutgoing }?.let { conversation.markRead(it.order) } }
    }

    fun security(contactId: String): Flow<ConversationSecurity> = following { it.conversation(contactId).security() }

    fun send(contactId: String, text: String) = attempt { it.conversation(contactId).send(text) }

    suspend fun safetyNumber(contactId: String) = app.client().conversation(contactId).safetyNumber()

    /** Reads now and after every change. */
    private fun <T> following(read: suspend (RcsealClient) -> T): Flow<T> =
        changes.onStart { emit(Unit) }.map { read(app.client()) }

    private fun attempt(act: suspend (RcsealClient) -> Unit) {
        viewModelScope.launch {
            try {
                act(app.client())
                shownProblem.value = null
                changes.emit(Unit)
            } catch (failure: RcsealException) {
                shownProblem.value = Problem.of(failure)
            }
        }
    }
}

/** A failure as people read it: by kind and code, never the message, which is for developers. */
class Problem(@StringRes val text: Int, val code: String) {
    companion object {
        fun of(failure: RcsealException) = Problem(
            when {
                failure.code == "vault.key_invalidated" -> R.string.key_lost
                failure.code == "vault.user_not_authenticated" -> R.string.unlock
                failure.retryable -> R.string.try_again
                else -> R.string.failed
            },
            failure.code,
        )
    }
}
