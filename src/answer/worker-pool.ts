/**
 * A few threads for work that may take for ever or eat all memory: what it was asked about, not this process, pays
 * for it. Threads start with the first task and end when there was none for a while.
 */
import { Worker } from "node:worker_threads";

export type WorkerPool<Task> = {
  /** What the thread answered; null when it took longer than `limitMs` or more memory than it may. */
  run(task: Task): Promise<unknown>;
};

export type WorkerPoolOptions = {
  /** Posts "ready" once, and one answer per task. */
  file: URL;
  threads: number;
  /** For one task, from when a thread takes it. */
  limitMs: number;
  memoryMb: number;
  idleMs: number;
};

type Job<Task> = { task: Task; resolve: (answer: unknown) => void; reject: (error: unknown) => void };

export function createWorkerPool<Task>(options: WorkerPoolOptions): WorkerPool<Task> {
  const { file, threads, limitMs, memoryMb, idleMs } = options;
  const waiting: Job<Task>[] = [];
  /** Hands the next task to a thread that has none. */
  const idle = new Set<() => void>();
  let running = 0;

  /** Works off what waits. Whatever ends it early ends the task it was at, and no other. */
  function startThread(): void {
    running += 1;
    let job: Job<Task> | undefined;
    let timer: NodeJS.Timeout | undefined;
    let isReady = false;
    let isEnding = false;
    const worker = new Worker(file, { resourceLimits: { maxOldGenerationSizeMb: memoryMb } });

    const end = () => {
      isEnding = true;
      idle.delete(takeNext);
      void worker.terminate();
    };
    const settle = (how: (job: Job<Task>) => void) => {
      clearTimeout(timer);
      const settled = job;
      job = undefined;
      if (settled !== undefined) how(settled);
    };
    const takeNext = () => {
      idle.delete(takeNext);
      clearTimeout(timer);
      if (isEnding) return;
      job = waiting.shift();
      if (job === undefined) {
        idle.add(takeNext);
        worker.unref();
        timer = setTimeout(end, idleMs).unref();
      } else {
        worker.ref();
        timer = setTimeout(end, limitMs);
        worker.postMessage(job.task);
      }
    };
    worker.on("message", (answer) => {
      if (isReady) settle(({ resolve }) => resolve(answer));
      isReady = true;
      takeNext();
    });
    worker.on("error", (error) => {
      if ("code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY") return end();
      settle(({ reject }) => reject(error));
      // It cannot even start: nothing that waits would ever be taken.
      if (!isReady) for (const { reject } of waiting.splice(0)) reject(error);
    });
    worker.on("exit", () => {
      idle.delete(takeNext);
      settle(({ resolve }) => resolve(null));
      running -= 1;
      if (waiting.length > 0) startThread();
    });
  }

  return {
    run: (task) =>
      new Promise((resolve, reject) => {
        waiting.push({ task, resolve, reject });
        const [wake] = idle;
        if (wake !== undefined) wake();
        else if (running < threads) startThread();
      }),
  };
}
