import assert from "node:assert/strict";

import { eventually, inAWorld, received, refused } from "./world.js";

inAWorld("edits and deletions reach the other side", async (world) => {
  const { adaToBob, bobToAda } = await world.acquainted();
  const sent = await adaToBob.sendText("at nine");
  const first = await received(bobToAda, "at nine");
  await adaToBob.send({ type: "edit", messageId: sent.messageId, text: "at ten" });
  const edited = await received(bobToAda, "at ten");
  assert.equal(edited.id, first.id);
  assert.equal(edited.isEdited, true);
  await adaToBob.send({ type: "delete", messageId: sent.messageId });
  await eventually(async () => {
    const message = (await bobToAda.messages(10)).find(({ id }) => id === first.id);
    return message?.kind === "deleted" && message.text === null ? true : undefined;
  });
});

inAWorld("the list has the newest first, and history comes page by page", async (world) => {
  const { ada, adaToBob } = await world.acquainted();
  const carol = await world.person("Carol");
  const contact = await ada.client.addContact(await carol.client.invitation(), "Carol");
  await (await ada.client.conversation(contact.id)).sendText("to Carol");
  for (const text of ["one", "two", "three"]) await adaToBob.sendText(text);
  const [first] = await ada.client.conversations(1);
  assert.equal(first?.contactId, adaToBob.contactId);
  const [second] = await ada.client.conversations(1, first?.id);
  assert.equal(second?.contactId, contact.id);
  assert.deepEqual(await ada.client.conversations(1, second?.id), []);
  const texts: (string | null)[] = [];
  let before: number | undefined;
  for (;;) {
    const page = await adaToBob.messages(2, before);
    if (page.length === 0) break;
    texts.push(...page.map(({ text }) => text));
    before = page.at(-1)!.order;
  }
  assert.deepEqual(texts, ["three", "two", "one", "hello"]);
});

inAWorld("nobody writes to a contact that is blocked", async (world) => {
  const { ada, adaToBob, bobToAda } = await world.acquainted();
  await ada.client.blockContact(adaToBob.contactId, true);
  assert.equal((await ada.client.contact(adaToBob.contactId)).isBlocked, true);
  await refused(adaToBob.sendText("nobody hears this"));
  await ada.client.blockContact(adaToBob.contactId, false);
  await adaToBob.sendText("again");
  await received(bobToAda, "again");
});

inAWorld("the strictest fallback policy counts, and readers are named", async (world) => {
  const { ada, adaToBob } = await world.acquainted();
  assert.equal(await ada.client.fallbackPolicy(), null);
  await ada.client.setFallbackPolicy("block");
  await adaToBob.setFallbackPolicy("downgrade");
  assert.deepEqual([await ada.client.fallbackPolicy(), await adaToBob.fallbackPolicy()], ["block", "downgrade"]);
  const security = await adaToBob.security();
  assert.deepEqual([security.isEndToEnd, security.readers], [true, ["participants"]]);
  await adaToBob.setFallbackPolicy(null);
  assert.equal(await adaToBob.fallbackPolicy(), null);
});
