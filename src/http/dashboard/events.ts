/** Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) from one reader to all pages. */
import type { ServerResponse } from "node:http";
import { ApiError } from "./failure.ts";
import type { Live, LiveEvent } from "./live.ts";

const MAX_VIEWERS = 100;
/** Proxies close what is silent for a minute. */
const KEEP_ALIVE_MS = 15_000;
/** A viewer that takes nothing for so many bytes is let go; its browser comes back. */
const MAX_BEHIND_BYTES = 1_000_000;

export type Events = {
  open(response: ServerResponse): void;
  /** Ends every stream. */
  close(): void;
};

export function createEvents(live: Live): Events {
  const streams = new Set<ServerResponse>();
  return {
    open(response) {
      if (streams.size >= MAX_VIEWERS) {
        throw new ApiError(
          503,
          `${MAX_VIEWERS} pages are open already`,
          "Close one, or use another orchestrator.",
        );
      }
      streams.add(response);
      response.writeHead(200, {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
        "x-content-type-options": "nosniff",
      });
      response.write("retry: 2000\n\n");
      const leave = live.join((event) => write(response, event));
      const timer = setInterval(() => response.write(": here\n\n"), KEEP_ALIVE_MS);
      response.once("close", () => {
        clearInterval(timer);
        leave();
        streams.delete(response);
      });
    },
    close() {
      for (const stream of streams) stream.end();
    },
  };
}

function write(response: ServerResponse, event: LiveEvent): void {
  if (response.writableLength > MAX_BEHIND_BYTES) {
    response.destroy();
    return;
  }
  response.write(`event: ${event.kind}\ndata: ${JSON.stringify(event.data)}\n\n`);
}
