import Foundation
import RcsealFFI

/// A client over a folder and a key vault: one account on one device.
///
/// Every call ends in what it answers or in ``RcsealError``. A call that changes something runs to its end in one transaction, also when the
/// task that waits for it is cancelled: cancellation gives up waiting and nothing else. All members may be used from any thread and any actor.
///
/// ```swift
/// let client = try await RcsealClient.open(config, keyVault: SecureEnclaveKeyVault(accessGroup: group))
/// let updates = try client.observeMessages()
/// try await client.connect()
/// for await update in updates { show(update.message) }
/// ```
public final class RcsealClient: Sendable {
    let inner: RcsealFFI.RcsealClient

    init(_ inner: RcsealFFI.RcsealClient) { self.inner = inner }

    /// Opens the client in a folder, or makes a new one there.
    public static func open(_ config: ClientConfig, keyVault: any KeyVault) async throws(RcsealError) -> RcsealClient {
        RcsealClient(try await translated { try await RcsealFFI.RcsealClient.open(config: config, keyVault: keyVault) })
    }

    /// Puts the store of a folder aside that cannot be opened any more (it is damaged, or its key is gone), so that the next opening begins
    /// anew: the deliberate end of everything that was readable on this device. Nothing is deleted but what is left of a key that the system
    /// has discarded. Refused, and worth another try, while a client has the store open.
    public static func setStoreAside(folder: String, keyVault: any KeyVault) async throws(RcsealError) -> StoreSetAside {
        try await translated { try await RcsealFFI.setStoreAside(folder: folder, keyVault: keyVault) }
    }

    // MARK: - Closing

    /// Closes the client and waits until the store is free. Every call from now on ends with ``RcsealError/Kind/closed``.
    public func close() async throws(RcsealError) { try await translated { try await inner.shutdown() } }

    /// Closes the client without waiting. The last reference that goes does the same.
    public func closeNow() throws(RcsealError) { try translated { try inner.shutdownNow() } }

    /// Whether the client was closed.
    public var isClosed: Bool { (try? inner.isClosed()) ?? true }

    // MARK: - The account

    /// This device and its account; nothing before there is one.
    public func account() async throws(RcsealError) -> Account? { try await translated { try await inner.account() } }

    /// Creates an account: its keys here, then its entry at the server. Once the keys are here this answers, even when the server did not.
    public func createAccount(_ account: NewAccount) async throws(RcsealError) -> CreatedAccount {
        try await translated { try await inner.createAccount(account: account) }
    }

    /// Makes an account known to its server that was created here and that the server does not know yet.
    public func register(invite: String? = nil) async throws(RcsealError) {
        try await translated { try await inner.register(invite: invite) }
    }

    /// The recovery code that the user has not confirmed to have written down.
    public func pendingRecoveryCode() async throws(RcsealError) -> String? {
        try await translated { try await inner.pendingRecoveryCode() }
    }

    /// The user has written the recovery code down: it is deleted here.
    public func confirmRecoveryCode() async throws(RcsealError) { try await translated { try await inner.confirmRecoveryCode() } }

    /// Takes an account back whose devices are lost, with its recovery code, on a device that has none.
    public func recoverAccount(
        _ accountId: String, recoveryCode: String, as account: NewAccount
    ) async throws(RcsealError) -> CreatedAccount {
        try await translated {
            try await inner.recoverAccount(accountId: accountId, recoveryCode: recoveryCode, account: account)
        }
    }

    /// Calls a reset of this account off that somebody asked for.
    public func vetoReset() async throws(RcsealError) { try await translated { try await inner.vetoReset() } }

    /// How safe this device is, and what the user should know.
    public func securityState() async throws(RcsealError) -> SecurityState {
        try await translated { try await inner.securityState() }
    }

    /// Replaces the account key, on the primary device only. Contacts who had compared safety numbers have to do so again.
    public func rotateKeys() async throws(RcsealError) { try await translated { try await inner.rotateKeys() } }

    /// Writes everything readable into a new file: JSON Lines, for its owner alone. It holds no key.
    public func exportData(to file: URL) async throws(RcsealError) -> ExportSummary {
        try await translated { try await inner.exportData(path: file.path) }
    }

    // MARK: - The connection

    /// Starts to serve this device in the background. Does nothing when that is under way. Observe before, and nothing is missed.
    public func connect() async throws(RcsealError) { try await translated { try await inner.connect() } }

    /// Ends that and waits for it.
    public func disconnect() async throws(RcsealError) { try await translated { try await inner.disconnect() } }

    /// How the client stands with its server.
    public func connectionState() throws(RcsealError) -> ConnectionState { try translated { try inner.connectionState() } }

    /// The app has learnt that the network is another, or back: whatever waits for its next attempt makes it now.
    public func networkChanged() throws(RcsealError) { try translated { try inner.networkChanged() } }

    /// Connects once, takes in all that waits, sends all that can be sent, and disconnects.
    public func syncOnce() async throws(RcsealError) -> SyncReport { try await translated { try await inner.syncOnce() } }

    // MARK: - Contacts

    /// An invitation to write to this account, as text or for a QR code. Whoever has it can write to the account.
    public func invitation() async throws(RcsealError) -> String { try await translated { try await inner.invitation() } }

    /// Takes an invitation in. The contact can be written to at once.
    @discardableResult
    public func addContact(_ invitation: String, name: String) async throws(RcsealError) -> Contact {
        try await translated { try await inner.addContact(invitation: invitation, name: name) }
    }

    /// Every contact.
    public func contacts() async throws(RcsealError) -> [Contact] { try await translated { try await inner.contacts() } }

    /// One contact.
    public func contact(_ id: String) async throws(RcsealError) -> Contact {
        try await translated { try await inner.contact(contactId: id) }
    }

    /// Gives a contact another name.
    public func renameContact(_ id: String, to name: String) async throws(RcsealError) {
        try await translated { try await inner.renameContact(contactId: id, name: name) }
    }

    /// Blocks a contact, or ends that.
    public func blockContact(_ id: String, _ isBlocked: Bool = true) async throws(RcsealError) {
        try await translated { try await inner.blockContact(contactId: id, isBlocked: isBlocked) }
    }

    /// Forgets a contact. The conversation stays.
    public func removeContact(_ id: String) async throws(RcsealError) {
        try await translated { try await inner.removeContact(contactId: id) }
    }

    /// Takes the new account key of a contact for genuine without comparing.
    public func acceptChange(of id: String) async throws(RcsealError) {
        try await translated { try await inner.acceptChange(contactId: id) }
    }

    /// The safety number with a contact, once its keys are known.
    public func safetyNumber(with id: String) async throws(RcsealError) -> SafetyNumber {
        SafetyNumber(try await translated { try await inner.safetyNumber(contactId: id) })
    }

    // MARK: - Conversations

    /// A page of the list, newest first. The next page begins after the id of the last line of this one.
    public func conversations(limit: UInt32 = 50, after: String? = nil) async throws(RcsealError) -> [ConversationSummary] {
        try await translated { try await inner.conversations(limit: limit, after: after) }
    }

    /// The conversation with a contact.
    public func conversation(with contactId: String) async throws(RcsealError) -> Conversation {
        Conversation(try await translated { try await inner.conversation(contactId: contactId) })
    }

    /// The account's fallback policy; nothing where none was set, and then nothing that others can read is sent.
    public func fallbackPolicy() async throws(RcsealError) -> FallbackPolicy? {
        try await translated { try await inner.fallbackPolicy() }
    }

    /// Sets it, or takes it back. Of several policies that apply the strictest counts.
    public func setFallbackPolicy(_ policy: FallbackPolicy?) async throws(RcsealError) {
        try await translated { try await inner.setFallbackPolicy(policy: policy) }
    }

    /// Messages that wait for the user's word.
    public func heldMessages() async throws(RcsealError) -> [HeldMessage] {
        try await translated { try await inner.heldMessages() }
    }

    /// The user has decided that a held message goes to the keys its recipients have now.
    public func approveHeld(_ message: HeldMessage) async throws(RcsealError) {
        try await translated { try await inner.approveHeld(conversationId: message.conversationId, messageId: message.messageId) }
    }

    // MARK: - Devices

    /// On a device without an account: begins to be linked to an account of this server.
    public func linkDevice(origin: String, platform: Platform) async throws(RcsealError) -> LinkRequest {
        LinkRequest(try await translated { try await inner.linkStart(origin: origin, platform: platform) })
    }

    /// On the primary device: links the device that showed this code. Answers its number.
    public func approveLink(_ text: String) async throws(RcsealError) -> UInt8 {
        try await translated { try await inner.linkApprove(text: text) }
    }

    /// The account's devices.
    public func devices() async throws(RcsealError) -> [Device] { try await translated { try await inner.devices() } }

    /// Takes a device out of the account; on the primary device only.
    public func removeDevice(_ number: UInt8) async throws(RcsealError) {
        try await translated { try await inner.removeDevice(number: number) }
    }

    // MARK: - Observing

    /// Messages that come and messages that change, in their order. The library forgets one when the loop asks for the next.
    public func observeMessages() throws(RcsealError) -> AsyncStream<MessageUpdate> {
        try Handover.stream { try inner.observeMessages(listener: Messages($0)) }
    }

    /// Everything that happens, in its order. The library forgets an event when the loop asks for the next.
    public func observeEvents() throws(RcsealError) -> AsyncStream<ClientEvent> {
        try Handover.stream { try inner.observeEvents(listener: Events($0)) }
    }

    /// How the client stands with its server, now and whenever that changes.
    public func observeConnection() throws(RcsealError) -> AsyncStream<ConnectionState> {
        try Handover.stream { try inner.observeConnection(listener: Connections($0)) }
    }
}
