/** LISTEN on the result channels of the agents that somebody waits for, over one connection of its own. */
import { createHash } from "node:crypto";
import type { Logger } from "pino";
import { createListener, type Listener } from "../database/listener.ts";

/** The channel of an agent, as `llmq.result_channel` names it. */
export function resultChannel(agentId: string): string {
  const name = Buffer.byteLength(agentId) <= 50 ? agentId : createHash("md5").update(agentId).digest("hex");
  return `llmq_result:${name}`;
}

export type ResultChannels = {
  /** Whether notifications arrive at the moment. */
  readonly isNotified: boolean;
  /** Listens until as many undoings were called as watches made, and a while longer. */
  watch(agentId: string): () => void;
  close(): Promise<void>;
};

export type ResultChannelsOptions = {
  /** Null: no notifications, everything is polled. */
  connectionString: string | null;
  /** Ids of requests that finished. */
  onFinished(channel: string, ids: string[]): void;
  /** Listening from now on, to this agent's results or (null) again to all: what was notified before is lost. */
  onListening(agentId: string | null): void;
  logger: Logger;
};

/** Channels nobody watches any more are kept, since the next request of an agent is often not far. */
const MAX_IDLE_CHANNELS = 64;

export function createResultChannels(options: ResultChannelsOptions): ResultChannels {
  const watchers = new Map<string, number>();
  /** In the order in which they fell idle. */
  const idle = new Set<string>();
  let listener: Listener | null = null;
  let closed = false;

  function start(connectionString: string): Listener {
    const started = createListener({
      connectionString,
      channels: [],
      onNotification: (channel, payload) => options.onFinished(channel, payload.split(",")),
      onModeChange: (mode) => {
        if (mode === "listening") options.onListening(null);
      },
      logger: options.logger,
      applicationName: "llmq client listener",
    });
    background(started.start());
    return started;
  }

  async function listen(on: Listener, channel: string, agentId: string): Promise<void> {
    await on.listen(channel);
    if (!closed) options.onListening(agentId);
  }

  /** Failures only mean that results are found by polling. */
  function background(work: Promise<unknown>): void {
    work.catch((error) => {
      if (!closed) options.logger.warn({ err: error }, "could not listen for results, polling");
    });
  }

  function unwatch(channel: string): void {
    const left = (watchers.get(channel) ?? 1) - 1;
    watchers.set(channel, left);
    if (left > 0) return;
    watchers.delete(channel);
    idle.add(channel);
    const [oldest] = idle;
    if (idle.size <= MAX_IDLE_CHANNELS || oldest === undefined) return;
    idle.delete(oldest);
    if (listener !== null) background(listener.unlisten(oldest));
  }

  return {
    get isNotified() {
      return listener?.mode === "listening";
    },
    watch(agentId) {
      if (options.connectionString === null || closed) return () => undefined;
      listener ??= start(options.connectionString);
      const channel = resultChannel(agentId);
      const known = watchers.get(channel);
      watchers.set(channel, (known ?? 0) + 1);
      const wasIdle = idle.delete(channel);
      if (known === undefined && !wasIdle) background(listen(listener, channel, agentId));
      let watching = true;
      return () => {
        if (!watching) return;
        watching = false;
        unwatch(channel);
      };
    },
    async close() {
      closed = true;
      await listener?.stop();
    },
  };
}
