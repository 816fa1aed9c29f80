/** A chat on the console. `node chat.js FOLDER SERVER AUTHORITY.pem NAME`; it prints an invitation, and takes one with `/add INVITATION NAME`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { stdin, stdout } from "node:process";

import { type Conversation, RcsealClient, RcsealError, SoftwareKeyVault } from "../src/index.js";

async function main(folder: string, server: string, authority: string, name: string): Promise<void> {
  const vault = new SoftwareKeyVault(join(folder, "vault"), process.env["RCSEAL_PASSPHRASE"] ?? "");
  const config = { folder: join(folder, "client"), authoritiesPem: readFileSync(authority, "utf8") };
  const client = await RcsealClient.open(config, vault);
  if ((await client.account()) === null) {
    const created = await client.createAccount({ origin: server, platform: "desktop", displayName: name });
    console.log(`write this down, and keep it off this computer: ${created.recoveryCode}`);
    await client.confirmRecoveryCode();
  }
  console.log(`others add you with: ${await client.invitation()}`);

  let current: Conversation | undefined;
  // Before `connect`: what one has not subscribed to is kept until somebody has heard it.
  client.observeMessages(async ({ change, message }) => {
    if (change !== "received" || message.isOutgoing) return;
    const contact = await client.contact(message.senderId);
    const conversation = await client.conversation(message.senderId);
    current ??= conversation;
    const lock = message.isEndToEnd ? "🔒" : "🔓";
    console.log(`${lock} ${contact.name || `~${contact.displayName}`}: ${message.text ?? `[${message.kind}]`}`);
    await conversation.markRead(message.order);
  });
  client.observeConnection(({ status, code }) => console.log(`* ${status}${code ? ` (${code})` : ""}`));
  await client.connect();

  const lines = createInterface({ input: stdin, output: stdout });
  for await (const line of lines) {
    try {
      const [command, ...rest] = line.split(" ");
      if (command === "/quit") break;
      if (command === "/add") {
        const contact = await client.addContact(rest[0] ?? "", rest.slice(1).join(" "));
        current = await client.conversation(contact.id);
      } else if (command === "/verify" && current) {
        console.log((await current.safetyNumber()).numeric);
      } else if (command === "/file" && current) {
        await current.send({ type: "media", path: rest.join(" "), caption: "" });
      } else if (line !== "" && current) {
        const receipt = await current.sendText(line);
        console.log(`  ${receipt.state}, readable by ${receipt.readers.join(", ")}`);
      } else if (!current) {
        console.log("nobody to write to yet: /add INVITATION NAME");
      }
    } catch (error) {
      if (!(error instanceof RcsealError)) throw error;
      console.log(`! ${error.code}${error.retryable ? " (try again later)" : ""}`);
    }
  }
  lines.close();
  await client.close();
}

const [folder, server, authority, name] = process.argv.slice(2);
if (!folder || !server || !authority) {
  console.error("usage: chat.js FOLDER SERVER AUTHORITY.pem NAME");
  process.exitCode = 2;
} else {
  await main(folder, server, authority, name ?? "");
}
