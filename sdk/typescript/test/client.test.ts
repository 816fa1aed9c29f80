import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { RcsealClient, RcsealError, SoftwareKeyVault, VaultError, type MessageNotice } from "../src/index.js";
import { eventually, refused, TestVault, World } from "./world.js";

let world: World;
before(async () => {
  world = await World.start();
});
after(async () => {
  await world.stop();
});

test("a client opens in a new folder and closes, and afterwards every call says closed", async () => {
  const { client } = await world.opened("opens");
  assert.equal(await client.account(), null);
  assert.equal(client.isClosed, false);
  await client.close();
  await client.close();
  assert.equal(client.isClosed, true);
  assert.equal((await refused(client.account())).code, "closed");
  assert.throws(() => client.observeMessages(() => {}), { kind: "closed" });
});

test("an account is created once and is there after the next opening", async () => {
  const { client, config, vault } = await world.person("Again");
  const account = await client.account();
  assert.equal(account?.stage, "active");
  assert.equal(account?.displayName, "Again");
  assert.notEqual(await client.pendingRecoveryCode(), null);
  await client.confirmRecoveryCode();
  assert.equal(await client.pendingRecoveryCode(), null);
  await client.close();
  const again = await RcsealClient.open(config, vault);
  assert.equal((await again.account())?.accountId, account?.accountId);
  const second = await refused(
    again.createAccount({ origin: world.origin, platform: "server", displayName: "Second" }),
  );
  assert.equal(second.kind, "account");
  await again.close();
});

test("a second client on the same store is refused for as long as the first is open", async () => {
  const { client, config, vault } = await world.opened("twice");
  const error = await refused(RcsealClient.open(config, vault));
  assert.deepEqual([error.kind, error.code, error.retryable], ["store", "store.in_use", true]);
  await client.close();
  await (await RcsealClient.open(config, vault)).close();
});

test("arguments that cannot be read are named by a stable code", async () => {
  const { client } = await world.opened("arguments");
  for (const call of [
    client.contact("no id"),
    client.conversations(-1),
    client.createAccount({ origin: "nowhere", platform: "server", displayName: "" }),
    client.createAccount({ origin: world.origin, platform: "toaster" as "server", displayName: "" }),
  ]) {
    const error = await refused(call);
    assert.ok(error instanceof RcsealError);
    assert.deepEqual([error.kind, error.code, error.retryable], ["invalid_argument", "argument_malformed", false]);
  }
});

test("a server that is away is an error of the network, and the account is kept", async () => {
  const { client } = await world.opened("away");
  const created = await client.createAccount({
    origin: "https://127.0.0.1:1",
    platform: "server",
    displayName: "Away",
  });
  assert.equal(created.isRegistered, false);
  assert.equal(created.isRetryable, true);
  assert.equal((await client.account())?.stage, "registering");
  const error = await refused(client.register());
  assert.deepEqual([error.kind, error.retryable], ["network", true]);
});

test("a software vault shows in the security state", async () => {
  const { client } = await world.opened("software");
  const state = await client.securityState();
  assert.equal(state.protection, "software");
  assert.equal(state.isSoftwareVault, true);
  assert.equal(state.isRegistered, false);
});

test("text goes both ways and is receipted", async () => {
  const there = await World.start();
  try {
    const { ada, bob, adaToBob, bobToAda } = await there.acquainted();
    const sent = await adaToBob.sendText("Is the ferry running?");
    assert.equal(sent.mode, "relayed");
    assert.deepEqual(sent.readers, ["participants"]);
    const received = await eventually(async () =>
      (await bobToAda.messages(1)).find((message) => message.text === "Is the ferry running?"),
    );
    assert.equal(received.isEndToEnd, true);
    await bobToAda.markRead(received.order);
    await bobToAda.send({ type: "text", text: "Every hour.", replyTo: received.id });
    const own = (await ada.client.account())!.accountId;
    await eventually(async () =>
      (await adaToBob.message(own, sent.messageId))?.state === "read" ? true : undefined,
    );
    const answer = await eventually(async () =>
      (await adaToBob.messages(1)).find((message) => message.text === "Every hour."),
    );
    assert.equal(answer.replyTo, sent.messageId);
    await adaToBob.send({ type: "reaction", messageId: answer.id, emoji: "⛴️", isRemoved: false });
    await eventually(async () => {
      const message = (await bobToAda.messages(1))[0];
      return message?.reactions[0]?.emoji === "⛴️" ? true : undefined;
    });
    const [line] = await bob.client.conversations(10);
    assert.equal(line?.padlock, "end_to_end");
  } finally {
    await there.stop();
  }
});

test("a photo arrives byte by byte and its progress is told", async () => {
  const there = await World.start();
  try {
    const { adaToBob, bobToAda } = await there.acquainted();
    const [from, to] = [join(there.folder, "from.bin"), join(there.folder, "to.bin")];
    writeFileSync(from, Buffer.alloc(700_000, "sunset "));
    let furthest = 0;
    await adaToBob.send({ type: "media", path: from, caption: "Sunset" }, ({ done, total }) => {
      assert.ok(done <= total);
      furthest = Math.max(furthest, done);
    });
    const message = await eventually(async () =>
      (await bobToAda.messages(1)).find((candidate) => candidate.kind === "media"),
    );
    assert.equal(message.media?.caption, "Sunset");
    await bobToAda.fetchEncryptedBlob(message, "file", to);
    assert.deepEqual(readFileSync(to), readFileSync(from));
    assert.ok(furthest > 0);
    const missing = await refused(adaToBob.send({ type: "media", path: join(there.folder, "none"), caption: "" }));
    assert.equal(missing.kind, "media");
    assert.equal((await refused(bobToAda.fetchEncryptedBlob(message, "thumbnail", to + "2"))).code, "media_none");
    assert.equal(existsSync(to + "2"), false);
  } finally {
    await there.stop();
  }
});

test("two people verify each other by their codes, and nobody by somebody else's", async () => {
  const there = await World.start();
  try {
    const { ada, adaToBob, bobToAda } = await there.acquainted();
    const [mine, his] = [await adaToBob.safetyNumber(), await bobToAda.safetyNumber()];
    assert.equal(mine.numeric, his.numeric);
    assert.equal((await refused(mine.verify(mine.qrPayload))).kind, "contact");
    await mine.verify(his.qrPayload);
    await his.verify(mine.qrPayload);
    assert.equal((await ada.client.contact(adaToBob.contactId)).verification, "verified");
    assert.equal((await bobToAda.security()).padlock, "verified");
  } finally {
    await there.stop();
  }
});

test("messages are told in order, and one that was not dealt with is told again", async () => {
  const there = await World.start();
  try {
    const { bob, adaToBob } = await there.acquainted();
    for (const text of ["one", "two", "three"]) await adaToBob.sendText(text);
    const heard: string[] = [];
    for await (const { change, message } of bob.client.messages()) {
      if (change !== "received") continue;
      heard.push(message.text ?? "");
      // A loop may call the client.
      await bob.client.account();
      if (heard.length === 3) break;
    }
    assert.deepEqual(heard, ["hello", "one", "two"]);
    const rest = new Promise<MessageNotice>((resolve) => {
      const subscription = bob.client.observeMessages((notice) => {
        if (notice.message.text === "three") {
          subscription.cancel();
          resolve(notice);
        }
      });
    });
    assert.equal((await rest).change, "received");
  } finally {
    await there.stop();
  }
});

test("a listener that throws or waits stops neither the client nor another listener", async () => {
  const there = await World.start();
  try {
    const { bob, adaToBob } = await there.acquainted();
    const warned: string[] = [];
    const onWarning = (warning: Error): void => {
      warned.push(warning.message);
    };
    process.on("warning", onWarning);
    bob.client.observeMessages(() => {
      throw new RangeError("secret words");
    });
    let release: () => void = () => {};
    bob.client.observeMessages(() => new Promise<void>((resolve) => (release = resolve)));
    const heard = new Promise<void>((resolve) => {
      bob.client.observeMessages(({ message }) => {
        if (message.text === "still here") resolve();
      });
    });
    await adaToBob.sendText("still here");
    await heard;
    await eventually(async () => (warned.length > 0 ? true : undefined));
    assert.ok(warned.every((text) => !text.includes("secret")));
    release();
    process.off("warning", onWarning);
  } finally {
    await there.stop();
  }
});

test("the connection is told with its reason", async () => {
  const there = await World.start();
  try {
    const { client } = await there.person("Watcher");
    const seen: string[] = [];
    client.observeConnection((state) => void seen.push(state.status));
    await client.connect();
    await eventually(async () => (seen.includes("online") ? true : undefined));
    assert.equal(client.connectionState().status, "online");
    await client.disconnect();
    await eventually(async () => (seen.at(-1) === "stopped" ? true : undefined));
  } finally {
    await there.stop();
  }
});

for (const [failure, code, retryable] of [
  ["user_not_authenticated", "vault.user_not_authenticated", true],
  ["key_invalidated", "vault.key_invalidated", false],
  ["not_found", "vault.not_found", false],
  ["hardware_unavailable", "vault.hardware_unavailable", true],
] as const) {
  test(`a vault that answers ${failure} is named so, and nothing is reset`, async () => {
    const { client, config, vault } = await world.opened(`vault-${failure}`);
    await client.close();
    vault.fault = (method) => {
      if (method === "unwrap") throw new VaultError(failure);
    };
    const error = await refused(RcsealClient.open(config, vault));
    assert.deepEqual([error.kind, error.code, error.retryable], ["vault", code, retryable]);
    vault.fault = () => {};
    await (await RcsealClient.open(config, vault)).close();
  });
}

test("a vault that throws something of its own says unexpected and none of its words", async () => {
  const vault = new TestVault();
  vault.fault = () => {
    throw new Error("secret words");
  };
  const error = await refused(RcsealClient.open(world.config("vault-throws"), vault));
  assert.equal(error.code, "vault.unexpected");
  assert.ok(!String(error).includes("secret"));
});

test("a vault that hangs ends the opening in time, and a slow one is waited for", async () => {
  const vault = new TestVault();
  vault.fault = () => new Promise(() => {});
  const config = { ...world.config("vault-hangs"), vaultTimeoutMs: 200 };
  const error = await refused(RcsealClient.open(config, vault));
  assert.deepEqual([error.kind, error.code, error.retryable], ["vault", "vault.timeout", true]);
  const slow = new TestVault();
  slow.fault = () => new Promise((resolve) => setTimeout(resolve, 20));
  await (await RcsealClient.open(world.config("vault-slow"), slow)).close();
});

test("the software vault keeps its key under a passphrase and its generation in a file", async () => {
  const folder = join(world.folder, "vault");
  const vault = new SoftwareKeyVault(folder, "a passphrase of some length");
  const config = world.config("software-vault");
  await (await RcsealClient.open(config, vault)).close();
  const again = new SoftwareKeyVault(folder, "a passphrase of some length");
  await (await RcsealClient.open(config, again)).close();
  const wrong = new SoftwareKeyVault(folder, "another one");
  assert.equal((await refused(RcsealClient.open(config, wrong))).code, "vault.key_invalidated");
});
