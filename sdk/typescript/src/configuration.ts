import type { ClientConfig } from "./types.js";

/**
 * A configuration as the library reads it: JSON, with bytes as lists of numbers.
 *
 * @internal
 */
export function configuration(config: ClientConfig): string {
  // Looked at in their holder: a `Buffer` has been made into something else by its `toJSON` before it gets here as a value.
  return JSON.stringify(config, function (this: Record<string, unknown>, name, value: unknown) {
    const held = this[name];
    return held instanceof Uint8Array ? Array.from(held) : value;
  });
}
