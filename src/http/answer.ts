import type { IncomingMessage, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";

export type Answer = {
  status: number;
  type?: string;
  body: string | Buffer;
  headers?: Record<string, string>;
};

/** Smaller bodies gain nothing from compression. */
const COMPRESSED_FROM = 2_000;

export function json(status: number, body: object): Answer {
  return { status, body: `${JSON.stringify(body)}\n` };
}

export function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, type, body, headers }: Answer,
): void {
  const compresses =
    body.length >= COMPRESSED_FROM && /\bgzip\b/.test(request.headers["accept-encoding"]?.toString() ?? "");
  const content = compresses ? gzipSync(body) : body;
  response.writeHead(status, {
    "content-type": type ?? "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(content),
    ...(compresses ? { "content-encoding": "gzip", vary: "accept-encoding" } : {}),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...headers,
  });
  response.end(request.method === "HEAD" ? undefined : content);
}
