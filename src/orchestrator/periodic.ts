/** Something that happens again and again until it is stopped; a failure is logged and tried again later. */
import type { Logger } from "pino";

export type Periodic = {
  start(): void;
  /** No run begins after the call; resolves when the one under way has ended. Idempotent. */
  stop(): Promise<void>;
};

export type PeriodicOptions = {
  name: string;
  /** Pause between the end of one run and the start of the next. */
  everyMs: number;
  /** The same after a run that failed; `everyMs` when left out. */
  retryMs?: number;
  run: () => Promise<unknown>;
  logger: Logger;
};

export function createPeriodic({ name, everyMs, retryMs, run, logger }: PeriodicOptions): Periodic {
  let timer: NodeJS.Timeout | null = null;
  let current: Promise<void> = Promise.resolve();
  let stopped = false;

  async function once(): Promise<void> {
    let pauseMs = everyMs;
    try {
      await run();
    } catch (error) {
      pauseMs = retryMs ?? everyMs;
      logger.warn({ err: error, task: name }, "periodic task failed, it will be tried again");
    }
    if (!stopped) timer = setTimeout(schedule, pauseMs);
  }

  function schedule(): void {
    current = once();
  }

  return {
    start() {
      if (!stopped && timer === null) timer = setTimeout(schedule, 0);
    },
    async stop() {
      stopped = true;
      if (timer !== null) clearTimeout(timer);
      await current;
    },
  };
}
