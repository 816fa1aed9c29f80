import { createCipheriv, createDecipheriv, randomBytes, scrypt } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";

import type { KeyProtection } from "./types.js";
import { VaultError, type KeyVault } from "./vault.js";

/** scrypt's cost: 128 MiB and some tenths of a second. */
const COST = { N: 131_072, r: 8, p: 1, maxmem: 256 * 1024 * 1024 } as const;
const VERSION = 1;
const SALT_LEN = 16;
const NONCE_LEN = 12;
const TAG_LEN = 16;

/**
 * A vault in files, under a passphrase. For servers without a hardware module, and for tests: whoever copies the files and learns the
 * passphrase has the keys, which `securityState` says.
 *
 * Keep its folder apart from the client's, and out of what restores the client's folder: the generation number in it is what tells an old
 * copy from the store.
 */
export class SoftwareKeyVault implements KeyVault {
  readonly #folder: string;
  readonly #passphrase: string;
  readonly #keys = new Map<string, Buffer>();

  /** A vault in a folder, which is made when it is not there. */
  constructor(folder: string, passphrase: string) {
    this.#folder = folder;
    this.#passphrase = passphrase;
  }

  /** {@inheritDoc KeyVault.createWrappingKey} */
  async createWrappingKey(alias: string): Promise<void> {
    if (await this.hasWrappingKey(alias)) throw new VaultError("already_exists");
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await this.#write(this.#path(alias, "generation"), Buffer.from("0"));
    await this.#write(this.#path(alias, "salt"), Buffer.concat([Buffer.from([VERSION]), randomBytes(SALT_LEN)]));
  }

  /** {@inheritDoc KeyVault.hasWrappingKey} */
  async hasWrappingKey(alias: string): Promise<boolean> {
    return (await this.#read(alias, "salt")) !== undefined;
  }

  /** {@inheritDoc KeyVault.wrap} */
  async wrap(alias: string, dataKey: Uint8Array): Promise<Uint8Array> {
    const nonce = randomBytes(NONCE_LEN);
    const cipher = createCipheriv("aes-256-gcm", await this.#key(alias), nonce).setAAD(Buffer.from(alias));
    const sealed = Buffer.concat([cipher.update(dataKey), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
  }

  /** {@inheritDoc KeyVault.unwrap} */
  async unwrap(alias: string, wrapped: Uint8Array): Promise<Uint8Array> {
    if (wrapped.length < NONCE_LEN + TAG_LEN) throw new VaultError("key_invalidated");
    const nonce = wrapped.subarray(0, NONCE_LEN);
    const decipher = createDecipheriv("aes-256-gcm", await this.#key(alias), nonce).setAAD(Buffer.from(alias));
    decipher.setAuthTag(wrapped.subarray(NONCE_LEN, NONCE_LEN + TAG_LEN));
    try {
      return Buffer.concat([decipher.update(wrapped.subarray(NONCE_LEN + TAG_LEN)), decipher.final()]);
    } catch {
      // A wrong passphrase and a damaged file look the same.
      throw new VaultError("key_invalidated");
    }
  }

  /** {@inheritDoc KeyVault.delete} */
  async delete(alias: string): Promise<void> {
    this.#keys.get(alias)?.fill(0);
    this.#keys.delete(alias);
    await rm(this.#path(alias, "salt"), { force: true });
    await rm(this.#path(alias, "generation"), { force: true });
  }

  /** {@inheritDoc KeyVault.protection} */
  protection(): KeyProtection {
    return "software";
  }

  /** {@inheritDoc KeyVault.generation} */
  async generation(alias: string): Promise<number> {
    const text = await this.#read(alias, "generation");
    if (text === undefined) throw new VaultError("not_found");
    const generation = Number(text.toString("utf8"));
    if (!Number.isSafeInteger(generation) || generation < 0) throw new VaultError("unexpected");
    return generation;
  }

  /** {@inheritDoc KeyVault.bumpGeneration} */
  async bumpGeneration(alias: string): Promise<number> {
    const next = (await this.generation(alias)) + 1;
    await this.#write(this.#path(alias, "generation"), Buffer.from(String(next)));
    return next;
  }

  async #key(alias: string): Promise<Buffer> {
    const known = this.#keys.get(alias);
    if (known !== undefined) return known;
    const file = await this.#read(alias, "salt");
    if (file === undefined) throw new VaultError("not_found");
    if (file.length !== 1 + SALT_LEN || file[0] !== VERSION) throw new VaultError("unexpected");
    const key = await new Promise<Buffer>((resolve, reject) =>
      scrypt(this.#passphrase, file.subarray(1), 32, COST, (error, derived) =>
        error === null ? resolve(derived) : reject(error),
      ),
    );
    this.#keys.set(alias, key);
    return key;
  }

  #path(alias: string, what: string): string {
    // The library's aliases are file names on every system; what is not has no key.
    if (!/^[a-z0-9-]{1,64}$/.test(alias)) throw new VaultError("not_found");
    return join(this.#folder, `${alias}.${what}`);
  }

  async #read(alias: string, what: string): Promise<Buffer | undefined> {
    try {
      return await readFile(this.#path(alias, what));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Written beside, synchronised, and put in place: a crash leaves the old file or the new one. */
  async #write(path: string, bytes: Uint8Array): Promise<void> {
    const beside = `${path}.new`;
    const file = await open(beside, "w", 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
    const folder = await open(this.#folder, "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}
