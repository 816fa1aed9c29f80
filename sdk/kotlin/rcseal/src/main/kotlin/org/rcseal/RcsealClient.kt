package org.rcseal

import kotlinx.coroutines.Job
import kotlinx.coroutines.flow.Flow
import org.rcseal.internal.VaultAdapter
import org.rcseal.internal.calling
import org.rcseal.internal.observed
import org.rcseal.internal.reporting
import org.rcseal.ffi.ConnectionListener
import org.rcseal.ffi.EventListener
import org.rcseal.ffi.MessageListener
import org.rcseal.ffi.RcsealClient as Generated

/**
 * A client over a folder and a key vault: one device of one account.
 *
 * ```kotlin
 * val client = RcsealClient.open(ClientConfig(folder, authoritiesPem), AndroidKeyVault(context))
 * client.connect()
 * val conversation = client.conversation(contactId)
 * conversation.send(OutgoingMessage.Text("hello"))
 * client.observeEvents().collect { event -> show(event) }
 * ```
 *
 * Calls may be made from any thread and any number at a time. A coroutine that is cancelled stops waiting; the call itself runs to its end,
 * so the store is whole whatever happens to the caller. Every call throws [RcsealException], and after [close] every call throws
 * [RcsealException.Closed].
 */
public class RcsealClient private constructor(private val generated: Generated) : AutoCloseable {
    /** Complete once the client was closed: flows end with it. */
    private val closed = Job()

    /** Closes the client without waiting. Calls under way end with [RcsealException.Closed], and so does every call from now on. */
    override fun close() {
        calling { generated.shutdownNow() }
        closed.complete()
    }

    /** Closes the client and waits until its store is free to be opened again. */
    public suspend fun shutdown() {
        closed.complete()
        calling { generated.shutdown() }
    }

    /** Whether the client was closed. */
    public val isClosed: Boolean
        get() = calling { generated.isClosed() }

    // The account.

    /** This device and its account; `null` before there is one. */
    public suspend fun account(): Account? = calling { generated.account() }

    /**
     * Creates an account: its keys here, then its entry at the server. Once the keys are here this answers, even when the server did not:
     * look at `isRegistered`, and at `failureCode` if it is not.
     */
    public suspend fun createAccount(account: NewAccount): CreatedAccount = calling { generated.createAccount(account) }

    /** Makes an account known to its server that was created here and that the server does not know yet. */
    public suspend fun register(invite: String? = null): Unit = calling { generated.register(invite) }

    /** The recovery code that the user has not confirmed to have written down. */
    public suspend fun pendingRecoveryCode(): String? = calling { generated.pendingRecoveryCode() }

    /** The user has written the recovery code down: it is deleted here. */
    public suspend fun confirmRecoveryCode(): Unit = calling { generated.confirmRecoveryCode() }

    /** Takes an account back whose devices are lost, with its recovery code, on a device that has none. The other devices are taken out. */
    public suspend fun recoverAccount(accountId: String, recoveryCode: String, account: NewAccount): CreatedAccount =
        calling { generated.recoverAccount(accountId, recoveryCode, account) }

    /** Calls a reset of this account off that somebody asked for. */
    public suspend fun vetoReset(): Unit = calling { generated.vetoReset() }

    /** How safe this device is, and what the user should know. */
    public suspend fun securityState(): SecurityState = calling { generated.securityState() }

    /** Replaces the account key, on the primary device only. Contacts who had compared safety numbers have to do so again. */
    public suspend fun rotateKeys(): Unit = calling { generated.rotateKeys() }

    /** Writes everything readable into a new file: JSON Lines, for its owner alone. It holds no key. */
    public suspend fun exportData(path: String): ExportSummary = calling { generated.exportData(path) }

    // The connection.

    /** Starts to serve this device in the background: delivers, sends, fetches, reconnects. Does nothing when it is under way. */
    public suspend fun connect(): Unit = calling { generated.connect() }

    /** Ends that and waits for it. What was sent and not yet delivered to a server stays here until the next time. */
    public suspend fun disconnect(): Unit = calling { generated.disconnect() }

    /** How the client stands with its server. */
    public fun connectionState(): ConnectionState = calling { generated.connectionState() }

    /** The app has learnt that the network is another, or back: whatever waits for its next attempt makes it now. */
    public fun networkChanged(): Unit = calling { generated.networkChanged() }

    /** Connects once, takes in all that waits, sends all that can be sent, and disconnects. Refused between [connect] and [disconnect]. */
    public suspend fun syncOnce(): SyncReport = calling { generated.syncOnce() }

    // Contacts.

    /** An invitation to write to this account, as text or for a QR code. Whoever has it can write to the account. */
    public suspend fun invitation(): String = calling { generated.invitation() }

    /** Takes an invitation in. The contact can be written to at once. */
    public suspend fun addContact(invitation: String, name: String): Contact = calling { generated.addContact(invitation, name) }

    /** Every contact. */
    public suspend fun contacts(): List<Contact> = calling { generated.contacts() }

    /** One contact. */
    public suspend fun contact(contactId: String): Contact = calling { generated.contact(contactId) }

    /** Gives a contact another name. */
    public suspend fun renameContact(contactId: String, name: String): Unit = calling { generated.renameContact(contactId, name) }

    /** Blocks a contact, or ends that. */
    public suspend fun blockContact(contactId: String, isBlocked: Boolean = true): Unit =
        calling { generated.blockContact(contactId, isBlocked) }

    /** Forgets a contact. The conversation stays. */
    public suspend fun removeContact(contactId: String): Unit = calling { generated.removeContact(contactId) }

    /** Takes the new account key of a contact for genuine without comparing. */
    public suspend fun acceptChange(contactId: String): Unit = calling { generated.acceptChange(contactId) }

    /** The safety number with a contact, once its keys are known. */
    public suspend fun safetyNumber(contactId: String): SafetyNumber = SafetyNumber(calling { generated.safetyNumber(contactId) })

    // Conversations.

    /** Conversations, those with the newest messages first: the page after the conversation [after], or the first one. */
    public suspend fun conversations(limit: Int = PAGE, after: String? = null): List<ConversationSummary> =
        calling { generated.conversations(limit.coerceAtLeast(0).toUInt(), after) }

    /** The conversation with a contact. */
    public suspend fun conversation(contactId: String): Conversation = Conversation(calling { generated.conversation(contactId) })

    // What happens. Each flow subscribes when it is collected and lets go when the collection ends; it completes when the client is closed.
    // A slow collector slows its own flow and nothing else. What was collected to its end is not told again, not even after a restart; so
    // an app that wants both messages and events collects both, and begins before it connects.

    /** Messages that came or changed, beginning with the oldest change that nobody has dealt with. */
    public fun observeMessages(): Flow<MessageUpdate> = observed(closed) { tell ->
        generated.observeMessages(object : MessageListener {
            override fun onMessage(change: MessageChange, message: Message) = tell(MessageUpdate(change, message))
        })
    }

    /** Everything that happens, messages without their words. */
    public fun observeEvents(): Flow<ClientEvent> = observed(closed) { tell ->
        generated.observeEvents(object : EventListener {
            override fun onEvent(event: ClientEvent) = tell(event)
        })
    }

    /** How the client stands with its server, beginning with how it stands now. States in between may be left out. */
    public fun observeConnection(): Flow<ConnectionState> = observed(closed) { tell ->
        generated.observeConnection(object : ConnectionListener {
            override fun onConnection(state: ConnectionState) = tell(state)
        })
    }

    // Policy.

    /** The account's fallback policy; `null` where none was set, and nothing that others can read is sent. */
    public suspend fun fallbackPolicy(): FallbackPolicy? = calling { generated.fallbackPolicy() }

    /** Sets it, or takes it back. Of several policies that apply the strictest counts. */
    public suspend fun setFallbackPolicy(policy: FallbackPolicy?): Unit = calling { generated.setFallbackPolicy(policy) }

    /** Messages that wait for the user's word, because a device they go to has other keys than before. */
    public suspend fun heldMessages(): List<HeldMessage> = calling { generated.heldMessages() }

    /** The user has decided that a held message goes to the keys its recipients have now. */
    public suspend fun approveHeld(conversationId: String, messageId: String): Unit =
        calling { generated.approveHeld(conversationId, messageId) }

    // Devices.

    /** On a device without an account: begins to be linked to an account of this server. */
    public suspend fun linkDevice(origin: String, platform: Platform): LinkRequest =
        LinkRequest(calling { generated.linkStart(origin, platform) })

    /** On the primary device: links the device that showed this code. Answers its number. */
    public suspend fun approveLink(text: String): Int = calling { generated.linkApprove(text) }.toInt()

    /** The account's devices. */
    public suspend fun devices(): List<Device> = calling { generated.devices() }

    /** Takes a device out of the account; on the primary device only. */
    public suspend fun removeDevice(number: Int): Unit = calling {
        // A number that is no byte is no device's; the call says so.
        generated.removeDevice(if (number in 0..UByte.MAX_VALUE.toInt()) number.toUByte() else 0u)
    }

    // An RCS stack of the app's own. An account uses one of the two forms at a time: the app asks for what it carries (`useAppStack`,
    // `getOrCreateSession`), or lends its stack (`attachHostStack`). Both give what the stack receives to `decrypt`.

    /** The user gives a contact a number, or takes it back. Nothing goes to a contact by a carrier before that. */
    public suspend fun setContactNumber(contactId: String, number: String?): Unit = calling { generated.setContactNumber(contactId, number) }

    /** The app has a stack of its own, and asks for what it carries. Contacts are told of the number, end to end. */
    public suspend fun useAppStack(config: HostStackConfig): Unit = calling { generated.useAppStack(config) }

    /** The app lends its stack: what goes by the carrier is handed to it while the client is connected. To be called after each [open]. */
    public suspend fun attachHostStack(config: HostStackConfig, stack: RcsStack): Unit =
        calling { generated.attachHostStack(config, StackAdapter(stack)) }

    /** The app's stack is gone for good: contacts are told that nothing comes here by a carrier any more. */
    public suspend fun leaveCarrier(): Unit = calling { generated.leaveCarrier() }

    /**
     * The session with a contact. Its messages go by the carrier from now on where they can. The keys are those of the conversation: a
     * contact that was never heard is written to by [Conversation.send] first.
     */
    public suspend fun getOrCreateSession(contactId: String): SecureSession =
        SecureSession(calling { generated.getOrCreateSession(contactId) })

    /**
     * Takes in what the app's stack received. It is durable when this returns; after an error tell the network "later" (503).
     * [isAsserted] says that the network vouches for the number.
     */
    public suspend fun decrypt(
        fromNumber: String?,
        isAsserted: Boolean,
        contentType: String,
        contentEncoding: String?,
        body: ByteArray,
    ): DecryptOutcome = calling { generated.decrypt(fromNumber, isAsserted, contentType, contentEncoding, body) }

    // Wake-ups.

    /**
     * Tells the server where to wake this device. To be called at every start of the app: each call rotates what names the device in a
     * wake-up. [appId] is the topic at Apple's service, the project at Google's.
     */
    public suspend fun registerPushToken(provider: PushProvider, token: String, appId: String): Unit =
        calling { generated.registerPushToken(provider, token.encodeToByteArray(), appId) }

    /** Tells the server to wake this device no more. */
    public suspend fun unregisterPushToken(): Unit = calling { generated.unregisterPushToken() }

    /** Takes in what waits, and returns before the deadline. Work that is left is marked for the app. A server that is away is no error. */
    public suspend fun processPush(payload: String, deadlineMs: Long): PushOutcome =
        calling { generated.processPush(payload, deadlineMs.coerceAtLeast(0).toULong()) }

    // Backups, and the end of an account.

    /** Writes a backup. A file of that name is replaced, and only by a whole one. It never holds live sessions. */
    public suspend fun createBackup(
        path: String,
        secret: BackupSecret,
        onProgress: ((done: Long, total: Long) -> Unit)? = null,
    ): BackupSummary = calling { generated.createBackup(path, secret.generated(), onProgress?.let(::reporting)) }

    /**
     * Restores a backup. On a client without an account a backup with the account key makes this device the account's new and only one; on a
     * client with an account and without messages contacts and history come into it.
     */
    public suspend fun restoreBackup(
        path: String,
        secret: BackupSecret,
        platform: Platform,
        onProgress: ((done: Long, total: Long) -> Unit)? = null,
    ): RestoreOutcome = calling { generated.restoreBackup(path, secret.generated(), platform, onProgress?.let(::reporting)) }

    /** Deletes the account at its server and then everything on this device; on the primary device only. Closes the client. */
    public suspend fun deleteAccount() {
        calling { generated.deleteAccount() }
        closed.complete()
    }

    /** Erases everything on this device and tells nobody: for a device that is none of its account any more. Closes the client. */
    public suspend fun erase() {
        calling { generated.erase() }
        closed.complete()
    }

    // What the maker of the app learns, and may set from afar.

    /** Counts since the last report, as JSON, rounded down, without ids and times; `null` where telemetry is off. Nothing sends it by itself. */
    public suspend fun telemetryReport(): String? = calling { generated.telemetryReport() }

    /** Takes a signed document that the app fetched. */
    public suspend fun applyRemoteConfig(document: ByteArray): RemoteConfig = calling { generated.applyRemoteConfig(document) }

    /** What counts now. */
    public suspend fun remoteConfig(): RemoteConfig = calling { generated.remoteConfig() }

    public companion object {
        /** More than a screen shows. */
        private const val PAGE = 50

        /** Opens the client in a folder, or makes a new one there. Waits for the key vault, at most as long as the configuration allows. */
        public suspend fun open(config: ClientConfig, keyVault: KeyVault): RcsealClient =
            RcsealClient(calling { Generated.open(config, VaultAdapter(keyVault)) })

        /**
         * Moves a store aside that cannot be opened any more, whole, so that the next [open] makes a new one in its place, without account,
         * contacts or messages. To be called when the user has been told and has decided, and never by itself. Refused while a client has
         * the store open, and while the vault does not answer.
         */
        public suspend fun setStoreAside(folder: String, keyVault: KeyVault): StoreSetAside =
            calling { org.rcseal.ffi.setStoreAside(folder, VaultAdapter(keyVault)) }
    }
}
