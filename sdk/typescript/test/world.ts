/** What the tests share: a real relay as a child process, and people with a client each. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";

import {
  type ClientConfig,
  type Contact,
  type Conversation,
  type KeyProtection,
  type KeyVault,
  type Message,
  RcsealClient,
  VaultError,
} from "../src/index.js";

/** How long a test waits for what has to happen: many times what it takes on a busy machine. */
const PATIENCE_MS = 30_000;

/** A vault in memory, which can be told to misbehave. */
export class TestVault implements KeyVault {
  /** Runs before each answer; throws or waits. */
  fault: (method: string) => void | Promise<void> = () => {};
  calls: string[] = [];
  readonly #generations = new Map<string, number>();

  async #asked(method: string): Promise<void> {
    this.calls.push(method);
    await this.fault(method);
  }

  async createWrappingKey(alias: string): Promise<void> {
    await this.#asked("createWrappingKey");
    if (this.#generations.has(alias)) throw new VaultError("already_exists");
    this.#generations.set(alias, 0);
  }

  async hasWrappingKey(alias: string): Promise<boolean> {
    await this.#asked("hasWrappingKey");
    return this.#generations.has(alias);
  }

  async wrap(_alias: string, dataKey: Uint8Array): Promise<Uint8Array> {
    await this.#asked("wrap");
    return dataKey.map((byte) => byte ^ 0x5a);
  }

  async unwrap(_alias: string, wrapped: Uint8Array): Promise<Uint8Array> {
    await this.#asked("unwrap");
    return wrapped.map((byte) => byte ^ 0x5a);
  }

  async delete(alias: string): Promise<void> {
    await this.#asked("delete");
    this.#generations.delete(alias);
  }

  async protection(): Promise<KeyProtection> {
    await this.#asked("protection");
    return "software";
  }

  async generation(alias: string): Promise<number> {
    await this.#asked("generation");
    const generation = this.#generations.get(alias);
    if (generation === undefined) throw new VaultError("not_found");
    return generation;
  }

  async bumpGeneration(alias: string): Promise<number> {
    const next = (await this.generation(alias)) + 1;
    this.#generations.set(alias, next);
    return next;
  }
}

/** A person with a client. */
export interface Person {
  client: RcsealClient;
  vault: TestVault;
  config: ClientConfig;
}

/** A relay and the people at it. */
export class World {
  readonly folder = mkdtempSync(join(tmpdir(), "rcseal-ts-"));
  #relay: ChildProcess | undefined;
  #people: Person[] = [];
  origin = "";

  /** Starts the relay, with options of its own. */
  static async start(...options: string[]): Promise<World> {
    const world = new World();
    const program = process.env["RCSEAL_PROGRAM"];
    if (program === undefined) throw new Error("RCSEAL_PROGRAM names no program");
    const serve = ["--json", "serve", "--listen", "127.0.0.1:0", "--dir", join(world.folder, "relay"), ...options];
    const relay = spawn(program, serve, { stdio: ["ignore", "pipe", "ignore"] });
    world.#relay = relay;
    for await (const line of createInterface({ input: relay.stdout! })) {
      const said = JSON.parse(line) as { event: string; server: string };
      if (said.event === "serving") {
        world.origin = said.server;
        return world;
      }
    }
    throw new Error("the relay did not start");
  }

  /** What a new client is opened with. */
  config(name: string, more: Partial<ClientConfig> = {}): ClientConfig {
    return {
      folder: join(this.folder, name),
      authoritiesPem: readFileSync(join(this.folder, "relay", "authority.pem"), "utf8"),
      ...more,
    };
  }

  /** Opens a client without an account. */
  async opened(name: string, more: Partial<ClientConfig> = {}): Promise<Person> {
    const [config, vault] = [this.config(name, more), new TestVault()];
    const client = await RcsealClient.open(config, vault);
    const person = { client, vault, config };
    this.#people.push(person);
    return person;
  }

  /** Opens somebody's client once more. */
  async openedAgain(person: Person): Promise<RcsealClient> {
    person.client = await RcsealClient.open(person.config, person.vault);
    return person.client;
  }

  /** Opens a client with an account. */
  async person(name: string): Promise<Person> {
    const person = await this.opened(name);
    const created = await person.client.createAccount({ origin: this.origin, platform: "server", displayName: name });
    if (!created.isRegistered) throw new Error(`not registered: ${created.failureCode}`);
    return person;
  }

  /** Two people who know each other and are connected; what each calls the other, and the conversation from each side. */
  async acquainted(): Promise<{ ada: Person; bob: Person; adaToBob: Conversation; bobToAda: Conversation }> {
    const [ada, bob] = [await this.person("Ada"), await this.person("Bob")];
    const contact = await ada.client.addContact(await bob.client.invitation(), "Bob");
    const adaToBob = await ada.client.conversation(contact.id);
    await adaToBob.sendText("hello");
    await ada.client.connect();
    await bob.client.connect();
    const [fromBob] = (await eventually(async () => {
      const contacts = await bob.client.contacts();
      return contacts.length === 1 ? contacts : undefined;
    })) as [Contact];
    const bobToAda = await bob.client.conversation(fromBob.id);
    await eventually(async () => ((await bobToAda.messages(10)).length === 1 ? true : undefined));
    return { ada, bob, adaToBob, bobToAda };
  }

  /** Ends everything that was started here. */
  async stop(): Promise<void> {
    for (const { client } of this.#people) await client.close();
    const relay = this.#relay;
    if (relay?.exitCode === null) {
      const exited = new Promise((resolve) => relay.once("exit", resolve));
      relay.kill("SIGKILL");
      await exited;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Asks until there is an answer, for a limited time. */
export async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T> {
  const latest = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > latest) throw new Error("it did not happen in time");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The error of a call that has to fail. */
export async function refused(call: Promise<unknown>): Promise<{ kind: string; code: string; retryable: boolean }> {
  try {
    await call;
  } catch (error) {
    return error as { kind: string; code: string; retryable: boolean };
  }
  throw new Error("the call should have failed");
}

/** The same as a list: what every error says of itself. */
export async function facts(call: Promise<unknown>): Promise<[kind: string, code: string, retryable: boolean]> {
  const { kind, code, retryable } = await refused(call);
  return [kind, code, retryable];
}

/** The conversation with somebody, as soon as the client knows them. */
export async function knowing(client: RcsealClient, other: RcsealClient): Promise<Conversation> {
  const account = (await other.account())!.accountId;
  await eventually(async () => ((await client.contacts()).some(({ id }) => id === account) ? true : undefined));
  return client.conversation(account);
}

/** A message with these words, as soon as it has come. */
export function received(conversation: Conversation, text: string): Promise<Message> {
  return eventually(async () =>
    (await conversation.messages(50)).find((message) => !message.isOutgoing && message.text === text),
  );
}

/** Runs a test in a world of its own. */
export function inAWorld(name: string, run: (world: World) => Promise<void>, ...options: string[]): void {
  test(name, async () => {
    const world = await World.start(...options);
    try {
      await run(world);
    } finally {
      await world.stop();
    }
  });
}
