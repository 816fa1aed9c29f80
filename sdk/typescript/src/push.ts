import { configuration } from "./configuration.js";
import { record } from "./errors.js";
import { native } from "./native.js";
import type { ClientConfig } from "./types.js";
import { asking, type KeyVault } from "./vault.js";

/** Who carries wake-ups to the device. */
export type PushProvider = "apns" | "apns_sandbox" | "fcm" | "unified_push" | "web_push";

/** What a notification is about. */
export type PushKind = "security" | "account" | "media" | "message";

/** Something to show. It says no word of a message. */
export interface PushNotification {
  /** Where it belongs, so that the app can open it; not to be shown. */
  conversationId: string | null;
  /** What it is about. */
  kind: PushKind;
  /** How many of them. */
  count: number;
  /** The key of its text in the catalogue of words. */
  wordsKey: string;
}

/** What became of a wake-up. */
export interface PushOutcome {
  /** What to show. */
  notifications: PushNotification[];
  /** The key of what to say when there is nothing to show and work is left. */
  pendingWordsKey: string | null;
  /** Envelopes taken in. */
  received: number;
  /** Whether nothing is left to do. Otherwise the app's next run goes on. */
  isComplete: boolean;
}


/**
 * Takes in what waits in a process that the push service woke, beside an app that may be running: opens the store with little memory, and
 * closes it. The deadline counts from the call. Work that is left is marked for the app.
 */
export function processPushInExtension(
  config: ClientConfig,
  keyVault: KeyVault,
  payload: string,
  deadlineMs: number,
): Promise<PushOutcome> {
  return record(() =>
    native().processPushInExtension(configuration(config), asking(keyVault), payload, deadlineMs),
  );
}
