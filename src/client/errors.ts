import type { LlmRequest } from "./types.ts";

/**
 * A refusal by llmq: `code` is an SQLSTATE of class LQ (`LQ001` invalid input, `LQ002` unknown request, ...;
 * the whole list is in the SQL reference), with the database's message, detail and hint. Errors of other
 * classes (connection lost, permission denied) reach the caller as `pg` raised them.
 */
export class LlmqError extends Error {
  override readonly name: string = "LlmqError";
  readonly code: string;
  readonly detail: string | null;
  readonly hint: string | null;

  constructor(code: string, message: string, more: { detail?: string; hint?: string; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.detail = more.detail ?? null;
    this.hint = more.hint ?? null;
  }
}

/** `wait` gave up after `timeoutMs`. The request goes on; wait again, or cancel it. */
export class WaitTimeoutError extends LlmqError {
  override readonly name = "WaitTimeoutError";
  readonly requestId: string;
  readonly timeoutMs: number;

  constructor(requestId: string, timeoutMs: number) {
    super("LQ008", `request ${requestId} is not finished after ${timeoutMs} ms`, {
      hint: "It goes on running. Wait again, or ask explain(id) why.",
    });
    this.requestId = requestId;
    this.timeoutMs = timeoutMs;
  }
}

/** `ask` got no answer: the request failed or was cancelled. `request` is the whole result. */
export class RequestFailedError extends Error {
  override readonly name = "RequestFailedError";
  readonly request: LlmRequest;

  constructor(request: LlmRequest) {
    const reason = request.errorMessage ?? request.errorType ?? "no reason was given";
    super(`request ${request.id} ${request.status === "failed" ? "failed" : "was cancelled"}: ${reason}`);
    this.request = request;
  }
}

/** The client was closed before or while this was asked of it. A wait that ends so leaves its request running. */
export class ClientClosedError extends Error {
  override readonly name = "ClientClosedError";

  constructor() {
    super("the llmq client is closed");
  }
}

/** Errors of class LQ become `LlmqError`; all others are returned as they are. */
export function fromDatabase(error: unknown): unknown {
  const code = sqlState(error);
  if (!code.startsWith("LQ") || error instanceof LlmqError) return error;
  const { message, detail, hint } = error as { message: string; detail?: string; hint?: string };
  return new LlmqError(code, message, {
    cause: error,
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
  });
}

/** The SQLSTATE of an error, "" when it has none. */
export function sqlState(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}
