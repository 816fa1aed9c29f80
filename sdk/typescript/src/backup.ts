import { inspect } from "node:util";

import { oursNow, record } from "./errors.js";
import { native } from "./native.js";

/** What was written into a backup. */
export interface BackupSummary {
  /** Rows. */
  rows: number;
  /** Bytes of the file. */
  bytes: number;
  /** Whether the account key is in it. */
  hasAccountKey: boolean;
}

/** What a backup says of itself to whoever has no secret. Nothing of it is authentic. */
export interface BackupInfo {
  /** Whether a generated secret opens it, and not a passphrase. */
  isGenerated: boolean;
  /** When it was made. */
  createdAtMs: number;
  /** Bytes of the file. */
  bytes: number;
}

/** What a restoration made of this device. */
export interface RestoreOutcome {
  /** Whether this device is now the account's new and only one. Otherwise contacts and history came into the account that was here. */
  isNewDevice: boolean;
  /** The account. */
  accountId: string;
  /** Contacts that came. */
  contacts: number;
  /** Of these, those whose safety numbers had been compared. */
  verified: number;
  /** Conversations that came. */
  conversations: number;
  /** Messages that came. */
  messages: number;
}


/** What opens a backup. It prints as what kind it is, and never as what it holds. */
export class BackupSecret {
  readonly #text: string;
  readonly #isGenerated: boolean;

  private constructor(text: string, isGenerated: boolean) {
    this.#text = text;
    this.#isGenerated = isGenerated;
  }

  /** A passphrase of the user's own, at least twelve characters. Such a backup holds no account key. */
  static passphrase(text: string): BackupSecret {
    return new BackupSecret(text, false);
  }

  /** One of {@link generateBackupSecret}, as it was written down. On the primary device the backup then holds the account key. */
  static written(text: string): BackupSecret {
    return new BackupSecret(text, true);
  }

  /** @internal */
  expose(): [text: string, isGenerated: boolean] {
    return [this.#text, this.#isGenerated];
  }

  /** Which kind it is. */
  toString(): string {
    return this.#isGenerated ? "BackupSecret(written)" : "BackupSecret(passphrase)";
  }

  /** The same. */
  toJSON(): string {
    return this.toString();
  }

  /** The same. */
  [inspect.custom](): string {
    return this.toString();
  }
}

/** A secret for a backup, to be written down: 24 symbols in groups of four. */
export function generateBackupSecret(): string {
  return oursNow(() => native().generateBackupSecret());
}

/** What a backup says of itself, without a secret. Nothing of it is authentic. */
export function inspectBackup(path: string): Promise<BackupInfo> {
  return record(() => native().inspectBackup(path));
}
