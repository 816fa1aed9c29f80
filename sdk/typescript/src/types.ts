/** What a device runs on. */
export type Platform = "android" | "ios" | "desktop" | "web" | "server";
/** How a message goes. What counts is who can read it on its way. */
export type DeliveryMode = "native" | "relayed" | "brokered" | "server_encrypted" | "carrier_readable" | "sms";
/** Somebody who can read a message. */
export type Reader = "participants" | "server_operator" | "carriers" | "radio_and_roaming";
/** What becomes of a message that cannot go end to end. */
export type FallbackPolicy = "downgrade" | "verify" | "block";
/** Whether somebody compared safety numbers. */
export type Verification = "unverified" | "verified" | "changed";
/** What the lock on a conversation shows. */
export type Padlock = "verified" | "end_to_end" | "changed" | "readable" | "closed";
/** Where a wrapping key lives. */
export type KeyProtection = "software" | "tee" | "strong_box" | "secure_enclave";
/** How far this device's account has come. */
export type AccountStage = "registering" | "active" | "recovering" | "resetting";
/** How far a message has come. */
export type MessageState =
  | "queued"
  | "stored"
  | "delivered"
  | "read"
  | "undecryptable"
  | "failed"
  | "received"
  | "seen";
/** What a message is. */
export type MessageKind = "text" | "media" | "card" | "card_reply" | "notice" | "deleted" | "unknown";
/** What happened to a message. */
export type MessageChange = "received" | "changed";
/** How a client stands with its server. */
export type ConnectionStatus = "stopped" | "connecting" | "delivering" | "online" | "offline" | "failed";
/** Which file of a message. */
export type MediaPart = "file" | "thumbnail";

/** Where a client lives and whom it trusts. */
export interface ClientConfig {
  /** A folder for this client alone. It is made when it is not there. */
  folder: string;
  /** The authorities of every server it talks to, in PEM. The system's own are never trusted. */
  authoritiesPem: string;
  /** How long the key vault may take for one call, in milliseconds; 60,000 where it is absent. */
  vaultTimeoutMs?: number;
  /** How long servers may take to answer, in milliseconds; the client's own limits where it is absent. */
  networkTimeoutMs?: number;
  /** Keys that servers must have, beside a certificate of those authorities. */
  pins?: Pin[];
  /** Through what every server is reached. */
  proxy?: ProxyConfig;
  /** Whether what happens is counted. Only with the user's own word. Nothing is sent by itself. */
  telemetry?: boolean;
  /** The Ed25519 public key of whoever may send remote configuration: 32 bytes. */
  remoteConfigKey?: Uint8Array;
}

/** A key that a server must have, beside a certificate of the authorities. */
export interface Pin {
  /** The server, as `https://host:port`. */
  origin: string;
  /** SHA-256 of the public key of its own certificate (SubjectPublicKeyInfo). Give two for one server while it changes its key. */
  sha256: Uint8Array;
}

/** Through what every server is reached: a proxy that understands CONNECT. */
export interface ProxyConfig {
  /** Its host. */
  host: string;
  /** Its port. */
  port: number;
  /** The user's name there, where it asks for one. */
  user?: string;
  /** And the password. */
  password?: string;
}

/** What a new account is to be. */
export interface NewAccount {
  /** The server that will hold its mailboxes, as `https://host:port`. */
  origin: string;
  /** What this device runs on. */
  platform: Platform;
  /** What the user wants to be called; contacts see it. May be empty. */
  displayName: string;
  /** The operator's invite, where its server asks for one. */
  invite?: string;
}

/** What became of a new account. */
export interface CreatedAccount {
  /** Its id. */
  accountId: string;
  /** To be written down and kept off this device. Kept here until `confirmRecoveryCode`. */
  recoveryCode: string | null;
  /** Whether the server has confirmed. If not, the keys are here and `register` tries again, as does `connect`. */
  isRegistered: boolean;
  /** Why the server has not: the code of the error. */
  failureCode: string | null;
  /** Whether trying again may help. */
  isRetryable: boolean;
}

/** One device of an account. */
export interface Device {
  /** Its number, 1 to 127, never used again. */
  number: number;
  /** What it runs on. */
  platform: Platform;
  /** Whether its keys are with the person the account belongs to, and not with a service. */
  isUsers: boolean;
}

/** This device and its account. */
export interface Account {
  /** The account's id. */
  accountId: string;
  /** This device's number. */
  deviceNumber: number;
  /** Its server. */
  origin: string;
  /** How far it has come. */
  stage: AccountStage;
  /** What the user is called. */
  displayName: string;
  /** Whether this device holds the account key. */
  isPrimary: boolean;
  /** The account's devices. */
  devices: Device[];
  /** When a reset of the account takes effect that somebody asked for. */
  pendingResetAtMs: number | null;
}

/** How safe this device is, and what the user should know. */
export interface SecurityState {
  /** Where the key lives that protects the store. */
  protection: KeyProtection;
  /** Whether that is software only: whoever copies the device's files may have the key. */
  isSoftwareVault: boolean;
  /** Whether the store was found to be an old copy when it was opened. */
  wasRolledBack: boolean;
  /** Whether there is an account and its server has confirmed it. */
  isRegistered: boolean;
  /** This device's number. */
  deviceNumber: number | null;
  /** Whether this device holds the account key. */
  isPrimary: boolean;
  /** When a reset of the account takes effect that somebody asked for. */
  pendingResetAtMs: number | null;
  /** Envelopes that could not be decrypted and are kept. */
  undecryptable: number;
  /** Messages that wait for the user's word before they go to keys that changed. */
  heldMessages: number;
  /** Whether the recovery code still waits to be written down. */
  hasUnconfirmedRecoveryCode: boolean;
}

/** A contact. */
export interface Contact {
  /** Its account's id. */
  id: string;
  /** What the user calls it. */
  name: string;
  /** What it calls itself. A claim. */
  displayName: string;
  /** Whether somebody compared safety numbers. */
  verification: Verification;
  /** Its devices, once its keys are known. */
  devices: Device[];
  /** Whether its keys are known. */
  hasKeys: boolean;
  /** Whether nothing is sent to it and what comes from it is dropped. */
  isBlocked: boolean;
}

/** A file of a message. */
export interface MediaInfo {
  /** Its name, as the sender gave it; never a path. */
  fileName: string;
  /** Its media type, as the sender says. */
  contentType: string;
  /** Bytes. */
  size: number;
  /** Words with it; may be empty. */
  caption: string;
  /** Pixels, or 0. */
  width: number;
  /** Pixels, or 0. */
  height: number;
  /** Whether there is a small picture to fetch. */
  hasThumbnail: boolean;
}

/** One thing to choose on a card. */
export interface Suggestion {
  /** What a card reply names. */
  id: string;
  /** What it says. */
  label: string;
  /** What it opens; empty for a reply. */
  url: string;
}

/** A card. */
export interface Card {
  /** Its title. */
  title: string;
  /** Its words. */
  text: string;
  /** What one may choose. */
  suggestions: Suggestion[];
}

/** A reaction. */
export interface Reaction {
  /** Whose. */
  accountId: string;
  /** Which. */
  emoji: string;
}

/** A message. */
export interface Message {
  /** Its id: with the sender's, it names the message. */
  id: string;
  /** Where it belongs. */
  conversationId: string;
  /** Its place there, ascending: what pages go by. */
  order: number;
  /** Who wrote it. */
  senderId: string;
  /** On which device. */
  senderDevice: number;
  /** Whether this account wrote it. */
  isOutgoing: boolean;
  /** The sender's clock. */
  sentAtMs: number;
  /** Our clock. */
  receivedAtMs: number;
  /** How far it has come. */
  state: MessageState;
  /** Why it will not arrive or could not be decrypted: a stable code. */
  stateReason: string | null;
  /** What it is. */
  kind: MessageKind;
  /** Its words, edits applied; a file's caption; a card's title. */
  text: string | null;
  /** Its file. */
  media: MediaInfo | null;
  /** Its card. */
  card: Card | null;
  /** Which message it answers. */
  replyTo: string | null;
  /** Whether it was edited. */
  isEdited: boolean;
  /** How it went. */
  mode: DeliveryMode;
  /** Whether only the participants' devices could read it. */
  isEndToEnd: boolean;
  /** Who could read it. */
  readers: Reader[];
  /** Reactions to it. */
  reactions: Reaction[];
}

/** What to send. */
export type OutgoingMessage =
  | { type: "text"; text: string; replyTo?: string }
  | { type: "media"; path: string; caption: string }
  | { type: "reaction"; messageId: string; emoji: string; isRemoved: boolean }
  | { type: "edit"; messageId: string; text: string }
  | { type: "delete"; messageId: string }
  | { type: "card_reply"; messageId: string; suggestionId: string };

/** What became of a message that was sent. */
export interface MessageReceipt {
  /** The message. */
  messageId: string;
  /** How far it has come. */
  state: MessageState;
  /** How it goes; `null` for what is no message of its own. */
  mode: DeliveryMode | null;
  /** Why it goes so: a stable code. */
  reason: string | null;
  /** Who can read it. */
  readers: Reader[];
}

/** A conversation in a list. */
export interface ConversationSummary {
  /** Its id. */
  id: string;
  /** The contact it is with. */
  contactId: string | null;
  /** What to show as its name. */
  title: string;
  /** Whether the title is a name that the contact gave itself, and to be shown as a claim. */
  isTitleClaimed: boolean;
  /** Its newest message; words cut to 120 characters. */
  lastMessage: Message | null;
  /** Messages that the user has not seen, up to 999. */
  unreadCount: number;
  /** What the lock shows. */
  padlock: Padlock;
}

/** How safe a conversation is. */
export interface ConversationSecurity {
  /** How the next message would go; `null` where it would be refused. */
  mode: DeliveryMode | null;
  /** Why: a stable code. */
  reason: string;
  /** Whether only the participants' devices could read it. */
  isEndToEnd: boolean;
  /** Who could read it. */
  readers: Reader[];
  /** What the user would have to do first where it would be refused. */
  consent: string;
  /** Whether somebody compared safety numbers. */
  verification: Verification;
  /** The readable mode that the user has acknowledged for this conversation. */
  acknowledged: DeliveryMode | null;
  /** The server that can read, where there is one. */
  server: string | null;
  /** What the lock shows. */
  padlock: Padlock;
}

/** A message that waits for the user's word, because a device it goes to has other keys than before. */
export interface HeldMessage {
  /** Where. */
  conversationId: string;
  /** Which. */
  messageId: string;
  /** Since when. */
  heldAtMs: number;
}

/** How a client stands with its server, and why. */
export interface ConnectionState {
  /** How it stands. */
  status: ConnectionStatus;
  /** Why, where it is offline or has failed: the code of the error. */
  code: string | null;
}

/** What one `syncOnce` did. */
export interface SyncReport {
  /** Envelopes taken in. */
  received: number;
  /** Of these, envelopes that could not be decrypted. They are kept. */
  undecryptable: number;
  /** Envelopes that a relay now has. */
  submitted: number;
  /** Whether nothing is left that could not be done. */
  isComplete: boolean;
  /** Whether a relay has every envelope. */
  isOutboxEmpty: boolean;
}

/** What an export wrote. */
export interface ExportSummary {
  /** Conversations. */
  conversations: number;
  /** Messages. */
  messages: number;
}

/** A message, and what happened to it. */
export interface MessageNotice {
  /** What happened. */
  change: MessageChange;
  /** The message as it is now: several changes may be told by one look. */
  message: Message;
}

/** Something happened. */
export interface ClientEvent {
  /** Ascending. */
  number: number;
  /** What happened: a stable name. */
  kind: string;
  /** In which conversation. */
  conversationId: string | null;
  /** About which account. */
  contactId: string | null;
  /** About which message. */
  messageId: string | null;
  /** About which device of the account. */
  deviceNumber: number | null;
  /** About which phone number. */
  phoneNumber: string | null;
  /** A message's place in the number's thread. */
  order: number | null;
  /** When. */
  atMs: number | null;
  /** In which mode. */
  mode: DeliveryMode | null;
  /** Why, or what: a stable code. */
  code: string | null;
  /** Whether it is so, or has ended. */
  isActive: boolean;
}

/** So many bytes of so many. */
export interface TransferProgress {
  /** Bytes that were moved. */
  done: number;
  /** Bytes in all. */
  total: number;
}

/** A store that was set aside. */
export interface StoreSetAside {
  /** Where it is now, whole: a folder beside the one it had. */
  folder: string;
  /** Whether its key was discarded, because the vault itself says that it opens nothing any more. */
  isKeyDiscarded: boolean;
}

/** One value of the remote configuration. */
export interface RemoteValue {
  /** Which. */
  key: string;
  /** The value that counts, within its bounds. */
  value: number;
  /** Whether the document said another, outside the bounds. */
  isClamped: boolean;
}

/** What counts now of the remote configuration. */
export interface RemoteConfig {
  /** The document's counter; 0 where there is none. */
  counter: number;
  /** When it ends to count. */
  expiresAtMs: number;
  /** Whether that is past: its values do not count then. */
  isExpired: boolean;
  /** Its values. */
  values: RemoteValue[];
  /** Keys that this version does not know. */
  unknown: string[];
  /** Whether this device takes part in a trial. */
  isCanary: boolean;
}

