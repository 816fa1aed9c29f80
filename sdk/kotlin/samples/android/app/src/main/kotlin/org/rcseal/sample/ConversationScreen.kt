package org.rcseal.sample

import androidx.compose.foundation.clickable
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.imePadding
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.lazy.LazyColumn
import androidx.compose.foundation.lazy.items
import androidx.compose.material3.Button
import androidx.compose.material3.ListItem
import androidx.compose.material3.OutlinedTextField
import androidx.compose.material3.Scaffold
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.runtime.collectAsState
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.remember
import androidx.compose.runtime.saveable.rememberSaveable
import androidx.compose.runtime.setValue
import androidx.compose.ui.Modifier
import androidx.compose.ui.res.stringResource

@Composable
fun ConversationScreen(model: ChatModel, contactId: String, compare: () -> Unit) {
    val messages by remember(contactId) { model.messages(contactId) }.collectAsState(emptyList())
    val security by remember(contactId) { model.security(contactId) }.collectAsState(null)
    var draft by rememberSaveable(contactId) { mutableStateOf("") }
    Scaffold(
        topBar = {
            // Who could read the next message stands above the field where it is written.
            security?.let { state ->
                Row(Modifier.clickable(onClick = compare)) {
                    Lock(state.padlock)
                    Text(stringResource(state.padlock.words))
                }
            }
        },
        bottomBar = {
            Row(Modifier.imePadding()) {
                OutlinedTextField(draft, { draft = it }, Modifier.weight(1f), label = { Text(stringResource(R.string.message)) })
                Button(
                    enabled = draft.isNotBlank() && security?.mode != null,
                    onClick = {
                        model.send(contactId, draft)
                        draft = ""
                    },
                ) { Text(stringResource(R.string.send)) }
            }
        },
    ) { inside ->
        Column(Modifier.padding(inside)) {
            LazyColumn(reverseLayout = true) {
                items(messages, key = { it.id + it.senderId }) { message ->
                    ListItem(
                        headlineContent = { Text(message.text ?: message.media?.fileName.orEmpty()) },
                        overlineContent = { if (!message.isEndToEnd) Text(stringResource(R.string.lock_readable)) },
                        supportingContent = { if (message.isOutgoing) Text(message.state.name.lowercase()) },
                    )
                }
            }
        }
    }
}
