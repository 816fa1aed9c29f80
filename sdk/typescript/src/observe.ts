import { oursNow } from "./errors.js";
import type { NativeSubscription } from "./native.js";

/** A listener that is subscribed. */
export interface Subscription {
  /** Ends it. A call that is under way comes to its end; none follows. May be called by the listener itself, and again. */
  cancel(): void;
}

/**
 * Subscribes a listener. What it throws is reported as a warning of the process and does not end the subscription.
 *
 * @internal
 */
export function subscribed<T>(
  observe: (tell: (json: string) => Promise<void>) => NativeSubscription,
  listener: (what: T) => void | Promise<void>,
  closed: Promise<void>,
): Subscription {
  const subscription = oursNow(() =>
    observe(async (json) => {
      try {
        // Whoever has closed the client no longer waits for a listener that hangs, and the process may end.
        await Promise.race([listener(JSON.parse(json) as T), closed]);
      } catch (error) {
        const name = error instanceof Error ? error.name : typeof error;
        process.emitWarning(`a listener threw ${name}`, { code: "RCSEAL_LISTENER" });
      }
    }),
  );
  return { cancel: () => oursNow(() => subscription.cancel()) };
}

/**
 * A subscription as something to iterate over. The next thing is told when the loop asks for it, so that what was told and not dealt with
 * is told again after a restart. Leaving the loop ends the subscription.
 *
 * @internal
 */
export async function* iterated<T>(
  observe: (tell: (json: string) => Promise<void>) => NativeSubscription,
  signal?: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  // One at most: the library tells the next thing when the promise for this one is settled.
  const told: { what: T; dealtWith: () => void }[] = [];
  let wake: (() => void) | undefined;
  let isOver = signal?.aborted ?? false;
  const stop = (): void => {
    isOver = true;
    for (const { dealtWith } of told.splice(0)) dealtWith();
    wake?.();
  };
  const subscription = oursNow(() =>
    observe(
      (json) =>
        new Promise<void>((dealtWith) => {
          if (isOver) return dealtWith();
          told.push({ what: JSON.parse(json) as T, dealtWith });
          wake?.();
        }),
    ),
  );
  signal?.addEventListener("abort", stop, { once: true });
  try {
    while (!isOver) {
      const next = told.shift();
      if (next === undefined) {
        await new Promise<void>((resolve) => (wake = resolve));
        continue;
      }
      try {
        yield next.what;
      } finally {
        next.dealtWith();
      }
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    subscription.cancel();
    stop();
  }
}
