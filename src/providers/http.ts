/**
 * The HTTP side of all providers: one pool of connections, and for each call a `fetch` with the call's own
 * limits that writes down what it saw. Node's built-in fetch is not used: it ends every call after 300 s,
 * and costs more than twice as much per call.
 *
 * `accept-encoding: identity` is sent because answers are small; what is compressed all the same is read.
 * Redirects are not followed: the next host would be handed the API key.
 */
import { Agent, EnvHttpProxyAgent } from "undici";
import { dispatcherExchange, type Exchange, fetchExchange } from "./http-exchange.ts";
import { describeNetworkError, type HttpFailure, HttpFailureError } from "./network-failure.ts";
import type { CallTimeouts } from "./provider.ts";

/** What one call saw of the wire, filled in while it runs. */
export type HttpTrace = {
  /** Milliseconds from the start of the call to the response's headers; null when none came. */
  firstByteMs: number | null;
  statusCode: number | null;
  headers: Record<string, string>;
  body: string | null;
  failure: HttpFailure | null;
};

export type TracedFetch = { fetch: typeof fetch; trace: HttpTrace /** Clears the timers. */; end(): void };

export type HttpClient = {
  /** A `fetch` for one call, which starts now. */
  begin(timeouts: CallTimeouts, signal: AbortSignal): TracedFetch;
  /** Closes all connections, also of calls that still run. */
  close(): Promise<void>;
};

export type HttpClientOptions = {
  env: Record<string, string | undefined>;
  /** Instead of the network. */
  fetch?: typeof fetch | undefined;
};

/**
 * Ends attempts to connect that no call waits for any more. Each call has its own, shorter limit.
 */
const ABANDONED_CONNECT_MS = 60_000;

/** Opens the pool. `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` (or in lower case) in `env` are honoured. */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  if (options.fetch !== undefined) return clientOver(fetchExchange(options.fetch), async () => {});
  const pool = {
    headersTimeout: 0,
    bodyTimeout: 0,
    // As many connections as calls; idle ones go before the five seconds after which many servers close them.
    connections: null,
    pipelining: 1,
    keepAliveTimeout: 4_000,
    connect: { timeout: ABANDONED_CONNECT_MS },
  };
  const { env } = options;
  const httpProxy = env["http_proxy"] ?? env["HTTP_PROXY"] ?? "";
  const httpsProxy = env["https_proxy"] ?? env["HTTPS_PROXY"] ?? "";
  const noProxy = env["no_proxy"] ?? env["NO_PROXY"] ?? "";
  const dispatcher =
    httpProxy === "" && httpsProxy === ""
      ? new Agent(pool)
      : new EnvHttpProxyAgent({ ...pool, httpProxy, httpsProxy, noProxy });
  return clientOver(dispatcherExchange(dispatcher), () => dispatcher.destroy());
}

function clientOver(exchange: Exchange, close: () => Promise<void>): HttpClient {
  let closing: Promise<void> | null = null;
  return {
    begin: (timeouts, signal) => beginCall(exchange, timeouts, signal),
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

function beginCall(exchange: Exchange, timeouts: CallTimeouts, signal: AbortSignal): TracedFetch {
  const startedAtMs = performance.now();
  const trace: HttpTrace = { firstByteMs: null, statusCode: null, headers: {}, body: null, failure: null };
  const limits = startLimits(timeouts, signal);
  const tracedFetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input);
    limits.watchConnect(url.host);
    try {
      limits.signal.throwIfAborted();
      const request = {
        url,
        method: init.method ?? "GET",
        headers: { ...lowerCased(init.headers), "accept-encoding": "identity" },
        body: typeof init.body === "string" ? init.body : null,
        signal: limits.signal,
      };
      trace.body = await exchange(request, {
        onConnected: () => limits.watchFirstByte(url.host),
        onHeaders: (statusCode, headers) => {
          limits.firstByteSeen();
          trace.firstByteMs = Math.round(performance.now() - startedAtMs);
          trace.statusCode = statusCode;
          trace.headers = headers;
        },
      });
      return toResponse(trace);
    } catch (error) {
      trace.failure = describeNetworkError(error, url.host, trace.firstByteMs !== null);
      throw new HttpFailureError(trace.failure, error);
    }
  };
  return { fetch: tracedFetch, trace, end: limits.end };
}

/** One signal for everything that may end a call, each with its own reason. */
function startLimits(timeouts: CallTimeouts, outer: AbortSignal) {
  const controller = new AbortController();
  const stop = (failure: HttpFailure) => controller.abort(new HttpFailureError(failure));
  const onAbort = () => stop({ kind: "aborted", message: `the call was aborted${reasonOf(outer)}` });
  const { connectMs, firstByteMs, totalMs } = timeouts;
  const total = setTimeout(
    () => stop({ kind: "total_timeout", message: `no complete answer within ${totalMs} ms` }),
    totalMs,
  );
  let phase: NodeJS.Timeout | undefined;
  const watch = (kind: "connect_timeout" | "first_byte_timeout", afterMs: number, message: string) => {
    clearTimeout(phase);
    phase = setTimeout(() => stop({ kind, message }), afterMs);
  };
  if (outer.aborted) onAbort();
  else outer.addEventListener("abort", onAbort, { once: true });
  return {
    signal: controller.signal,
    watchConnect: (host: string) =>
      watch("connect_timeout", connectMs, `no connection to ${host} within ${connectMs} ms`),
    watchFirstByte: (host: string) =>
      watch("first_byte_timeout", firstByteMs, `${host} sent nothing within ${firstByteMs} ms`),
    firstByteSeen: () => clearTimeout(phase),
    end: () => {
      clearTimeout(total);
      clearTimeout(phase);
      outer.removeEventListener("abort", onAbort);
    },
  };
}

function reasonOf(signal: AbortSignal): string {
  const { reason } = signal;
  if (typeof reason === "string") return `: ${reason}`;
  // The default reason of `abort()` says no more than the message it would be added to.
  return reason instanceof Error && reason.name !== "AbortError" ? `: ${reason.message}` : "";
}

function toResponse(trace: HttpTrace): Response {
  const status = trace.statusCode ?? 0;
  const mayHaveBody = status !== 204 && status !== 205 && status !== 304;
  return new Response(mayHaveBody ? trace.body : null, { status, headers: trace.headers });
}

function lowerCased(headers: RequestInit["headers"]): Record<string, string> {
  return Object.fromEntries(new Headers(headers));
}
