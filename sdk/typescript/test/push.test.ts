import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import {
  allWords,
  processPushInExtension,
  words,
  wordsForMessage,
  wordsLanguages,
  type PushOutcome,
} from "../src/index.js";
import { eventually, inAWorld, knowing, received, refused, type Person, type World } from "./world.js";

const SPOOL = mkdtempSync(join(tmpdir(), "rcseal-ts-spool-"));
after(() => rmSync(SPOOL, { recursive: true, force: true }));

/** Somebody for whom a message waits, with the payload that tells so. */
async function woken(world: World): Promise<{ ada: Person; bob: Person; payload: string }> {
  const [ada, bob] = [await world.person("Ada"), await world.person("Bob")];
  await bob.client.registerPushToken("fcm", new TextEncoder().encode("a token of the provider's"), "org.example");
  const contact = await ada.client.addContact(await bob.client.invitation(), "Bob");
  for (const old of spooled()) rmSync(join(SPOOL, old));
  await (await ada.client.conversation(contact.id)).sendText("the secret is 12345");
  await ada.client.syncOnce();
  const file = await eventually(async () => spooled()[0]);
  const wakeUp = readFileSync(join(SPOOL, file), "utf8");
  assert.ok(!wakeUp.includes("12345"));
  const payload = payloadIn(JSON.parse(wakeUp));
  assert.ok(payload !== undefined);
  return { ada, bob, payload };
}

function spooled(): string[] {
  return readdirSync(SPOOL).filter((name) => name.endsWith(".json"));
}

/** The field of that name, wherever the spool keeps it. */
function payloadIn(wakeUp: unknown): string | undefined {
  if (typeof wakeUp !== "object" || wakeUp === null) return undefined;
  if ("payload" in wakeUp && typeof wakeUp.payload === "string") return wakeUp.payload;
  return Object.values(wakeUp).map(payloadIn).find((found) => found !== undefined);
}

function saysNothing(outcome: PushOutcome): void {
  assert.equal(outcome.isComplete, true);
  assert.equal(outcome.notifications.length, 1);
  const [notification] = outcome.notifications;
  assert.deepEqual([notification?.kind, notification?.count], ["message", 1]);
  for (const language of wordsLanguages()) {
    const entry = words(notification!.wordsKey, language);
    assert.deepEqual(entry.placeholders, []);
    assert.ok(!JSON.stringify(entry).includes("12345"));
  }
}

inAWorld(
  "a wake-up brings what waits and says nothing of it",
  async (world) => {
    const { ada, bob, payload } = await woken(world);
    saysNothing(await bob.client.processPush(payload, 20_000));
    await received(await knowing(bob.client, ada.client), "the secret is 12345");
    await bob.client.unregisterPushToken();
  },
  "--wake-ups",
  SPOOL,
);

inAWorld(
  "a wake-up is dealt with in a process beside the app",
  async (world) => {
    const { ada, bob, payload } = await woken(world);
    await bob.client.close();
    saysNothing(await processPushInExtension(bob.config, bob.vault, payload, 20_000));
    const again = await world.openedAgain(bob);
    await received(await knowing(again, ada.client), "the secret is 12345");
  },
  "--wake-ups",
  SPOOL,
);

inAWorld("a payload that is no wake-up is an error of push", async (world) => {
  const bob = (await world.person("Bob")).client;
  for (const payload of ["", "{}", "hello"]) assert.equal((await refused(bob.processPush(payload, 1_000))).kind, "push");
  assert.equal((await refused(bob.registerPushToken("fcm", new Uint8Array(), "org.example"))).kind, "push");
});

test("every state of the catalogue has words in every language", () => {
  const keys = wordsLanguages().map((language) => allWords(language).map(({ key }) => key));
  assert.ok(keys[0]!.length > 0);
  for (const other of keys) assert.deepEqual(other, keys[0]);
  assert.throws(() => words("no.such.key", "en"), { kind: "invalid_argument", code: "words.unknown_key" });
  assert.deepEqual(words(keys[0]![0]!, "xx"), words(keys[0]![0]!, "en"));
  assert.equal(words("backup_wrong_secret", "de").key, "backup.wrong_passphrase");
  assert.equal(wordsForMessage("delivered", null, "de").title, "Zugestellt");
  assert.equal(wordsForMessage("failed", "expired", "en").key, "failed.expired");
});
