import assert from "node:assert/strict";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { RcsealClient, VaultError } from "../src/index.js";
import { eventually, facts, inAWorld, received, knowing, refused } from "./world.js";

inAWorld("many calls at a time are all answered", async (world) => {
  const { client } = await world.person("Busy");
  const answers = await Promise.all(Array.from({ length: 200 }, () => client.account()));
  assert.equal(new Set(answers.map((account) => account?.accountId)).size, 1);
});

inAWorld("an older copy of the store is recognised", async (world) => {
  const person = await world.person("Ada");
  await person.client.close();
  const [store, copy] = [person.config.folder, join(world.folder, "copy")];
  cpSync(store, copy, { recursive: true });
  await (await world.openedAgain(person)).close();
  rmSync(store, { recursive: true });
  cpSync(copy, store, { recursive: true });
  assert.equal((await (await world.openedAgain(person)).securityState()).wasRolledBack, true);
});

inAWorld("a damaged store stays as it is until it is set aside", async (world) => {
  const person = await world.person("Damaged");
  const { folder } = person.config;
  const file = join(folder, "store.db");
  assert.deepEqual(await facts(RcsealClient.setStoreAside(folder, person.vault)), ["store", "store.in_use", true]);
  await person.client.close();
  const damaged = readFileSync(file);
  // A byte of the database's plain header, every one of which is fixed.
  damaged[20]! ^= 1;
  writeFileSync(file, damaged);
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const opened = RcsealClient.open(person.config, person.vault);
    assert.deepEqual(await facts(opened), ["store", "store.damaged", false]);
  }
  const aside = await RcsealClient.setStoreAside(folder, person.vault);
  assert.deepEqual([aside.isKeyDiscarded, existsSync(folder)], [false, false]);
  assert.deepEqual(readFileSync(join(aside.folder, "store.db")), damaged);
  assert.equal(await (await world.openedAgain(person)).account(), null);
});

inAWorld("a store whose key was discarded is set aside with what is left of the key", async (world) => {
  const person = await world.person("Discarded");
  await person.client.close();
  person.vault.fault = (method) => {
    if (method === "unwrap") throw new VaultError("key_invalidated");
  };
  assert.equal((await RcsealClient.setStoreAside(person.config.folder, person.vault)).isKeyDiscarded, true);
  person.vault.fault = () => {};
  assert.equal(await (await world.openedAgain(person)).account(), null);
});

inAWorld("an export has what was said and is not written twice", async (world) => {
  const { ada, adaToBob } = await world.acquainted();
  await adaToBob.sendText("keep this");
  const file = join(world.folder, "export.jsonl");
  assert.equal((await ada.client.exportData(file)).messages, 2);
  assert.ok(readFileSync(file, "utf8").includes("keep this"));
  await refused(ada.client.exportData(file));
});

inAWorld("a device is linked by its code and taken out again", async (world) => {
  const [phone, tablet] = [(await world.person("Phone")).client, (await world.opened("tablet")).client];
  const request = await tablet.linkStart(world.origin, "server");
  const finished = request.finish();
  const number = await phone.linkApprove(request.text);
  await finished;
  assert.equal((await tablet.account())?.accountId, (await phone.account())?.accountId);
  assert.deepEqual((await phone.devices()).map((device) => device.number).sort(), [1, number]);
  assert.equal((await refused(request.finish())).code, "sdk.link_used");
  await phone.removeDevice(number);
  await phone.connect();
  await eventually(async () => ((await phone.devices()).length === 1 ? true : undefined));
});

inAWorld("the vault is not asked for each message", async (world) => {
  const { ada, adaToBob } = await world.acquainted();
  const asked = (): number => ada.vault.calls.filter((call) => call === "unwrap").length;
  const before = asked();
  for (let number = 0; number < 5; number += 1) await adaToBob.sendText(`${number}`);
  assert.equal(asked(), before);
});

inAWorld("what was written while nobody was connected goes with one sync", async (world) => {
  const [ada, bob] = [(await world.person("Ada")).client, (await world.person("Bob")).client];
  const adaToBob = await ada.conversation((await ada.addContact(await bob.invitation(), "Bob")).id);
  await adaToBob.sendText("from the train");
  assert.equal((await ada.syncOnce()).isOutboxEmpty, true);
  assert.ok((await bob.syncOnce()).received > 0);
  await received(await knowing(bob, ada), "from the train");
});

inAWorld("loops that are left at any moment hold nothing back", async (world) => {
  const { client } = await world.person("Ada");
  await client.connect();
  for (let round = 0; round < 50; round += 1) {
    const leave = new AbortController();
    const loop = (async () => {
      for await (const _ of client.events(leave.signal)) void _;
    })();
    // Each round lets the listener come a little further before the loop is left.
    for (let turn = 0; turn < round; turn += 1) await Promise.resolve();
    leave.abort();
    await loop;
  }
  // It waits for every call that is under way, a listener's included.
  await client.close();
});
