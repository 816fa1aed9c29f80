/**
 * End-to-end encrypted messaging over RCS and around it, for Node.
 *
 * Begin with {@link RcsealClient.open}. Every call that fails rejects with an {@link RcsealError}.
 *
 * @packageDocumentation
 */
export {
  BackupSecret,
  generateBackupSecret,
  inspectBackup,
  type BackupInfo,
  type BackupSummary,
  type RestoreOutcome,
} from "./backup.js";
export { LinkRequest, RcsealClient } from "./client.js";
export { Conversation, SafetyNumber, type OnProgress } from "./conversation.js";
export { RcsealError, type ErrorKind } from "./errors.js";
export {
  SecureSession,
  type DecryptOutcome,
  type EncryptedPayload,
  type HostStackConfig,
  type PayloadPart,
  type RcsStack,
  type ReceivedPayload,
  type StackAnswer,
  type StackOutcome,
} from "./hand-over.js";
export type { Subscription } from "./observe.js";
export {
  CryptoStoreError,
  PairwiseClient,
  PairwiseSafetyNumber,
  PairwiseSession,
  type CryptoStore,
  type CryptoStoreFailure,
  type CryptoStoreWrite,
  type PairwiseBundles,
  type PairwisePrekeyState,
} from "./pairwise.js";
export {
  processPushInExtension,
  type PushKind,
  type PushNotification,
  type PushOutcome,
  type PushProvider,
} from "./push.js";
export { SoftwareKeyVault } from "./software-vault.js";
export * from "./types.js";
export { VaultError, type KeyVault, type VaultFailure } from "./vault.js";
export {
  allWords,
  words,
  wordsForMessage,
  wordsLanguages,
  type WordsEntry,
  type WordsSeverity,
} from "./words.js";
