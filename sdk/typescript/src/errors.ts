/** Whose matter an error is. */
export type ErrorKind =
  | "store"
  | "vault"
  | "network"
  | "account"
  | "contact"
  | "send"
  | "media"
  | "policy"
  | "backup"
  | "push"
  | "closed"
  | "invalid_argument"
  | "internal";

/** Why a call did not do what it was asked for. Holds no content, ids, numbers, names or keys. */
export class RcsealError extends Error {
  override readonly name = "RcsealError";
  /** Whose matter it is. */
  readonly kind: ErrorKind;
  /** The stable code; the manual lists every one. */
  readonly code: string;
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean;

  /** Made by this package; apps catch it. */
  constructor(kind: ErrorKind, code: string, retryable: boolean, reason: string) {
    super(`${code}: ${reason}`);
    this.kind = kind;
    this.code = code;
    this.retryable = retryable;
  }
}

interface Failure {
  kind: ErrorKind;
  code: string;
  retryable: boolean;
  reason: string;
}

function isFailure(value: unknown): value is Failure {
  return typeof value === "object" && value !== null && "kind" in value && "code" in value;
}

/**
 * What the native library rejected with, as an error of ours. Everything else, such as an argument of a wrong type, is a mistake of the
 * caller and comes out as it is.
 *
 * @internal
 */
export function translated(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  try {
    const failure: unknown = JSON.parse(error.message);
    if (isFailure(failure)) return new RcsealError(failure.kind, failure.code, failure.retryable, failure.reason);
  } catch {
    // No JSON: not one of ours.
  }
  return error;
}

/**
 * Awaits a native call.
 *
 * @internal
 */
export async function ours<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw translated(error);
  }
}

/**
 * Makes a native call that answers at once.
 *
 * @internal
 */
export function oursNow<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw translated(error);
  }
}

/**
 * Awaits a native call that answers a record.
 *
 * @internal
 */
export async function record<T>(call: () => Promise<string>): Promise<T> {
  return JSON.parse(await ours(call)) as T;
}
