import { ours, record } from "./errors.js";
import {
  native,
  type NativePairwise,
  type NativePairwiseSafetyNumber,
  type NativePairwiseSession,
  type StoreAnswer,
  type StoreRequest,
} from "./native.js";
import { asking, type KeyVault } from "./vault.js";

/** How many prekeys a crypto-only client has. */
export interface PairwisePrekeyState {
  /** One-time prekeys that were given out in bundles and not used yet, as far as is known here. */
  oneTime: number;
  /** The age of the signed prekey. */
  signedAgeMs: number;
  /** Call `replenishPrekeys`, whatever the directory says. */
  isRotationDue: boolean;
}


/** Why a {@link CryptoStore} did nothing. */
export type CryptoStoreFailure = "conflict" | "full" | "busy" | "unexpected";

/** Thrown by a {@link CryptoStore}. Anything else that one throws counts as `unexpected`, and what it said stays in the app. */
export class CryptoStoreError extends Error {
  override readonly name = "CryptoStoreError";
  /** Which. */
  readonly failure: CryptoStoreFailure;

  /** A store that did nothing for this reason. */
  constructor(failure: CryptoStoreFailure) {
    super(`the store failed: ${failure}`);
    this.failure = failure;
  }
}

/** One change of one row. */
export interface CryptoStoreWrite {
  /** The row's name, at most 64 bytes. */
  key: Uint8Array;
  /** Its new value; the row is deleted where it is `null`. */
  value: Uint8Array | null;
}

/** A transactional store of bytes: one table of two columns will do. Everything in it is sealed before it gets there. */
export interface CryptoStore {
  /** The value of a row, or `null`. Where it is not known whether the row is there, it throws. */
  get(key: Uint8Array): Uint8Array | null | Promise<Uint8Array | null>;
  /**
   * In one transaction: compares the value of the row named `head` with `expectedHead`, and where they are equal does every write. Answers
   * only when all of it would survive a power cut; throws `conflict` and writes nothing where they are not equal.
   */
  commit(expectedHead: Uint8Array | null, writes: CryptoStoreWrite[]): void | Promise<void>;
}

/** What to publish in the app's directory. */
export interface PairwiseBundles {
  /** Bundles that serve one session each: the directory gives each out once and deletes it. */
  oneTime: Uint8Array[];
  /** A bundle that is given out where no other is left. It takes the place of the one before. */
  lastResort: Uint8Array;
}

/** What two people compare. */
export class PairwiseSafetyNumber {
  /** Sixty digits in groups of five, the same on both sides. */
  readonly numeric: string;
  /** What the QR code on this side holds, for the other side to scan. */
  readonly qrPayload: string;
  readonly #native: NativePairwiseSafetyNumber;

  /** @internal */
  constructor(native: NativePairwiseSafetyNumber) {
    this.#native = native;
    this.numeric = native.numeric;
    this.qrPayload = native.qrPayload;
  }

  /** Compares what was scanned, or digits that were typed. The peer is verified when this resolves. */
  verify(scan: string): Promise<void> {
    return ours(() => this.#native.verify(scan));
  }
}

/** The session with one peer. */
export class PairwiseSession {
  readonly #native: NativePairwiseSession;

  /** @internal */
  constructor(native: NativePairwiseSession) {
    this.#native = native;
  }

  /** Encrypts. The bytes may leave the device: what they were made from is stored. */
  encrypt(plaintext: Uint8Array): Promise<Uint8Array> {
    return ours(() => this.#native.encrypt(buffer(plaintext)));
  }

  /** Decrypts. A message is decrypted once: a second time is an error, and nothing has changed after one. */
  decrypt(message: Uint8Array): Promise<Uint8Array> {
    return ours(() => this.#native.decrypt(buffer(message)));
  }

  /** The safety number with the peer. */
  async safetyNumber(): Promise<PairwiseSafetyNumber> {
    return new PairwiseSafetyNumber(await ours(() => this.#native.safetyNumber()));
  }

  /** Whether the peer's safety number was compared. */
  isVerified(): Promise<boolean> {
    return ours(() => this.#native.isVerified());
  }
}

/** The crypto-only level: one identity with its sessions, over an app's store and key vault. Bytes in, bytes out. */
export class PairwiseClient {
  /** Whether the store was older than the vault remembered. The sessions are gone then: publish new bundles. */
  readonly wasRolledBack: boolean;
  /** Our identity: 32 bytes, public. */
  readonly identity: Uint8Array;
  readonly #native: NativePairwise;

  private constructor(native: NativePairwise) {
    this.#native = native;
    this.wasRolledBack = native.wasRolledBack;
    this.identity = native.identity;
  }

  /** Opens what is in the store, or makes a new identity in an empty one. */
  static async open(store: CryptoStore, keyVault: KeyVault): Promise<PairwiseClient> {
    const [rows, vault] = [storing(store), asking(keyVault)];
    return new PairwiseClient(await ours(() => native().NativePairwise.open(rows, vault)));
  }

  /** A bundle that any number of peers may be given, for a first test or for a directory of one entry. */
  localBundle(): Promise<Uint8Array> {
    return ours(() => this.#native.localBundle());
  }

  /** What to publish next, where the directory has `left` of our one-time bundles. */
  async replenishPrekeys(left: number): Promise<PairwiseBundles> {
    const oneTime = await ours(() => this.#native.replenishPrekeys(left));
    const lastResort = oneTime.pop() ?? Buffer.alloc(0);
    return { oneTime, lastResort };
  }

  /** How many prekeys there are. */
  prekeyState(): Promise<PairwisePrekeyState> {
    return record(() => this.#native.prekeyState());
  }

  /**
   * The session with a peer, or a new one from a bundle of the app's directory. `pairwise.bundle_needed` where there is neither,
   * `pairwise.identity_changed` where the bundle is of another identity than the known one.
   */
  async getOrCreateSession(peerId: string, bundle?: Uint8Array): Promise<PairwiseSession> {
    const given = bundle === undefined ? undefined : buffer(bundle);
    return new PairwiseSession(await ours(() => this.#native.getOrCreateSession(peerId, given)));
  }

  /** Decrypts what a peer sent, known or not: the first message of an unknown peer fixes its identity and opens the session. */
  decrypt(peerId: string, message: Uint8Array): Promise<Uint8Array> {
    return ours(() => this.#native.decrypt(peerId, buffer(message)));
  }

  /** Forgets a peer's identity and its sessions, after the user said that the new one is right. */
  forgetPeer(peerId: string): Promise<void> {
    return ours(() => this.#native.forgetPeer(peerId));
  }

  /** Closes it. Every later call rejects with `closed`. */
  close(): Promise<void> {
    return ours(() => this.#native.close());
  }
}

/** A view of the same bytes, in the form that N-API takes. */
function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Makes one function out of a store, which is what the native library calls. It never throws and never rejects. */
function storing(store: CryptoStore): (request: StoreRequest) => Promise<StoreAnswer> {
  return async ({ method, key, expectedHead, writes }) => {
    try {
      if (method === "get" && key !== undefined) {
        const value = await store.get(key);
        return value === null ? {} : { value: Buffer.from(value) };
      }
      if (method !== "commit") return { error: "unexpected" };
      await store.commit(
        expectedHead ?? null,
        writes.map((write) => ({ key: write.key, value: write.value ?? null })),
      );
      return {};
    } catch (error) {
      return { error: error instanceof CryptoStoreError ? error.failure : "unexpected" };
    }
  };
}
