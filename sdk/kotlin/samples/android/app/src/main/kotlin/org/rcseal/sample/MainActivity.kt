package org.rcseal.sample

import android.os.Bundle
import android.view.WindowManager
import androidx.activity.ComponentActivity
import androidx.activity.compose.BackHandler
import androidx.activity.compose.setContent
import androidx.activity.viewModels
import androidx.compose.material3.MaterialTheme
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.saveable.rememberSaveable
import androidx.compose.runtime.setValue

class MainActivity : ComponentActivity() {
    private val model: ChatModel by viewModels()

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        // Messages and safety numbers do not belong into screenshots and into the list of recent apps.
        window.setFlags(WindowManager.LayoutParams.FLAG_SECURE, WindowManager.LayoutParams.FLAG_SECURE)
        setContent {
            MaterialTheme {
                var contact by rememberSaveable { mutableStateOf<String?>(null) }
                var isComparing by rememberSaveable { mutableStateOf(false) }
                BackHandler(enabled = contact != null) { if (isComparing) isComparing = false else contact = null }
                val open = contact
                when {
                    open == null -> ConversationListScreen(model) { contact = it }
                    isComparing -> VerifyScreen(model, open)
                    else -> ConversationScreen(model, open) { isComparing = true }
                }
            }
        }
    }

    override fun onStart() {
        super.onStart()
        model.connect()
    }
}
