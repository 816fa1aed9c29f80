import { ours } from "./errors.js";
import type { NativePart, NativeSession } from "./native.js";
import type { OutgoingMessage } from "./types.js";

/** What an RCS stack made of a message: by its status, or that there was none. */
export type StackOutcome =
  | "taken"
  | "stored"
  | "unsupported_media"
  | "not_found"
  | "too_large"
  | "refused"
  | "busy"
  | "no_answer"
  | "unreachable";

/** What the stack is to answer its network: 200, 415, 413, 503, 400. */
export type StackAnswer = "accepted" | "unsupported_media" | "too_large" | "try_later" | "malformed";

/** What an app's RCS stack is. */
export interface HostStackConfig {
  /** The number that it is registered with, as `+` and digits. */
  number: string;
  /** Whether bodies arrive byte for byte. Otherwise they are text. */
  isBinarySafe: boolean;
  /** The longest body of one message, without the CPIM layer. */
  bodyLenMax: number;
  /** How many messages one envelope may be cut into. */
  partsMax: number;
  /** How long a message may stay unconfirmed before it goes by the relay; a minute where it is absent. */
  patienceMs?: number;
}

/** One message of the carrier. */
export interface PayloadPart {
  /** To whom, as `+` and digits. */
  number: string;
  /** The body's media type. */
  contentType: string;
  /** The body's encoding, where it has one. */
  contentEncoding: string | null;
  /** The body. */
  body: Uint8Array;
}

/** A message for the app's stack. */
export interface EncryptedPayload {
  /** The message. */
  messageId: string;
  /** To whom, as `+` and digits. */
  number: string;
  /** What to carry, in this order. */
  parts: PayloadPart[];
}

/** Something that the app's stack received. */
export interface ReceivedPayload {
  /** From which number, as `+` and digits, where the stack knows it. */
  fromNumber: string | null;
  /** Whether the network vouches for the number. */
  isAsserted: boolean;
  /** The body's media type. */
  contentType: string;
  /** The body's encoding, where it has one. */
  contentEncoding: string | null;
  /** The body. */
  body: Uint8Array;
}

/** What became of it. */
export interface DecryptOutcome {
  /** What the stack is to answer its network. */
  answer: StackAnswer;
  /** A stable code: `consumed` where a message was decrypted, `part_kept` where more parts are to come, and the reason otherwise. */
  code: string;
}


/** An RCS stack of the app's. Several calls may be under way at once; each has 40 seconds. */
export interface RcsStack {
  /**
   * Sends one message of the carrier and answers what the network said. What it throws counts as no answer: the message may have arrived.
   */
  sendEncryptedPayload(part: PayloadPart): Promise<StackOutcome>;
}

/** The end-to-end session with a contact, for messages that the app carries. */
export class SecureSession {
  /** The contact's id. */
  readonly contactId: string;
  readonly #native: NativeSession;

  /** @internal */
  constructor(native: NativeSession) {
    this.#native = native;
    this.contactId = native.contactId;
  }

  /**
   * Sends a message and resolves to what the stack is to carry. It is in the conversation, as every message that was sent. An error
   * `hand_over_...` says that it does not go by the carrier, and nothing was sent.
   */
  async encrypt(message: OutgoingMessage): Promise<EncryptedPayload> {
    const { messageId, number, parts } = await ours(() => this.#native.encrypt(JSON.stringify(message)));
    return { messageId, number, parts: parts.map(part) };
  }

  /** What the stack made of a message: the worst of its parts. Refused, it goes by the relay at once. */
  report(messageId: string, outcome: StackOutcome): Promise<void> {
    return ours(() => this.#native.report(messageId, JSON.stringify(outcome)));
  }
}

/** A part as apps see it: what is absent is `null`, as in every record. */
function part({ number, contentType, contentEncoding, body }: NativePart): PayloadPart {
  return { number, contentType, contentEncoding: contentEncoding ?? null, body };
}

/**
 * Makes a function out of a stack, which is what the native library calls.
 *
 * @internal
 */
export function carrying(stack: RcsStack): (sent: NativePart) => Promise<string> {
  return async (sent) => JSON.stringify(await stack.sendEncryptedPayload(part(sent)));
}
