/**
 * Keeps LISTEN going for as long as its owner wants: connects, checks that the session still listens, and
 * connects again, for ever, when it does not. A notification is a hint; while the mode is `polling` none come,
 * and those of that time are lost, so whoever listens looks once after each `listening`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type ListenSession, openListenSession } from "./listen-session.ts";

export type ListenerMode = "listening" | "polling";

export type ListenerOptions = {
  /** A direct connection: LISTEN does not work through PgBouncer in transaction mode. */
  connectionString: string;
  /** At most 63 bytes each, any characters. */
  channels: readonly string[];
  /** The payload is the text as sent, empty if there was none. */
  onNotification(channel: string, payload: string): void;
  /** Called on each change, first with `listening`: notifications come from now on. */
  onModeChange?(mode: ListenerMode): void;
  /** After each (re)connect: what was notified before is lost, so look once. */
  onConnected?(): void;
  logger: Record<"debug" | "warn" | "error", (fields: object, message: string) => void>;
  /** How often the session is checked; this and `queryTimeoutMs` is how long a half-open one goes unnoticed. */
  healthCheckMs?: number;
  connectTimeoutMs?: number;
  queryTimeoutMs?: number;
  /** Pauses between attempts double from the first to the last, less up to a half at random. */
  minRetryMs?: number;
  maxRetryMs?: number;
  applicationName?: string;
};

export type Listener = {
  /** Resolves after the first attempt to connect, whether it worked or not; never rejects. */
  start(): Promise<void>;
  /** Ends the connection or the attempts to get one; leaves no timer and no socket. Idempotent; final. */
  stop(): Promise<void>;
  /**
   * Resolves when the server listens, or at once when there is no connection now: it will with the next one,
   * and `onModeChange` tells. Rejects when the name is unusable.
   */
  listen(channel: string): Promise<void>;
  /** From the call on, no more of this channel comes. */
  unlisten(channel: string): Promise<void>;
  readonly mode: ListenerMode;
};

export function createListener(options: ListenerOptions): Listener {
  const { logger, healthCheckMs = 10_000, minRetryMs = 100, maxRetryMs = 5_000 } = options;
  const wanted = new Set(options.channels.map(checkChannel));
  const stopping = new AbortController();
  const firstAttempt = Promise.withResolvers<void>();
  /** The session in use, when there is one. */
  let current: ListenSession | null = null;
  let loop: Promise<void> | null = null;

  async function run(): Promise<void> {
    for (let failures = 0; !stopping.signal.aborted; ) {
      const startedAt = performance.now();
      const reason = await attempt();
      firstAttempt.resolve();
      if (stopping.signal.aborted) break;
      // A connection that dies young counts as a failure: a server that sends everybody away is left in peace.
      failures = performance.now() - startedAt > maxRetryMs && reason.wasOpen ? 0 : failures;
      const retryInMs = pauseBefore(failures);
      failures += 1;
      logger[failures === 1 ? "warn" : "debug"](
        { err: reason.error, retryInMs },
        "the listener has no connection, polling meanwhile",
      );
      await sleep(retryInMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }

  function pauseBefore(failures: number): number {
    const pause = Math.min(maxRetryMs, minRetryMs * 2 ** Math.min(failures, 30));
    return Math.round(pause * (0.5 + Math.random() / 2));
  }

  /** One session from its first to its last moment; answers why it is over. */
  async function attempt(): Promise<{ error: unknown; wasOpen: boolean }> {
    let session: ListenSession;
    try {
      session = await open();
    } catch (error) {
      return { error, wasOpen: false };
    }
    logger.debug({ channels: session.channels.size }, "the listener is connected");
    call(() => options.onModeChange?.("listening"));
    call(() => options.onConnected?.());
    firstAttempt.resolve();
    const checks = checkRegularly(session);
    const error = await session.ended;
    current = null;
    call(() => options.onModeChange?.("polling"));
    await checks;
    await session.closed;
    return { error, wasOpen: true };
  }

  async function open(): Promise<ListenSession> {
    const session = await openListenSession(
      {
        connectionString: options.connectionString,
        applicationName: options.applicationName ?? "llmq listener",
        connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
        queryTimeoutMs: options.queryTimeoutMs ?? 5_000,
        onNotification: (channel, payload) => {
          if (wanted.has(channel)) call(() => options.onNotification(channel, payload));
        },
      },
      stopping.signal,
    );
    const stop = () => session.end(new Error("the listener was stopped"));
    stopping.signal.addEventListener("abort", stop, { once: true });
    void session.ended.then(() => stopping.signal.removeEventListener("abort", stop));
    try {
      // What is wanted may change meanwhile; from the last look on, listen() goes to the session.
      for (let channel = missing(session); channel !== undefined; channel = missing(session)) {
        await session.listen(channel).catch((error: unknown) => forgetRefused(channel as string, error));
      }
      current = session;
      return session;
    } catch (error) {
      session.end(error as Error);
      await session.closed;
      throw error;
    }
  }

  /** Throws unless it is the name that the server refuses: that one would keep all others from being heard. */
  function forgetRefused(channel: string, error: unknown): void {
    if (!isRefusal(error)) throw error;
    wanted.delete(channel);
    logger.error({ err: error, channel }, "the server refuses to listen to this channel");
  }

  function missing(session: ListenSession): string | undefined {
    return [...wanted].find((channel) => !session.channels.has(channel));
  }

  async function checkRegularly(session: ListenSession): Promise<void> {
    const over = new AbortController();
    void session.ended.then(() => over.abort());
    while (!over.signal.aborted) {
      await sleep(healthCheckMs, undefined, { signal: over.signal }).catch(() => undefined);
      if (over.signal.aborted) return;
      await session.check().catch((error: Error) => session.end(error));
    }
  }

  /** What the owner does must not end the loop. */
  function call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      logger.error({ err: error }, "a callback of the listener failed");
    }
  }

  return {
    get mode() {
      return current === null ? "polling" : "listening";
    },
    async start() {
      if (stopping.signal.aborted) return;
      loop ??= run();
      await firstAttempt.promise;
    },
    async stop() {
      stopping.abort();
      firstAttempt.resolve();
      await loop;
    },
    async listen(channel) {
      wanted.add(checkChannel(channel));
      const session = current;
      // Also when it seems to listen already: an unlisten() may be on its way.
      await session?.listen(channel).catch((error: unknown) => {
        // The next session listens to it, unless it is the name that the server refuses.
        if (!isRefusal(error)) return session.end(error as Error);
        wanted.delete(channel);
        throw error;
      });
    },
    async unlisten(channel) {
      wanted.delete(channel);
      const session = current;
      await session?.unlisten(channel).catch((error: Error) => session.end(error));
    },
  };
}

/** Longer names the server would cut, and then never be found to listen to. */
function checkChannel(channel: string): string {
  const bytes = Buffer.byteLength(channel);
  if (bytes < 1 || bytes > 63 || channel.includes("\0")) {
    throw new RangeError(`a channel's name has 1 to 63 bytes and no NUL, this one has ${bytes}: ${channel}`);
  }
  return channel;
}

/** Class 42 of SQLSTATE: syntax error or access rule violation. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && "code" in error && String(error.code).startsWith("42");
}
