import assert from "node:assert/strict";

import type { Conversation, HostStackConfig, PayloadPart, RcsealClient } from "../src/index.js";
import { eventually, facts, inAWorld, received, refused, type World } from "./world.js";

const [ADA, BOB] = ["+15552010001", "+15552010002"];

function stack(number: string): HostStackConfig {
  return { number, isBinarySafe: true, bodyLenMax: 1_300, partsMax: 16 };
}

/** Two that have written to each other and know each other's numbers. */
async function numbered(
  world: World,
): Promise<{ ada: RcsealClient; bob: RcsealClient; adaToBob: Conversation; bobToAda: Conversation }> {
  const { ada, bob, adaToBob, bobToAda } = await world.acquainted();
  await bobToAda.sendText("hello to you");
  await received(adaToBob, "hello to you");
  await ada.client.setContactNumber(adaToBob.contactId, BOB!);
  await bob.client.setContactNumber(bobToAda.contactId, ADA!);
  return { ada: ada.client, bob: bob.client, adaToBob, bobToAda };
}

function takeIn(client: RcsealClient, { contentType, contentEncoding, body }: PayloadPart): ReturnType<RcsealClient["decrypt"]> {
  return client.decrypt({ fromNumber: ADA!, isAsserted: true, contentType, contentEncoding, body });
}

inAWorld("a message that the app carries arrives end to end", async (world) => {
  const { ada, bob, adaToBob, bobToAda } = await numbered(world);
  await ada.useAppStack(stack(ADA!));
  await bob.useAppStack(stack(BOB!));
  const session = await ada.getOrCreateSession(adaToBob.contactId);
  assert.equal(session.contactId, adaToBob.contactId);
  // Bob's app has to have said, end to end, that it has a stack.
  const payload = await eventually(async () => {
    try {
      return await session.encrypt({ type: "text", text: "by the carrier" });
    } catch (notYet) {
      assert.match((notYet as { code: string }).code, /^hand_over_/);
      return undefined;
    }
  });
  assert.equal(payload.number, BOB);
  assert.ok(payload.parts.every(({ body }) => !Buffer.from(body).includes("by the carrier")));
  for (const part of payload.parts) assert.equal((await takeIn(bob, part)).answer, "accepted");
  await session.report(payload.messageId, "taken");
  const message = await received(bobToAda, "by the carrier");
  assert.deepEqual([message.id, message.mode, message.isEndToEnd], [payload.messageId, "native", true]);
});

inAWorld("a stack that is lent carries what is sent, and one that throws loses nothing", async (world) => {
  const { ada, bob, adaToBob, bobToAda } = await numbered(world);
  let isBroken = false;
  let carried = 0;
  await ada.attachHostStack(stack(ADA!), {
    async sendEncryptedPayload(part) {
      if (isBroken) throw new Error("the secret is 12345");
      carried += 1;
      await takeIn(bob, part);
      return "taken";
    },
  });
  await bob.attachHostStack(stack(BOB!), { sendEncryptedPayload: async () => "taken" });
  await ada.getOrCreateSession(adaToBob.contactId);
  await eventually(async () => ((await adaToBob.security()).mode === "native" ? true : undefined));
  await adaToBob.sendText("through the stack");
  assert.equal((await received(bobToAda, "through the stack")).mode, "native");
  assert.ok(carried > 0);
  isBroken = true;
  await adaToBob.sendText("the stack is broken");
  await received(bobToAda, "the stack is broken");
  await ada.leaveCarrier();
});

inAWorld("what is no message of ours is answered by what it is", async (world) => {
  const ada = (await world.person("Ada")).client;
  await ada.useAppStack(stack(ADA!));
  const foreign = { fromNumber: BOB!, isAsserted: true, contentEncoding: null, body: new Uint8Array([1, 2]) };
  assert.equal((await ada.decrypt({ ...foreign, contentType: "application/x-other" })).answer, "unsupported_media");
  const malformed = ada.decrypt({ ...foreign, contentType: "", fromNumber: "nobody" });
  assert.deepEqual(await facts(malformed), ["invalid_argument", "argument_malformed", false]);
  assert.equal((await refused(ada.useAppStack({ ...stack(ADA!), partsMax: 0 }))).kind, "invalid_argument");
});
