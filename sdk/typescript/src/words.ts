import { oursNow } from "./errors.js";
import { native } from "./native.js";
import type { MessageState } from "./types.js";

/** How loudly an app should say something. */
export type WordsSeverity = "info" | "notice" | "warning" | "critical";

/** What is said about one state in one language. */
export interface WordsEntry {
  /** The stable name of the state, as `message.delivered`. */
  key: string;
  /** A few words, for a list or a headline. */
  title: string;
  /** A sentence or two: what happened, what it means, what to do. */
  body: string;
  /** What a screen reader says in place of an icon, or of title and body. */
  accessibility: string;
  /** How serious it is. */
  severity: WordsSeverity;
  /** What the app fills in: `name` stands as `{name}` in the texts. None in what may be a notification. */
  placeholders: string[];
}


/** The tags of the languages that there are words in. */
export function wordsLanguages(): string[] {
  return oursNow(() => native().wordsLanguages());
}

/**
 * What a user is told about a state, in the language of a tag such as `de-AT`, or in English. The code of an error is taken for a key, too.
 * Throws `words.unknown_key` where there are none.
 */
export function words(key: string, language: string): WordsEntry {
  return JSON.parse(oursNow(() => native().words(key, language))) as WordsEntry;
}

/** Every entry, in the order of the catalogue. */
export function allWords(language: string): WordsEntry[] {
  return JSON.parse(oursNow(() => native().allWords(language))) as WordsEntry[];
}

/** The words for the state of a message, with the code of its reason where it failed. */
export function wordsForMessage(state: MessageState, reason: string | null, language: string): WordsEntry {
  return JSON.parse(oursNow(() => native().wordsForMessage(state, reason ?? undefined, language))) as WordsEntry;
}
