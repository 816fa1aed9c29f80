/** What the maker of an app learns and may set from afar: documents are signed as `docs/protocol/push.md` says, with keys drawn for each test. */
import assert from "node:assert/strict";
import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";

import { facts, inAWorld, refused } from "./world.js";

const VERSION = Buffer.from([1]);

function keys(): { secret: KeyObject; raw: Uint8Array } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return { secret: privateKey, raw: Buffer.from(publicKey.export({ format: "jwk" }).x!, "base64url") };
}

function document(secret: KeyObject, counter: number, values: Record<string, number>, validMs = 3_600_000): Buffer {
  const now = Date.now();
  const text = Buffer.from(
    JSON.stringify({ counter, issued_at_ms: now, expires_at_ms: now + validMs, values }),
  );
  const signed = Buffer.concat([Buffer.from("rcseal/remote-config/v1"), VERSION, text]);
  return Buffer.concat([VERSION, sign(null, signed, secret), text]);
}

inAWorld("nothing is counted or set from afar unless the app says so", async (world) => {
  const { client } = await world.person("Ada");
  assert.equal(await client.telemetryReport(), null);
  assert.equal((await refused(client.applyRemoteConfig(Buffer.from("no document")))).retryable, false);
});

inAWorld("a signed document counts over a restart too, and an older one never again", async (world) => {
  const { secret, raw } = keys();
  const person = await world.opened("remote", { remoteConfigKey: raw, telemetry: true });
  assert.equal(typeof JSON.parse((await person.client.telemetryReport())!), "object");
  const taken = await person.client.applyRemoteConfig(document(secret, 2, { canary_percent: 100, later: 5 }));
  assert.deepEqual([taken.counter, taken.isExpired, taken.isCanary, taken.unknown], [2, false, true, ["later"]]);
  assert.deepEqual(taken.values, [{ key: "canary_percent", value: 100, isClamped: false }]);
  const older = document(secret, 1, {});
  const rollback = ["invalid_argument", "remote_config_rollback", false];
  assert.deepEqual(await facts(person.client.applyRemoteConfig(older)), rollback);
  await person.client.close();
  const again = await world.openedAgain(person);
  assert.deepEqual(await again.remoteConfig(), taken);
  assert.deepEqual(await facts(again.applyRemoteConfig(older)), rollback);
  const foreign = document(keys().secret, 9, {});
  assert.equal((await refused(again.applyRemoteConfig(foreign))).code, "remote_config_signature");
});
