/**
 * One connection that listens, from connecting to its end; it is never repaired, a new one takes its place.
 * The only file that knows pg-listen. Of that library this uses LISTEN, UNLISTEN and the reading of
 * notifications. Its reconnecting is turned off (it stops only when its time is over, not when it is closed),
 * and so is its health check (which waits for ever on a half-open connection).
 */
import { Socket } from "node:net";
import pg from "pg";
import pgListen, { type Subscriber } from "pg-listen";

/** How long a connection may take to say goodbye before its socket is destroyed. */
const goodbyeMs = 1_000;

export type ListenSessionOptions = {
  connectionString: string;
  applicationName: string;
  connectTimeoutMs: number;
  queryTimeoutMs: number;
  onNotification(channel: string, payload: string): void;
};

export type ListenSession = {
  /** Channels this session listens to. */
  readonly channels: ReadonlySet<string>;
  /** Rejects when the server refuses, the query takes too long, or the session has ended. */
  listen(channel: string): Promise<void>;
  unlisten(channel: string): Promise<void>;
  /** Asks the server which channels this session listens to; rejects when one is missing or no answer comes. */
  check(): Promise<void>;
  /** Resolves, with the reason, when the session is over. It never rejects. */
  readonly ended: Promise<Error>;
  /** Ends the session now, for this reason. */
  end(reason: Error): void;
  /** Resolves when the socket is closed, at most a second after `end`. */
  readonly closed: Promise<void>;
};

/** Rejects when there is no connection within the time limit, or `signal` aborts; nothing is left open then. */
export async function openListenSession(
  options: ListenSessionOptions,
  signal: AbortSignal,
): Promise<ListenSession> {
  signal.throwIfAborted();
  const socket = new Socket();
  const { subscriber, client } = subscribe(options, socket);
  const session = createSession(subscriber, client, socket, options);
  const abort = () => session.end(new Error("the listener was stopped"));
  signal.addEventListener("abort", abort, { once: true });
  try {
    // Once ended, connect() may stay pending for ever.
    const ended = session.ended.then((reason) => Promise.reject(reason));
    await Promise.race([subscriber.connect(), ended]);
    signal.throwIfAborted();
    return session;
  } catch (error) {
    session.end(error instanceof Error ? error : new Error(String(error)));
    await session.closed;
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/**
 * pg-listen shows neither its client, which the health check needs, nor takes one. It looks up `pg.Client` while
 * it is called, so for that one synchronous call it finds a class that tells us of the client.
 */
function subscribe(options: ListenSessionOptions, socket: Socket) {
  const library = pg as { Client: typeof pg.Client };
  const Client = library.Client;
  const made: pg.Client[] = [];
  library.Client = class extends Client {
    constructor(config?: pg.ClientConfig) {
      super(config);
      made.push(this);
    }
  };
  try {
    const subscriber = pgListen.default(
      {
        connectionString: options.connectionString,
        application_name: options.applicationName,
        connectionTimeoutMillis: options.connectTimeoutMs,
        query_timeout: options.queryTimeoutMs,
        keepAlive: true,
        keepAliveInitialDelayMillis: 10_000,
        // Ours, since only its owner can get rid of a half-open one.
        stream: () => socket,
      },
      { parse: (payload: string) => payload, paranoidChecking: false, retryLimit: 1 },
    );
    const client = made[0];
    if (client === undefined) throw new Error("pg-listen uses another copy of pg: install one version of pg");
    return { subscriber, client };
  } finally {
    library.Client = Client;
  }
}

function createSession(
  subscriber: Subscriber,
  client: pg.Client,
  socket: Socket,
  options: ListenSessionOptions,
): ListenSession {
  const channels = new Set<string>();
  const ended = Promise.withResolvers<Error>();
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  let isOver = false;
  /** One query at a time: pg wants no second one while the first runs. */
  let queue: Promise<unknown> = Promise.resolve();

  function end(reason: Error): void {
    if (isOver) return;
    isOver = true;
    ended.resolve(reason);
    // pg-listen takes all listeners off its client; an error without one would end the process.
    client.on("error", () => undefined);
    if (socket.connecting || socket.pending || socket.destroyed) {
      socket.destroy();
      return;
    }
    const timer = setTimeout(() => socket.destroy(), goodbyeMs);
    void closed.then(() => clearTimeout(timer));
    subscriber.close().catch(() => undefined);
  }

  function run<T>(work: () => Promise<T>): Promise<T> {
    const result = queue.then(() => {
      if (isOver) throw new Error("the connection that listened has ended");
      return work();
    });
    queue = result.catch(() => undefined);
    return result;
  }

  // The client's own error says why; pg-listen would only say that its reconnecting failed.
  client.on("error", end);
  subscriber.events.on("error", end);
  socket.once("close", () => end(new Error("the connection was closed")));
  subscriber.events.on("notification", ({ channel, payload }) => {
    if (!isOver) options.onNotification(channel, typeof payload === "string" ? payload : "");
  });

  return {
    channels,
    listen: (channel) =>
      run(async () => {
        try {
          await subscriber.listenTo(channel);
        } catch (error) {
          // pg-listen believes that it listens: only its unlisten() makes it forget, though the server refuses that too.
          if (error instanceof pg.DatabaseError) await subscriber.unlisten(channel)?.catch(() => undefined);
          throw error;
        }
        channels.add(channel);
      }),
    unlisten: (channel) =>
      run(async () => {
        channels.delete(channel);
        await subscriber.unlisten(channel);
      }),
    check: () =>
      run(async () => {
        const { rows } = await client.query<{ channel: string }>(
          "select channel from pg_catalog.pg_listening_channels() as channel",
        );
        const heard = new Set(rows.map((row) => row.channel));
        const missing = [...channels].filter((channel) => !heard.has(channel));
        if (missing.length > 0) throw new Error(`the session no longer listens to ${missing.join(", ")}`);
      }),
    ended: ended.promise,
    end,
    closed,
  };
}
