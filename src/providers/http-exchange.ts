/** One request and its whole response, over undici's dispatcher or over a `fetch` somebody handed in. */
import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate, type ZlibOptions } from "node:zlib";
import type { Dispatcher } from "undici";
import { HttpFailureError } from "./network-failure.ts";

export type ExchangeRequest = {
  url: URL;
  method: string;
  /** Names in lower case. */
  headers: Record<string, string>;
  body: string | null;
  signal: AbortSignal;
};

/** Told in this order, each at most once. */
export type ExchangeEvents = {
  /** The connection stands and the request goes out on it. */
  onConnected(): void;
  /** The first bytes of the response: status line and headers, names in lower case. */
  onHeaders(statusCode: number, headers: Record<string, string>): void;
};

/** Resolves with the whole body as text; rejects as soon as the signal aborts, with its reason. */
export type Exchange = (request: ExchangeRequest, events: ExchangeEvents) => Promise<string>;

/** More than any model writes; a server that never stops must not take the process down. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** Nothing asks for these, and answers are small; some proxies compress all the same. */
const DECODERS = new Map<string, (body: Buffer, options: ZlibOptions) => Promise<Buffer>>([
  ["gzip", promisify(gunzip)],
  ["x-gzip", promisify(gunzip)],
  ["deflate", promisify(inflate)],
  ["br", promisify(brotliDecompress)],
]);

/**
 * Over `dispatcher.dispatch`, the layer below `undici.request`: it alone tells when a connection stands
 * (for the connect limit), and a body read at once needs no stream. Redirects are never followed.
 */
export function dispatcherExchange(dispatcher: Dispatcher): Exchange {
  return (request, events) =>
    new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let size = 0;
      let encoding: string | undefined;
      let controller: Dispatcher.DispatchController | null = null;
      const onAbort = () => {
        // While undici still connects there is nothing to abort; onRequestStart then sees the signal.
        controller?.abort(abortReason(request.signal));
        reject(request.signal.reason);
      };
      const settle = (finish: () => void) => {
        request.signal.removeEventListener("abort", onAbort);
        finish();
      };
      request.signal.addEventListener("abort", onAbort, { once: true });
      const { url, method, headers, body } = request;
      const options = { origin: url.origin, path: url.pathname + url.search, method, headers, body };
      dispatcher.dispatch(options, {
        onRequestStart(started) {
          controller = started;
          if (request.signal.aborted) started.abort(abortReason(request.signal));
          else events.onConnected();
        },
        onResponseStart(_controller, statusCode, rawHeaders) {
          if (statusCode < 200) return;
          const received = flatten(rawHeaders);
          encoding = received["content-encoding"];
          events.onHeaders(statusCode, received);
        },
        onResponseData(running, chunk) {
          size += chunk.length;
          if (size > MAX_BODY_BYTES) running.abort(tooLarge(url.host));
          else chunks.push(chunk);
        },
        onResponseEnd: () => {
          const whole = Buffer.concat(chunks, size);
          settle(() =>
            resolve(encoding === undefined ? whole.toString() : decode(whole, encoding, url.host)),
          );
        },
        onResponseError: (_controller, error) => settle(() => reject(error)),
      });
    });
}

/** Over a WHATWG fetch: for tests and for embedding programs. The connect phase cannot be seen from here. */
export function fetchExchange(customFetch: typeof fetch): Exchange {
  return async ({ url, method, headers, body, signal }, events) => {
    events.onConnected();
    const response = await customFetch(url, { method, headers, body, signal, redirect: "manual" });
    events.onHeaders(response.status, Object.fromEntries(response.headers));
    return response.text();
  };
}

/** What is not in the encoding that it claims is left as it came: whoever reads it says what is wrong. */
async function decode(body: Buffer, encoding: string, host: string): Promise<string> {
  const decoder = DECODERS.get(encoding.trim().toLowerCase());
  if (decoder === undefined) return body.toString();
  try {
    return (await decoder(body, { maxOutputLength: MAX_BODY_BYTES })).toString();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE")
      throw tooLarge(host);
    return body.toString();
  }
}

function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error("aborted", { cause: signal.reason });
}

function tooLarge(host: string): HttpFailureError {
  return new HttpFailureError({
    kind: "too_large",
    message: `${host} sent more than ${MAX_BODY_BYTES} bytes; the answer was dropped`,
  });
}

function flatten(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name.toLowerCase()] = Array.isArray(value) ? value.join(", ") : value;
  }
  return flat;
}
