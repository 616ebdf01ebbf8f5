/** What can break between us and a provider before a whole response has arrived, told apart by name. */

export type HttpFailureKind =
  | "aborted"
  | "dns"
  | "refused"
  | "connect_timeout"
  | "first_byte_timeout"
  | "total_timeout"
  | "reset"
  | "cut_body"
  | "too_large"
  | "network";

/** `message` is for people and names the host, never the path, a header or a body. */
export type HttpFailure = { kind: HttpFailureKind; message: string };

/** The error our `fetch` rejects with. */
export class HttpFailureError extends Error {
  readonly failure: HttpFailure;

  constructor(failure: HttpFailure, cause?: unknown) {
    super(failure.message, { cause });
    this.name = "HttpFailureError";
    this.failure = failure;
  }
}

const DNS_CODES = new Set(["ENOTFOUND", "EAI_AGAIN", "EAI_NODATA", "EAI_NONAME"]);
const REFUSED_CODES = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EADDRNOTAVAIL"]);
const RESET_CODES = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED", "UND_ERR_SOCKET"]);

/**
 * Names an error of the socket or of undici.
 * @param bodyStarted whether the response's headers had arrived: then any break is a cut body.
 */
export function describeNetworkError(error: unknown, host: string, bodyStarted: boolean): HttpFailure {
  if (error instanceof HttpFailureError) return error.failure;
  const code = codeOf(error);
  const detail = `${code ?? (error instanceof Error ? error.message : String(error))}`;
  if (bodyStarted)
    return { kind: "cut_body", message: `${host} broke off in the middle of its answer (${detail})` };
  if (code === null) return { kind: "network", message: `the call to ${host} failed (${detail})` };
  if (DNS_CODES.has(code)) return { kind: "dns", message: `the name ${host} cannot be resolved (${detail})` };
  if (REFUSED_CODES.has(code))
    return { kind: "refused", message: `${host} refused the connection (${detail})` };
  if (code === "UND_ERR_CONNECT_TIMEOUT" || code === "ETIMEDOUT") {
    return { kind: "connect_timeout", message: `no connection to ${host} in time (${detail})` };
  }
  if (RESET_CODES.has(code))
    return { kind: "reset", message: `${host} closed the connection before answering (${detail})` };
  return { kind: "network", message: `the call to ${host} failed (${detail})` };
}

/** The first code along the chain of causes; several addresses tried at once come as an AggregateError. */
function codeOf(error: unknown): string | null {
  for (let current = error, depth = 0; current instanceof Error && depth < 5; depth += 1) {
    const { code } = current as Error & { code?: unknown };
    if (typeof code === "string") return code;
    current =
      current instanceof AggregateError && current.errors.length > 0 ? current.errors[0] : current.cause;
  }
  return null;
}
