import type { KeyProtection } from "./types.js";
import type { VaultAnswer, VaultRequest } from "./native.js";

/** Why a vault does not answer. */
export type VaultFailure =
  | "user_not_authenticated"
  | "key_invalidated"
  | "not_found"
  | "already_exists"
  | "hardware_unavailable"
  | "unexpected";

/** Thrown by a {@link KeyVault}. Anything else that one throws counts as `unexpected`, and what it said stays in the app. */
export class VaultError extends Error {
  override readonly name = "VaultError";
  /** Which. */
  readonly failure: VaultFailure;

  /** A vault that does not answer for this reason. */
  constructor(failure: VaultFailure) {
    super(`the key vault failed: ${failure}`);
    this.failure = failure;
  }
}

/**
 * Keeps the key that wraps the store's key, and a number that a restored backup does not bring along.
 *
 * One unwrap per start of the process; no message key ever goes through a vault. Every call may be asynchronous.
 */
export interface KeyVault {
  /** Creates the wrapping key of an alias, generation 0. An alias that is there already is refused. */
  createWrappingKey(alias: string): void | Promise<void>;
  /** Whether the alias has a wrapping key. */
  hasWrappingKey(alias: string): boolean | Promise<boolean>;
  /** Wraps a data key of at most 64 bytes. The answer is opaque and may be stored anywhere. */
  wrap(alias: string, dataKey: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** Unwraps what `wrap` answered. */
  unwrap(alias: string, wrapped: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** Deletes the wrapping key and its generation. */
  delete(alias: string): void | Promise<void>;
  /** Where the wrapping key lives. */
  protection(): KeyProtection | Promise<KeyProtection>;
  /** The generation number of an alias. */
  generation(alias: string): number | Promise<number>;
  /** Adds one to the generation number, durably, and answers the new one. */
  bumpGeneration(alias: string): number | Promise<number>;
}

/**
 * Makes one function out of a vault, which is what the native library calls. It never throws and never rejects.
 *
 * @internal
 */
export function asking(vault: KeyVault): (request: VaultRequest) => Promise<VaultAnswer> {
  return async ({ method, alias, data }) => {
    try {
      switch (method) {
        case "createWrappingKey":
          await vault.createWrappingKey(alias);
          return {};
        case "hasWrappingKey":
          return { flag: await vault.hasWrappingKey(alias) };
        case "wrap":
          return { data: copied(await vault.wrap(alias, data ?? new Uint8Array())) };
        case "unwrap":
          return { data: copied(await vault.unwrap(alias, data ?? new Uint8Array())) };
        case "delete":
          await vault.delete(alias);
          return {};
        case "protection":
          return { protection: await vault.protection() };
        case "generation":
          return { generation: await vault.generation(alias) };
        case "bumpGeneration":
          return { generation: await vault.bumpGeneration(alias) };
        default:
          return { error: "unexpected" };
      }
    } catch (error) {
      return { error: error instanceof VaultError ? error.failure : "unexpected" };
    } finally {
      // What was handed in for wrapping is the data key.
      if (method === "wrap") data?.fill(0);
    }
  };
}

/** A copy of our own, which the native library overwrites: a vault may answer a view of what it keeps. */
function copied(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes);
}
