import { ours, record } from "./errors.js";
import type { NativeConversation, NativeSafetyNumber } from "./native.js";
import type {
  ConversationSecurity,
  DeliveryMode,
  FallbackPolicy,
  MediaPart,
  Message,
  MessageReceipt,
  OutgoingMessage,
  TransferProgress,
} from "./types.js";

/** Hears how far a file has come. */
export type OnProgress = (progress: TransferProgress) => void;

/** What two people compare, as it was when it was asked for. */
export class SafetyNumber {
  /** Sixty digits in groups of five, the same on both sides. */
  readonly numeric: string;
  /** What the QR code on this side holds, for the other side to scan. */
  readonly qrPayload: string;
  readonly #native: NativeSafetyNumber;

  /** @internal */
  constructor(native: NativeSafetyNumber) {
    this.#native = native;
    this.numeric = native.numeric;
    this.qrPayload = native.qrPayload;
  }

  /** The user has scanned the contact's code. The contact is verified when this resolves; a code that is not the contact's rejects. */
  verify(scan: string): Promise<void> {
    return ours(() => this.#native.verify(scan));
  }

  /** The user has compared these digits with the contact's, and they are the same. */
  verifyDigits(digits: string): Promise<void> {
    return ours(() => this.#native.verifyDigits(digits));
  }
}

/** The conversation with one contact. */
export class Conversation {
  /** Its id. */
  readonly id: string;
  /** The contact's id. */
  readonly contactId: string;
  readonly #native: NativeConversation;

  /** @internal */
  constructor(native: NativeConversation) {
    this.#native = native;
    this.id = native.id;
    this.contactId = native.contactId;
  }

  /** Messages with a place below `beforeOrder`, or the newest ones; newest first, 500 at most. */
  messages(limit: number, beforeOrder?: number): Promise<Message[]> {
    return record(() => this.#native.messages(beforeOrder, limit));
  }

  /** One message, or `null`. */
  message(senderId: string, messageId: string): Promise<Message | null> {
    return record(() => this.#native.message(senderId, messageId));
  }

  /** Sends. The message is durable here when this resolves, and leaves when a server can be reached. */
  send(message: OutgoingMessage, onProgress?: OnProgress): Promise<MessageReceipt> {
    return record(() => this.#native.send(JSON.stringify(message), told(onProgress)));
  }

  /** Sends words. */
  sendText(text: string): Promise<MessageReceipt> {
    return this.send({ type: "text", text });
  }

  /** The user has seen the messages up to this place. */
  markRead(upToOrder: number): Promise<void> {
    return ours(() => this.#native.markRead(upToOrder));
  }

  /** Tells the contact that the user is writing, or has stopped. */
  setTyping(isTyping: boolean): Promise<void> {
    return ours(() => this.#native.setTyping(isTyping));
  }

  /** How safe the conversation is, and how the next message would go. */
  security(): Promise<ConversationSecurity> {
    return record(() => this.#native.security());
  }

  /** The fallback policy set for this conversation; `null` where none is, and the account's alone counts. */
  fallbackPolicy(): Promise<FallbackPolicy | null> {
    return record(() => this.#native.fallbackPolicy());
  }

  /** Sets it, or takes it back with `null`. Of several policies that apply the strictest counts. */
  setFallbackPolicy(policy: FallbackPolicy | null): Promise<void> {
    return ours(() => this.#native.setFallbackPolicy(JSON.stringify(policy)));
  }

  /** The user agrees that messages of this conversation go in a readable mode until a time. Only with the user's own word. */
  giveConsent(mode: DeliveryMode, expiresAtMs: number): Promise<void> {
    return ours(() => this.#native.giveConsent(JSON.stringify(mode), expiresAtMs));
  }

  /** The user acknowledges that the conversation goes without end-to-end encryption. The other side is told, end to end. */
  acknowledgeDowngrade(mode: DeliveryMode): Promise<void> {
    return ours(() => this.#native.acknowledgeDowngrade(JSON.stringify(mode)));
  }

  /** A downgraded conversation is end to end again. */
  restoreEndToEnd(): Promise<void> {
    return ours(() => this.#native.restoreEndToEnd());
  }

  /** Fetches a file of a message and writes it to `path`, which appears only when it is whole and authentic. */
  fetchEncryptedBlob(message: Message, part: MediaPart, path: string, onProgress?: OnProgress): Promise<void> {
    return ours(() =>
      this.#native.fetchEncryptedBlob(message.senderId, message.id, JSON.stringify(part), path, told(onProgress)),
    );
  }

  /** The safety number with the contact, once its keys are known. */
  async safetyNumber(): Promise<SafetyNumber> {
    return new SafetyNumber(await ours(() => this.#native.safetyNumber()));
  }
}

/**
 * A listener for progress as the native library calls it. What it throws is the app's own matter and stops nothing.
 *
 * @internal
 */
export function told(onProgress?: OnProgress): ((json: string) => Promise<void>) | undefined {
  if (onProgress === undefined) return undefined;
  return async (json) => {
    onProgress(JSON.parse(json) as TransferProgress);
  };
}
