/**
 * What the many shapes of an error body say: OpenAI `{error: {message, type, param, code}}`, Anthropic
 * `{type: "error", error: {type, message}}`, Google `{error: {code, message, status, details}}`, and the
 * looser ones of compatible servers (`{error: "..."}`, `{message}`, `{detail}`).
 */
import { parseDurationMs } from "./rate-limit-headers.ts";

/** One reading of an error body. */
export type ErrorBody = {
  /** The provider's own words, or null when the body has none. */
  message: string | null;
  /** Every machine-readable word in it (`type`, `code`, `param`, `status`, google reasons), lower case. */
  codes: string[];
  /** A status inside the body: some routers send HTTP 200 around an error. */
  status: number | null;
  /** Google's RetryInfo, see https://cloud.google.com/apis/design/errors. */
  retryDelayMs: number | null;
  /** `false` when the body holds no error object at all. */
  isError: boolean;
};

const EMPTY: ErrorBody = { message: null, codes: [], status: null, retryDelayMs: null, isError: false };
const PREVIEW_LENGTH = 200;
const MAX_MESSAGE_LENGTH = 2_000;

/** Reads an error body of any provider; never throws. */
export function readErrorBody(body: string | null): ErrorBody {
  const root = firstOf(parseJson(body));
  if (!isRecord(root)) return EMPTY;
  if (typeof root["error"] === "string") return { ...EMPTY, message: root["error"], isError: true };
  const isNested = isRecord(root["error"]);
  const error = isNested ? (root["error"] as Record<string, unknown>) : root;
  const details = Array.isArray(error["details"]) ? error["details"].filter(isRecord) : [];
  const message = textOf(error["message"]) ?? textOf(error["detail"]) ?? listText(error["detail"]);
  return {
    message,
    codes: wordsOf(error, details),
    status: typeof error["code"] === "number" ? error["code"] : null,
    retryDelayMs: retryDelayOf(details),
    isError: isNested || root["object"] === "error" || root["type"] === "error",
  };
}

/** The beginning of a body that nobody could read, on one line, without tags and keys: for messages. */
export function previewOf(body: string | null, secrets: readonly string[] = []): string {
  // Keys go before the cut, which would leave of one a part that nothing knows as a key.
  const clean = withoutKeys((body ?? "").slice(0, 65_536), secrets).slice(0, 4_000);
  const text = clean.replace(/<(script|style)[\s\S]*?<\/\1>|<[^>]*>/gi, " ");
  return text.replace(/\s+/g, " ").trim().slice(0, PREVIEW_LENGTH);
}

/** Takes keys out of a message: the ones given, and whatever looks like one. Also limits its length. */
export function redact(message: string, secrets: readonly string[] = []): string {
  return withoutKeys(message, secrets).slice(0, MAX_MESSAGE_LENGTH);
}

function withoutKeys(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) if (secret.length >= 4) clean = clean.replaceAll(secret, "[key]");
  return clean
    .replace(/\b(sk|pk|rk|gsk|xai|key)-[\w*.-]{6,}/gi, "[key]")
    .replace(/\b(gsk_|AIza)[\w*-]{10,}/g, "[key]")
    .replace(/\bBearer\s+[\w.~+/=*-]{6,}/gi, "Bearer [key]");
}

/** `JSON.parse` that answers undefined for what is no JSON. */
export function parseJson(text: string | null): unknown {
  if (text === null) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** True for a plain JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wordsOf(error: Record<string, unknown>, details: Record<string, unknown>[]): string[] {
  const words = [error["type"], error["code"], error["status"], error["param"]];
  return [...words, ...details.map((detail) => detail["reason"])]
    .filter((word) => typeof word === "string")
    .map((word) => word.toLowerCase());
}

function retryDelayOf(details: Record<string, unknown>[]): number | null {
  for (const detail of details) {
    const delay = detail["retryDelay"];
    if (typeof delay === "string") return parseDurationMs(delay);
    if (isRecord(delay) && delay["seconds"] !== undefined) return parseDurationMs(`${delay["seconds"]}s`);
  }
  return null;
}

/** Google wraps errors of some endpoints in a list of one. */
function firstOf(value: unknown): unknown {
  return Array.isArray(value) ? value[0] : value;
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value.trim() !== "" ? value.trim() : null;
}

/** FastAPI's 422: `{"detail": [{"loc": ["body", "messages"], "msg": "field required"}]}`. */
function listText(value: unknown): string | null {
  return Array.isArray(value) && value.length > 0 ? JSON.stringify(value) : null;
}
