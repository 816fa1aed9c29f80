import assert from "node:assert/strict";
import { test } from "node:test";

import { CryptoStoreError, PairwiseClient, type CryptoStore, type CryptoStoreWrite } from "../src/index.js";
import { facts, refused, TestVault } from "./world.js";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (read: Uint8Array): string => new TextDecoder().decode(read);

/** The smallest store that keeps its promise in one process. */
class MemoryStore implements CryptoStore {
  fault: () => void = () => {};
  readonly #rows = new Map<string, Uint8Array>();

  async get(key: Uint8Array): Promise<Uint8Array | null> {
    return this.#rows.get(name(key)) ?? null;
  }

  async commit(expectedHead: Uint8Array | null, writes: CryptoStoreWrite[]): Promise<void> {
    this.fault();
    const head = this.#rows.get(name(bytes("head")));
    const isExpected = head === undefined ? expectedHead === null : expectedHead !== null && name(head) === name(expectedHead);
    if (!isExpected) throw new CryptoStoreError("conflict");
    for (const { key, value } of writes) {
      if (value === null) this.#rows.delete(name(key));
      else this.#rows.set(name(key), Uint8Array.from(value));
    }
  }
}

function name(key: Uint8Array): string {
  return Buffer.from(key).toString("hex");
}

function client(store: CryptoStore = new MemoryStore()): Promise<PairwiseClient> {
  return PairwiseClient.open(store, new TestVault());
}

test("bytes go both ways over the app's own transport", async () => {
  const [ada, bob] = [await client(), await client()];
  assert.notDeepEqual(ada.identity, bob.identity);
  assert.equal(ada.wasRolledBack, false);
  const toBob = await ada.getOrCreateSession("bob", await bob.localBundle());
  const data = Uint8Array.from({ length: 1024 }, (_, index) => index % 256);
  assert.deepEqual(Uint8Array.from(await bob.decrypt("ada", await toBob.encrypt(data))), data);
  const toAda = await bob.getOrCreateSession("ada");
  assert.deepEqual(Uint8Array.from(await toBob.decrypt(await toAda.encrypt(data))), data);
  const [one, other] = [await toBob.safetyNumber(), await toAda.safetyNumber()];
  assert.equal(one.numeric, other.numeric);
  assert.equal(await toBob.isVerified(), false);
  await one.verify(other.qrPayload);
  assert.equal(await toBob.isVerified(), true);
});

test("a message is decrypted once and a changed one never", async () => {
  const [ada, bob] = [await client(), await client()];
  const message = await (await ada.getOrCreateSession("bob", await bob.localBundle())).encrypt(bytes("hello"));
  const changed = Uint8Array.from(message);
  changed[changed.length - 1]! ^= 1;
  await refused(bob.decrypt("ada", changed));
  assert.equal(text(await bob.decrypt("ada", message)), "hello");
  assert.equal((await refused(bob.decrypt("ada", message))).retryable, false);
});

test("prekeys are replenished, and without a bundle there is no session", async () => {
  const [ada, bob] = [await client(), await client()];
  const { oneTime, lastResort } = await bob.replenishPrekeys(0);
  assert.ok(oneTime.length > 0 && lastResort.length > 0);
  assert.ok((await bob.prekeyState()).oneTime >= oneTime.length);
  const session = await ada.getOrCreateSession("bob", oneTime[0]);
  assert.equal(text(await bob.decrypt("ada", await session.encrypt(bytes("hello")))), "hello");
  await ada.forgetPeer("bob");
  const [kind, code] = await facts(ada.getOrCreateSession("bob"));
  assert.deepEqual([kind, code], ["send", "pairwise.bundle_needed"]);
});

test("a store that throws is an error of the store, and nothing was encrypted", async () => {
  const store = new MemoryStore();
  const [ada, bob] = [await client(store), await client()];
  const session = await ada.getOrCreateSession("bob", await bob.localBundle());
  const failing = async (fault: Error): Promise<{ kind: string; retryable: boolean }> => {
    store.fault = () => {
      throw fault;
    };
    const error = await refused(session.encrypt(bytes("x")));
    assert.ok(!String(error).includes("12345"));
    return error;
  };
  assert.equal((await failing(new Error("the secret is 12345"))).kind, "store");
  assert.equal((await failing(new CryptoStoreError("busy"))).retryable, true);
  assert.equal((await failing(new CryptoStoreError("full"))).retryable, false);
  store.fault = () => {};
  assert.equal(text(await bob.decrypt("ada", await session.encrypt(bytes("x")))), "x");
});

test("after the close every call says closed", async () => {
  const ada = await client();
  await ada.close();
  assert.deepEqual(await facts(ada.localBundle()), ["closed", "closed", false]);
});
