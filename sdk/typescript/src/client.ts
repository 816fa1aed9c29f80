import type { BackupSecret, BackupSummary, RestoreOutcome } from "./backup.js";
import { configuration } from "./configuration.js";
import { Conversation, SafetyNumber, told, type OnProgress } from "./conversation.js";
import { ours, oursNow, record } from "./errors.js";
import {
  carrying,
  SecureSession,
  type DecryptOutcome,
  type HostStackConfig,
  type RcsStack,
  type ReceivedPayload,
} from "./hand-over.js";
import { native, type NativeClient, type NativeLinkRequest } from "./native.js";
import { iterated, subscribed, type Subscription } from "./observe.js";
import type { PushOutcome, PushProvider } from "./push.js";
import type {
  Account,
  ClientConfig,
  ClientEvent,
  ConnectionState,
  Contact,
  ConversationSummary,
  CreatedAccount,
  Device,
  ExportSummary,
  FallbackPolicy,
  HeldMessage,
  MessageNotice,
  NewAccount,
  Platform,
  RemoteConfig,
  SecurityState,
  StoreSetAside,
  SyncReport,
} from "./types.js";
import { asking, type KeyVault } from "./vault.js";

/** A device that shows its code and waits to be linked. */
export class LinkRequest {
  /** What to show the primary device, as a QR code or as text. Whoever reads it can link this device, so it is shown to nobody else. */
  readonly text: string;
  readonly #native: NativeLinkRequest;

  /** @internal */
  constructor(native: NativeLinkRequest) {
    this.#native = native;
    this.text = native.text;
  }

  /** Waits for the primary device, and becomes part of its account. May be called once. */
  finish(): Promise<void> {
    return ours(() => this.#native.finish());
  }
}

/**
 * A client over a folder and a key vault.
 *
 * What changes something goes on to its end whether or not anybody still waits for it, in one transaction.
 */
export class RcsealClient {
  readonly #native: NativeClient;
  readonly #closed: Promise<void>;
  #tellClosed: () => void = () => {};

  private constructor(native: NativeClient) {
    this.#native = native;
    this.#closed = new Promise((resolve) => (this.#tellClosed = resolve));
  }

  /** Opens the client in a folder, or makes a new one there. */
  static async open(config: ClientConfig, keyVault: KeyVault): Promise<RcsealClient> {
    const vault = asking(keyVault);
    return new RcsealClient(await ours(() => native().NativeClient.open(configuration(config), vault)));
  }

  /**
   * Moves a store aside that cannot be opened any more, so that the next `open` makes a new one there, without account, contacts or
   * messages. To be called when the user has been told and has decided, and never by itself. Refused while a client has the store open.
   */
  static setStoreAside(folder: string, keyVault: KeyVault): Promise<StoreSetAside> {
    return record(() => native().setStoreAside(folder, asking(keyVault)));
  }

  /** Closes the client and waits until the store is free. Calls under way reject with `closed`, and so does every call from now on. */
  close(): Promise<void> {
    this.#tellClosed();
    return ours(() => this.#native.close());
  }

  /** The same, for `await using`. */
  async [Symbol.for("Symbol.asyncDispose")](): Promise<void> {
    await this.close();
  }

  /** Whether the client was closed. */
  get isClosed(): boolean {
    return this.#native.isClosed;
  }

  /** This device and its account; `null` before there is one. */
  account(): Promise<Account | null> {
    return record(() => this.#native.account());
  }

  /** Creates an account: its keys here, then its entry at the server. Once the keys are here this resolves, even when the server did not. */
  createAccount(account: NewAccount): Promise<CreatedAccount> {
    return record(() => this.#native.createAccount(JSON.stringify(account)));
  }

  /** Makes an account known to its server that was created here and that the server does not know yet. */
  register(invite?: string): Promise<void> {
    return ours(() => this.#native.register(invite));
  }

  /** The recovery code that the user has not confirmed to have written down. */
  pendingRecoveryCode(): Promise<string | null> {
    return ours(() => this.#native.pendingRecoveryCode());
  }

  /** The user has written the recovery code down: it is deleted here. */
  confirmRecoveryCode(): Promise<void> {
    return ours(() => this.#native.confirmRecoveryCode());
  }

  /** Takes an account back whose devices are lost, on a device that has none. The other devices are taken out. */
  recoverAccount(accountId: string, recoveryCode: string, account: NewAccount): Promise<CreatedAccount> {
    return record(() => this.#native.recoverAccount(accountId, recoveryCode, JSON.stringify(account)));
  }

  /** Calls a reset of this account off that somebody asked for. */
  vetoReset(): Promise<void> {
    return ours(() => this.#native.vetoReset());
  }

  /** How safe this device is, and what the user should know. */
  securityState(): Promise<SecurityState> {
    return record(() => this.#native.securityState());
  }

  /** Replaces the account key, on the primary device only. Contacts who had compared safety numbers have to do so again. */
  rotateKeys(): Promise<void> {
    return ours(() => this.#native.rotateKeys());
  }

  /** Writes everything readable into a new file: JSON Lines, for its owner alone. It holds no key. */
  exportData(path: string): Promise<ExportSummary> {
    return record(() => this.#native.exportData(path));
  }

  /** Starts to serve this device in the background. Does nothing when it is under way. */
  connect(): Promise<void> {
    return ours(() => this.#native.connect());
  }

  /** Ends that and waits for it. */
  disconnect(): Promise<void> {
    return ours(() => this.#native.disconnect());
  }

  /** How the client stands with its server. */
  connectionState(): ConnectionState {
    return JSON.parse(oursNow(() => this.#native.connectionState())) as ConnectionState;
  }

  /** The app has learnt that the network is another, or back: whatever waits for its next attempt makes it now. */
  networkChanged(): void {
    oursNow(() => this.#native.networkChanged());
  }

  /** Connects once, takes in all that waits, sends all that can be sent, and disconnects. */
  syncOnce(): Promise<SyncReport> {
    return record(() => this.#native.syncOnce());
  }

  /** An invitation: whoever has it can write to this account. */
  invitation(): Promise<string> {
    return ours(() => this.#native.invitation());
  }

  /** Takes an invitation. */
  addContact(invitation: string, name: string): Promise<Contact> {
    return record(() => this.#native.addContact(invitation, name));
  }

  /** Every contact. */
  contacts(): Promise<Contact[]> {
    return record(() => this.#native.contacts());
  }

  /** One contact. */
  contact(contactId: string): Promise<Contact> {
    return record(() => this.#native.contact(contactId));
  }

  /** Gives a contact another name. */
  renameContact(contactId: string, name: string): Promise<void> {
    return ours(() => this.#native.renameContact(contactId, name));
  }

  /** Blocks a contact, or ends that. */
  blockContact(contactId: string, isBlocked: boolean): Promise<void> {
    return ours(() => this.#native.blockContact(contactId, isBlocked));
  }

  /** Forgets a contact. The conversation stays. */
  removeContact(contactId: string): Promise<void> {
    return ours(() => this.#native.removeContact(contactId));
  }

  /** Takes the new account key of a contact for genuine without comparing. */
  acceptChange(contactId: string): Promise<void> {
    return ours(() => this.#native.acceptChange(contactId));
  }

  /** The safety number with a contact, once its keys are known. */
  async safetyNumber(contactId: string): Promise<SafetyNumber> {
    return new SafetyNumber(await ours(() => this.#native.safetyNumber(contactId)));
  }

  /** Conversations, those with the newest messages first: the page after the conversation `after`, or the first one. */
  conversations(limit: number, after?: string): Promise<ConversationSummary[]> {
    return record(() => this.#native.conversations(limit, after));
  }

  /** The conversation with a contact. */
  async conversation(contactId: string): Promise<Conversation> {
    return new Conversation(await ours(() => this.#native.conversation(contactId)));
  }

  /** The account's fallback policy; `null` where none was set, and nothing that others can read is sent. */
  fallbackPolicy(): Promise<FallbackPolicy | null> {
    return record(() => this.#native.fallbackPolicy());
  }

  /** Sets it, or takes it back with `null`. Of several policies that apply the strictest counts. */
  setFallbackPolicy(policy: FallbackPolicy | null): Promise<void> {
    return ours(() => this.#native.setFallbackPolicy(JSON.stringify(policy)));
  }

  /** Messages that wait for the user's word. */
  heldMessages(): Promise<HeldMessage[]> {
    return record(() => this.#native.heldMessages());
  }

  /** The user has decided that a held message goes to the keys its recipients have now. */
  approveHeld(conversationId: string, messageId: string): Promise<void> {
    return ours(() => this.#native.approveHeld(conversationId, messageId));
  }

  /** Begins to be linked to an account of this server, on a device without one. */
  async linkStart(origin: string, platform: Platform): Promise<LinkRequest> {
    return new LinkRequest(await ours(() => this.#native.linkStart(origin, JSON.stringify(platform))));
  }

  /** Links the device that showed this code, on the primary device. Resolves to its number. */
  linkApprove(text: string): Promise<number> {
    return ours(() => this.#native.linkApprove(text));
  }

  /** The account's devices. */
  devices(): Promise<Device[]> {
    return record(() => this.#native.devices());
  }

  /** Takes a device out of the account; on the primary device only. */
  removeDevice(number: number): Promise<void> {
    return ours(() => this.#native.removeDevice(number));
  }

  /** Writes a backup. A file of that name is replaced, and only by a whole one. */
  createBackup(path: string, secret: BackupSecret, onProgress?: OnProgress): Promise<BackupSummary> {
    return record(() => this.#native.createBackup(path, ...secret.expose(), told(onProgress)));
  }

  /**
   * Restores a backup. On a client without an account a backup with the account key makes this device the account's new and only one; on a
   * client with an account and without messages contacts and history come into it.
   */
  restoreBackup(
    path: string,
    secret: BackupSecret,
    platform: Platform,
    onProgress?: OnProgress,
  ): Promise<RestoreOutcome> {
    return record(() =>
      this.#native.restoreBackup(path, ...secret.expose(), JSON.stringify(platform), told(onProgress)),
    );
  }

  /** Deletes the account at its server and then everything on this device; on the primary device only. Closes the client. */
  async deleteAccount(): Promise<void> {
    await ours(() => this.#native.deleteAccount());
    this.#tellClosed();
  }

  /** Erases everything on this device and tells nobody: for a device that is none of its account any more. Closes the client. */
  async erase(): Promise<void> {
    await ours(() => this.#native.erase());
    this.#tellClosed();
  }

  /**
   * Tells the server where to wake this device. To be called at every start: each call rotates what names the device in a wake-up. `appId`
   * is the topic at Apple's service, the project at Google's.
   */
  registerPushToken(provider: PushProvider, token: Uint8Array, appId: string): Promise<void> {
    return ours(() => this.#native.registerPushToken(JSON.stringify(provider), Buffer.from(token), appId));
  }

  /** Tells the server to wake this device no more. */
  unregisterPushToken(): Promise<void> {
    return ours(() => this.#native.unregisterPushToken());
  }

  /** Takes in what waits, and resolves before the deadline. Work that is left is marked. A server that is away is no error. */
  processPush(payload: string, deadlineMs: number): Promise<PushOutcome> {
    return record(() => this.#native.processPush(payload, deadlineMs));
  }

  /**
   * Counts since the last report, as JSON, rounded down, without ids and times; `null` where telemetry is off. Where it goes is the app's
   * matter.
   */
  telemetryReport(): Promise<string | null> {
    return ours(() => this.#native.telemetryReport());
  }

  /** Takes a signed document that the app fetched. */
  applyRemoteConfig(document: Uint8Array): Promise<RemoteConfig> {
    return record(() => this.#native.applyRemoteConfig(Buffer.from(document)));
  }

  /** What counts now of the remote configuration. */
  remoteConfig(): Promise<RemoteConfig> {
    return record(() => this.#native.remoteConfig());
  }

  /** The user gives a contact a number, or takes it back with `null`. Nothing goes to a contact by a carrier before that. */
  setContactNumber(contactId: string, number: string | null): Promise<void> {
    return ours(() => this.#native.setContactNumber(contactId, number ?? undefined));
  }

  /** The app has an RCS stack of its own, and asks for what it carries. Contacts are told of the number, end to end. */
  useAppStack(config: HostStackConfig): Promise<void> {
    return ours(() => this.#native.useAppStack(JSON.stringify(config)));
  }

  /** The app lends its stack: what goes by the carrier is handed to it while the client is connected. To be called after each `open`. */
  attachHostStack(config: HostStackConfig, stack: RcsStack): Promise<void> {
    return ours(() => this.#native.attachHostStack(JSON.stringify(config), carrying(stack)));
  }

  /** The app's stack is gone for good: contacts are told that nothing comes here by a carrier any more. */
  leaveCarrier(): Promise<void> {
    return ours(() => this.#native.leaveCarrier());
  }

  /**
   * The session with a contact. Its messages go by the carrier from now on where they can. A contact that was never heard is written to by
   * `Conversation.send` first.
   */
  async getOrCreateSession(contactId: string): Promise<SecureSession> {
    return new SecureSession(await ours(() => this.#native.getOrCreateSession(contactId)));
  }

  /** Takes in what the app's stack received. It is durable when this resolves; after an error the network is to be told "later" (503). */
  decrypt(received: ReceivedPayload): Promise<DecryptOutcome> {
    const { fromNumber, isAsserted, contentType, contentEncoding, body } = received;
    return record(() =>
      this.#native.decrypt(
        fromNumber ?? undefined,
        isAsserted,
        contentType,
        contentEncoding ?? undefined,
        Buffer.from(body),
      ),
    );
  }

  /**
   * Subscribes to messages, beginning with the oldest change that was not dealt with. Subscribe before `connect`. The next call waits until
   * the promise of the one before is settled.
   */
  observeMessages(listener: (notice: MessageNotice) => void | Promise<void>): Subscription {
    return subscribed((tell) => this.#native.observeMessages(tell), listener, this.#closed);
  }

  /** Subscribes to everything that happens, in the same way. */
  observeEvents(listener: (event: ClientEvent) => void | Promise<void>): Subscription {
    return subscribed((tell) => this.#native.observeEvents(tell), listener, this.#closed);
  }

  /** Subscribes to how the client stands with its server, beginning with how it stands now. */
  observeConnection(listener: (state: ConnectionState) => void | Promise<void>): Subscription {
    return subscribed((tell) => this.#native.observeConnection(tell), listener, this.#closed);
  }

  /** Messages as something to iterate over. A message has been dealt with when the loop asks for the next one. */
  messages(signal?: AbortSignal): AsyncGenerator<MessageNotice, void, undefined> {
    return iterated((tell) => this.#native.observeMessages(tell), signal);
  }

  /** Everything that happens, in the same way. */
  events(signal?: AbortSignal): AsyncGenerator<ClientEvent, void, undefined> {
    return iterated((tell) => this.#native.observeEvents(tell), signal);
  }
}
