/**
 * The native library, as N-API shows it. Nothing here is for apps.
 *
 * @packageDocumentation
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface VaultRequest {
  method: string;
  alias: string;
  data?: Buffer;
}

export interface VaultAnswer {
  error?: string;
  flag?: boolean;
  generation?: number;
  data?: Buffer;
  protection?: string;
}

export interface StoreRequest {
  method: string;
  key?: Buffer;
  expectedHead?: Buffer;
  writes: { key: Buffer; value?: Buffer }[];
}

export interface StoreAnswer {
  error?: string;
  value?: Buffer;
}

export interface NativePart {
  number: string;
  contentType: string;
  contentEncoding?: string;
  body: Buffer;
}

type Tell = (json: string) => Promise<void>;
type AskVault = (request: VaultRequest) => Promise<VaultAnswer>;
type AskStore = (request: StoreRequest) => Promise<StoreAnswer>;

export interface NativeSubscription {
  cancel(): void;
}

export interface NativeSafetyNumber {
  readonly numeric: string;
  readonly qrPayload: string;
  verify(scan: string): Promise<void>;
  verifyDigits(digits: string): Promise<void>;
}

export interface NativeLinkRequest {
  readonly text: string;
  finish(): Promise<void>;
}

export interface NativeConversation {
  readonly id: string;
  readonly contactId: string;
  messages(beforeOrder: number | undefined, limit: number): Promise<string>;
  message(senderId: string, messageId: string): Promise<string>;
  send(message: string, progress?: Tell): Promise<string>;
  markRead(upToOrder: number): Promise<void>;
  setTyping(isTyping: boolean): Promise<void>;
  security(): Promise<string>;
  fallbackPolicy(): Promise<string>;
  setFallbackPolicy(policy: string): Promise<void>;
  giveConsent(mode: string, expiresAtMs: number): Promise<void>;
  acknowledgeDowngrade(mode: string): Promise<void>;
  restoreEndToEnd(): Promise<void>;
  fetchEncryptedBlob(senderId: string, messageId: string, part: string, path: string, progress?: Tell): Promise<void>;
  safetyNumber(): Promise<NativeSafetyNumber>;
}

export interface NativeClient {
  readonly isClosed: boolean;
  close(): Promise<void>;
  account(): Promise<string>;
  createAccount(account: string): Promise<string>;
  register(invite?: string): Promise<void>;
  pendingRecoveryCode(): Promise<string | null>;
  confirmRecoveryCode(): Promise<void>;
  recoverAccount(accountId: string, recoveryCode: string, account: string): Promise<string>;
  vetoReset(): Promise<void>;
  securityState(): Promise<string>;
  rotateKeys(): Promise<void>;
  exportData(path: string): Promise<string>;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  connectionState(): string;
  networkChanged(): void;
  syncOnce(): Promise<string>;
  invitation(): Promise<string>;
  addContact(invitation: string, name: string): Promise<string>;
  contacts(): Promise<string>;
  contact(contactId: string): Promise<string>;
  renameContact(contactId: string, name: string): Promise<void>;
  blockContact(contactId: string, isBlocked: boolean): Promise<void>;
  removeContact(contactId: string): Promise<void>;
  acceptChange(contactId: string): Promise<void>;
  safetyNumber(contactId: string): Promise<NativeSafetyNumber>;
  conversations(limit: number, after?: string): Promise<string>;
  conversation(contactId: string): Promise<NativeConversation>;
  fallbackPolicy(): Promise<string>;
  setFallbackPolicy(policy: string): Promise<void>;
  heldMessages(): Promise<string>;
  approveHeld(conversationId: string, messageId: string): Promise<void>;
  observeMessages(listener: Tell): NativeSubscription;
  observeEvents(listener: Tell): NativeSubscription;
  observeConnection(listener: Tell): NativeSubscription;
  linkStart(origin: string, platform: string): Promise<NativeLinkRequest>;
  linkApprove(text: string): Promise<number>;
  devices(): Promise<string>;
  removeDevice(number: number): Promise<void>;
  createBackup(path: string, text: string, isGenerated: boolean, progress?: Tell): Promise<string>;
  restoreBackup(
    path: string,
    text: string,
    isGenerated: boolean,
    platform: string,
    progress?: Tell,
  ): Promise<string>;
  deleteAccount(): Promise<void>;
  erase(): Promise<void>;
  registerPushToken(provider: string, token: Buffer, appId: string): Promise<void>;
  unregisterPushToken(): Promise<void>;
  processPush(payload: string, deadlineMs: number): Promise<string>;
  telemetryReport(): Promise<string | null>;
  applyRemoteConfig(document: Buffer): Promise<string>;
  remoteConfig(): Promise<string>;
  setContactNumber(contactId: string, number?: string): Promise<void>;
  useAppStack(config: string): Promise<void>;
  attachHostStack(config: string, stack: (part: NativePart) => Promise<string>): Promise<void>;
  leaveCarrier(): Promise<void>;
  getOrCreateSession(contactId: string): Promise<NativeSession>;
  decrypt(
    fromNumber: string | undefined,
    isAsserted: boolean,
    contentType: string,
    contentEncoding: string | undefined,
    body: Buffer,
  ): Promise<string>;
}

export interface NativeSession {
  readonly contactId: string;
  encrypt(message: string): Promise<{ messageId: string; number: string; parts: NativePart[] }>;
  report(messageId: string, outcome: string): Promise<void>;
}

export interface NativePairwise {
  readonly wasRolledBack: boolean;
  readonly identity: Buffer;
  localBundle(): Promise<Buffer>;
  replenishPrekeys(left: number): Promise<Buffer[]>;
  prekeyState(): Promise<string>;
  getOrCreateSession(peerId: string, bundle?: Buffer): Promise<NativePairwiseSession>;
  decrypt(peerId: string, message: Buffer): Promise<Buffer>;
  forgetPeer(peerId: string): Promise<void>;
  close(): Promise<void>;
}

export interface NativePairwiseSession {
  encrypt(plaintext: Buffer): Promise<Buffer>;
  decrypt(message: Buffer): Promise<Buffer>;
  safetyNumber(): Promise<NativePairwiseSafetyNumber>;
  isVerified(): Promise<boolean>;
}

export interface NativePairwiseSafetyNumber {
  readonly numeric: string;
  readonly qrPayload: string;
  verify(scan: string): Promise<void>;
}

export interface Native {
  NativeClient: { open(config: string, vault: AskVault): Promise<NativeClient> };
  NativePairwise: { open(store: AskStore, vault: AskVault): Promise<NativePairwise> };
  generateBackupSecret(): string;
  inspectBackup(path: string): Promise<string>;
  setStoreAside(folder: string, vault: AskVault): Promise<string>;
  processPushInExtension(config: string, vault: AskVault, payload: string, deadlineMs: number): Promise<string>;
  wordsLanguages(): string[];
  words(key: string, language: string): string;
  allWords(language: string): string;
  wordsForMessage(state: string, reason: string | undefined, language: string): string;
}

/** What the library is called on this system. */
function fileName(): string {
  switch (process.platform) {
    case "darwin":
      return "librcseal_sdk.dylib";
    case "win32":
      return "rcseal_sdk.dll";
    default:
      return "librcseal_sdk.so";
  }
}

/** Where it is: the folder that the environment names, or the one of this package. */
function place(): string {
  const named = process.env["RCSEAL_NATIVE_DIR"];
  if (named !== undefined) return join(named, fileName());
  const here = dirname(fileURLToPath(import.meta.url));
  const packaged = join(here, "..", "..", "prebuilds", `${process.platform}-${process.arch}`, fileName());
  if (existsSync(packaged)) return packaged;
  throw new Error(`@rcseal/sdk has no library for ${process.platform}-${process.arch}`);
}

function load(): Native {
  // Loaded by name and not by `require`, which goes by the ending of a file: it is the library that every face shares.
  const target = { exports: {} as Native };
  const module = Object.assign(Object.create(createRequire(import.meta.url)("node:module").prototype), target);
  process.dlopen(module, place(), constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_LOCAL);
  return module.exports as Native;
}

let loaded: Native | undefined;

/** The library, loaded when it is first asked for. */
export function native(): Native {
  loaded ??= load();
  return loaded;
}
