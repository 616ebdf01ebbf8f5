/**
 * A wake-up that cannot be lost: `set()` while nobody waits is remembered until the next `wait()`. Clear it
 * before looking for work, so that whatever arrives during the look ends the wait after it.
 */
export type Wake = {
  set(): void;
  clear(): void;
  /** Resolves when set, after `maxMs`, or when the signal aborts; true when it was set. */
  wait(maxMs: number, signal: AbortSignal): Promise<boolean>;
};

export function createWake(): Wake {
  let isSet = false;
  let release: (() => void) | null = null;
  return {
    set() {
      isSet = true;
      release?.();
    },
    clear() {
      isSet = false;
    },
    wait(maxMs, signal) {
      if (isSet || signal.aborted) return Promise.resolve(isSet);
      return new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal.removeEventListener("abort", done);
          release = null;
          resolve(isSet);
        };
        const timer = setTimeout(done, maxMs);
        signal.addEventListener("abort", done, { once: true });
        release = done;
      });
    },
  };
}
