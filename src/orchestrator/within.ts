/**
 * Waits for `work` for `limitMs` at most, less when `signal` aborts; true when it settled by then. What it
 * rejects with is the business of whoever made it.
 */
export function within(limitMs: number, work: Promise<unknown>, signal?: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (settled: boolean) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
      resolve(settled);
    };
    const giveUp = () => end(false);
    const timer = setTimeout(giveUp, limitMs);
    if (signal?.aborted) return giveUp();
    signal?.addEventListener("abort", giveUp, { once: true });
    work.then(
      () => end(true),
      () => end(true),
    );
  });
}
