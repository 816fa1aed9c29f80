package org.rcseal.sample

import androidx.annotation.StringRes
import androidx.compose.foundation.clickable
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.lazy.LazyColumn
import androidx.compose.foundation.lazy.items
import androidx.compose.material3.Badge
import androidx.compose.material3.ListItem
import androidx.compose.material3.Scaffold
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.runtime.collectAsState
import androidx.compose.runtime.getValue
import androidx.compose.runtime.remember
import androidx.compose.ui.Modifier
import androidx.compose.ui.res.stringResource
import androidx.compose.ui.semantics.contentDescription
import androidx.compose.ui.semantics.semantics
import org.rcseal.Padlock

@Composable
fun ConversationListScreen(model: ChatModel, open: (contactId: String) -> Unit) {
    val conversations by remember { model.conversations() }.collectAsState(emptyList())
    val problem by model.problem.collectAsState()
    Scaffold { inside ->
        Column(Modifier.padding(inside)) {
            problem?.let { Text(stringResource(it.text, it.code)) }
            LazyColumn {
                items(conversations, key = { it.id }) { line ->
                    ListItem(
                        headlineContent = { Text(line.title) },
                        supportingContent = { Text(line.lastMessage?.text.orEmpty(), maxLines = 1) },
                        leadingContent = { Lock(line.padlock) },
                        trailingContent = { if (line.unreadCount > 0u) Badge { Text("${line.unreadCount}") } },
                        modifier = Modifier.clickable(enabled = line.contactId != null) { line.contactId?.let(open) },
                    )
                }
            }
        }
    }
}

/** The padlock: a sign that is read out, too. */
@Composable
fun Lock(padlock: Padlock) {
    val words = stringResource(padlock.words)
    Text(padlock.sign, Modifier.semantics { contentDescription = words })
}

private val Padlock.sign: String
    get() = when (this) {
        Padlock.VERIFIED -> "\uD83D\uDD10"
        Padlock.END_TO_END -> "\uD83D\uDD12"
        Padlock.CHANGED -> "\u26A0\uFE0F"
        Padlock.READABLE -> "\uD83D\uDD13"
        Padlock.CLOSED -> "\u26D4"
    }

@get:StringRes
val Padlock.words: Int
    get() = when (this) {
        Padlock.VERIFIED -> R.string.lock_verified
        Padlock.END_TO_END -> R.string.lock_end_to_end
        Padlock.CHANGED -> R.string.lock_changed
        Padlock.READABLE -> R.string.lock_readable
        Padlock.CLOSED -> R.string.lock_closed
    }
