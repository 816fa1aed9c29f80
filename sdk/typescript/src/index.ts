/**
 * End-to-end encrypted messaging over RCS and around it, for Node.
 *
 * Begin with {@link RcsealClient.open}. Every call that fails rejects with an {@link RcsealError}.
 *
 * @packageDocumentation
 */
export { LinkRequest, RcsealClient } from "./client.js";
export { Conversation, SafetyNumber, type OnProgress } from "./conversation.js";
export { RcsealError, type ErrorKind } from "./errors.js";
export type { Subscription } from "./observe.js";
export { SoftwareKeyVault } from "./software-vault.js";
export * from "./types.js";
export { VaultError, type KeyVault, type VaultFailure } from "./vault.js";
