/**
 * What this face costs over the Rust call, for messages of 1 KiB.
 *
 * `cargo xtask bench sdk` starts it with the address of a relay and the file of its authority; it prints one JSON object with its rows.
 *
 * Measured is the border by itself: a call that carries the same 1 KiB and is refused at once behind it, because the client is closed, and
 * the translation of a message of 1 KiB. Messages cross as JSON, which the library writes and this face reads; writing is measured with V8's
 * own writer, which is slower than the library's. The whole calls are rows beside them, without a goal.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { RcsealClient, RcsealError, SoftwareKeyVault, type Message } from "../src/index.js";

const WARM_UP = 1_000;
const ROUNDS = 5_000;
const WHOLE_ROUNDS = 200;
const GOAL = 30;
const TEXT = "x".repeat(1024);

interface Row {
  id: string;
  value: number;
  unit: string;
  goal?: number;
}

/** The median time of a call, in microseconds. */
async function median(warmUp: number, rounds: number, call: () => Promise<unknown>): Promise<number> {
  for (let round = 0; round < warmUp; round += 1) await call();
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const since = process.hrtime.bigint();
    await call();
    times.push(Number(process.hrtime.bigint() - since));
  }
  return middle(times);
}

function middle(nanoseconds: number[]): number {
  return nanoseconds.sort((one, other) => one - other)[Math.floor(nanoseconds.length / 2)]! / 1000;
}

async function refused(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (error instanceof RcsealError && error.kind === "closed") return;
    throw error;
  }
  throw new Error("the client is closed, and the call was not refused");
}

/** The median time in which a message is written and read as JSON, in microseconds. */
function translation(message: Message): number {
  const times: number[] = [];
  for (let round = 0; round < WARM_UP + ROUNDS; round += 1) {
    const since = process.hrtime.bigint();
    JSON.parse(JSON.stringify(message));
    if (round >= WARM_UP) times.push(Number(process.hrtime.bigint() - since));
  }
  return middle(times);
}

async function measure(server: string, authority: string, folder: string): Promise<Row[]> {
  const authoritiesPem = readFileSync(authority, "utf8");
  const open = async (name: string): Promise<RcsealClient> => {
    const vault = new SoftwareKeyVault(join(folder, `${name}.keys`), "for a measurement");
    const client = await RcsealClient.open({ folder: join(folder, name), authoritiesPem }, vault);
    await client.createAccount({ origin: server, platform: "server", displayName: name });
    return client;
  };
  const [ada, bob] = [await open("ada"), await open("bob")];
  const conversation = await ada.conversation((await ada.addContact(await bob.invitation(), "bob")).id);
  const whole = await median(WHOLE_ROUNDS / 4, WHOLE_ROUNDS, () => conversation.sendText(TEXT));
  const [message] = await conversation.messages(1);
  const { senderId, id } = message!;
  const read = await median(WHOLE_ROUNDS, WHOLE_ROUNDS, () => conversation.message(senderId, id));
  await ada.close();
  await bob.close();

  const send = await median(WARM_UP, ROUNDS, () => refused(conversation.sendText(TEXT)));
  const answered = await median(WARM_UP, ROUNDS, () => refused(conversation.message(senderId, id)));
  return [
    { id: "typescript_send_1kib_border", value: send, unit: "µs", goal: GOAL },
    { id: "typescript_receive_1kib_border", value: answered + translation(message!), unit: "µs", goal: GOAL },
    { id: "typescript_send_1kib_whole", value: whole, unit: "µs" },
    { id: "typescript_read_1kib_whole", value: read, unit: "µs" },
  ];
}

const [server, authority] = process.argv.slice(2);
if (server === undefined || authority === undefined) {
  console.error("a relay's address and the file of its authority are needed");
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), "rcseal-bench-"));
try {
  console.log(JSON.stringify({ rows: await measure(server, authority, folder) }));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
