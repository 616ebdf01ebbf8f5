/** What a request must look like before anything is done for it. */
import type { IncomingMessage } from "node:http";
import { ApiError } from "./failure.ts";

const BODY_LIMIT = 16_384;

/**
 * A page of another site can make a browser send requests, with the user's cookie or to his loopback address, but
 * neither add a header of its own nor pretend to be of this origin.
 */
export function refuseForeign(request: IncomingMessage): void {
  const site = request.headers["sec-fetch-site"];
  const origin = request.headers.origin;
  // Browsers leave Sec-Fetch-Site out over plain HTTP; behind a proxy Host is not the name that they know.
  const isForeign =
    site !== undefined
      ? site !== "same-origin" && site !== "none"
      : origin !== undefined && hostOf(origin) !== request.headers.host;
  if (isForeign) throw new ApiError(403, "requests from other sites are refused");
  if (request.method === "POST" && request.headers["x-llmq-action"] !== "1") {
    throw new ApiError(403, "the header X-Llmq-Action: 1 is missing");
  }
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}

/** The body, an object, at most 16 KiB. */
export async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > BODY_LIMIT) throw new ApiError(413, `the body is longer than ${BODY_LIMIT} bytes`);
    chunks.push(chunk);
  }
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString() || "{}");
    if (typeof body === "object" && body !== null && !Array.isArray(body)) {
      return body as Record<string, unknown>;
    }
  } catch {
    // Answered below.
  }
  throw new ApiError(400, "the body is not a JSON object");
}
