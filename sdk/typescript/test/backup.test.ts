import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";

import { BackupSecret, generateBackupSecret, inspectBackup } from "../src/index.js";
import { facts, inAWorld, received, refused } from "./world.js";

inAWorld("a lost phone comes back with contacts and history as a new device", async (world) => {
  const { ada, adaToBob, bobToAda } = await world.acquainted();
  await adaToBob.sendText("before the loss");
  await received(bobToAda, "before the loss");
  const [file, secret] = [join(world.folder, "ada.backup"), BackupSecret.written(generateBackupSecret())];
  const told: number[] = [];
  const summary = await ada.client.createBackup(file, secret, ({ done }) => told.push(done));
  assert.equal(summary.hasAccountKey, true);
  assert.ok(told.length > 0);
  assert.deepEqual(told, told.slice().sort((one, other) => one - other));
  assert.equal((await inspectBackup(file)).isGenerated, true);
  const account = (await ada.client.account())!.accountId;
  await ada.client.close();
  const phone = (await world.opened("new phone")).client;
  const outcome = await phone.restoreBackup(file, secret, "server");
  assert.deepEqual([outcome.isNewDevice, outcome.accountId], [true, account]);
  const again = await phone.conversation(adaToBob.contactId);
  assert.ok((await again.messages(10)).some(({ text }) => text === "before the loss"));
  await phone.connect();
  await again.sendText("on a new phone");
  await received(bobToAda, "on a new phone");
});

inAWorld("a wrong secret, a cut file and a changed file have codes of their own", async (world) => {
  const ada = (await world.person("Ada")).client;
  const [file, secret] = [join(world.folder, "ada.backup"), BackupSecret.passphrase("correct horse battery staple")];
  assert.equal((await ada.createBackup(file, secret)).hasAccountKey, false);
  const blank = (await world.person("Other")).client;
  const code = async (tried = secret): Promise<string> => {
    const error = await refused(blank.restoreBackup(file, tried, "server"));
    assert.equal(error.kind, "backup");
    return error.code;
  };
  assert.equal(await code(BackupSecret.passphrase("an entirely wrong one")), "backup_wrong_secret");
  const whole = readFileSync(file);
  writeFileSync(file, whole.subarray(0, -1));
  assert.equal(await code(), "backup_truncated");
  const changed = Buffer.from(whole);
  changed[changed.length - 20]! ^= 1;
  writeFileSync(file, changed);
  assert.equal(await code(), "backup_tampered");
  writeFileSync(file, "holiday pictures");
  assert.equal(await code(), "backup_not_a_backup");
  assert.equal((await refused(inspectBackup(file))).kind, "backup");
  const weak = ada.createBackup(file, BackupSecret.passphrase("short"));
  assert.deepEqual(await facts(weak), ["backup", "backup_weak_passphrase", false]);
});

inAWorld("an account that is deleted is gone here and there", async (world) => {
  const person = await world.person("Ada");
  await person.client.deleteAccount();
  assert.equal((await refused(person.client.account())).code, "closed");
  assert.equal(await (await world.openedAgain(person)).account(), null);
});

inAWorld("a device that is erased has nothing left", async (world) => {
  const person = await world.person("Ada");
  await person.client.erase();
  assert.equal((await refused(person.client.account())).code, "closed");
  assert.equal(await (await world.openedAgain(person)).account(), null);
});

test("secrets say nothing of themselves", () => {
  const secret = generateBackupSecret();
  for (const shown of [BackupSecret.written(secret), BackupSecret.passphrase("correct horse")]) {
    for (const text of [`${shown}`, inspect(shown), JSON.stringify(shown)]) {
      assert.match(text, /BackupSecret\((written|passphrase)\)/);
      assert.ok(!text.includes(secret) && !text.includes("horse"));
    }
  }
});
