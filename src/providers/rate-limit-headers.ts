/**
 * What a provider's headers say about its limits: how long it asks to be left alone (with a 429, 503 or 529),
 * and what is left of each limit (with every answer).
 * Sources: RFC 9110 section 10.2.3 (retry-after), OpenAI and Anthropic "rate limits" pages.
 */
import type { RateLimit, RateLimits } from "./provider.ts";

/** Header names in lower case. */
export type Headers = Record<string, string>;

type Limit = { remaining: string | undefined; resetMs: number };

const OPENAI_DIMENSIONS = ["requests", "tokens"];
const ANTHROPIC_DIMENSIONS = ["requests", "tokens", "input-tokens", "output-tokens"];

/**
 * Milliseconds to wait, or null when the headers do not say. In order: `retry-after-ms`, `retry-after`
 * (seconds or HTTP date; from some a Unix time), `anthropic-ratelimit-*-reset` (RFC 3339), `x-ratelimit-reset-*` (durations).
 * Dates are measured against the server's own `date` header, so that a wrong local clock does no harm.
 */
export function retryAfterMs(headers: Headers, localNowMs: number = Date.now()): number | null {
  const nowMs = dateMs(headers["date"]) ?? localNowMs;
  return (
    numberMs(headers["retry-after-ms"], 1) ??
    resetMs(headers["retry-after"], nowMs) ??
    soonestUseful(anthropicLimits(headers, nowMs)) ??
    soonestUseful(openaiLimits(headers, nowMs)) ??
    resetMs(headers["x-ratelimit-reset"], nowMs)
  );
}

/** Ours, and theirs: Anthropic's `anthropic-ratelimit-<their>-remaining`, others' `x-ratelimit-remaining-<their>`. */
const DIMENSIONS = [
  ["requests", "requests"],
  ["tokens", "tokens"],
  ["inputTokens", "input-tokens"],
  ["outputTokens", "output-tokens"],
] as const;

/** What is left of each limit the headers tell of; null when they tell of none. */
export function rateLimitsOf(headers: Headers, localNowMs: number = Date.now()): RateLimits | null {
  const found: RateLimits = {};
  for (const [ours, theirs] of DIMENSIONS) {
    const limit = readLimit(headers, theirs, localNowMs);
    if (limit !== null) found[ours] = limit;
  }
  return Object.keys(found).length === 0 ? null : found;
}

function readLimit(headers: Headers, name: string, localNowMs: number): RateLimit | null {
  const of = (what: string) =>
    headers[`anthropic-ratelimit-${name}-${what}`] ?? headers[`x-ratelimit-${what}-${name}`];
  const remaining = numberMs(of("remaining"), 1);
  if (remaining === null) return null;
  const reset = resetMs(of("reset"), dateMs(headers["date"]) ?? localNowMs);
  return { limit: numberMs(of("limit"), 1), remaining, resetMs: reset };
}

/** Go-style durations, as OpenAI and Google send them: `1s`, `6m0s`, `120ms`, `1h2m3.5s`. Null for others. */
export function parseDurationMs(text: string): number | null {
  const units: Record<string, number> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
  if (!/^(\d+(\.\d+)?(ms|d|h|m|s))+$/.test(text)) return null;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|d|h|m|s)/g)) {
    totalMs += Number(amount) * (units[unit ?? ""] ?? 0);
  }
  return Math.ceil(totalMs);
}

function anthropicLimits(headers: Headers, nowMs: number): Limit[] {
  return ANTHROPIC_DIMENSIONS.flatMap((dimension) => {
    const wait = untilMs(headers[`anthropic-ratelimit-${dimension}-reset`], nowMs);
    const remaining = headers[`anthropic-ratelimit-${dimension}-remaining`];
    return wait === null ? [] : [{ remaining, resetMs: wait }];
  });
}

function openaiLimits(headers: Headers, nowMs: number): Limit[] {
  return OPENAI_DIMENSIONS.flatMap((dimension) => {
    const wait = resetMs(headers[`x-ratelimit-reset-${dimension}`], nowMs);
    return wait === null ? [] : [{ remaining: headers[`x-ratelimit-remaining-${dimension}`], resetMs: wait }];
  });
}

/** The limits that are used up must all reset; when none says so, the first to reset is worth a try. */
function soonestUseful(limits: Limit[]): number | null {
  const usedUp = limits.filter((limit) => limit.remaining !== undefined && Number(limit.remaining) <= 0);
  if (usedUp.length > 0) return Math.max(...usedUp.map((limit) => limit.resetMs));
  return limits.length > 0 ? Math.min(...limits.map((limit) => limit.resetMs)) : null;
}

/** A duration, a number of seconds, or a moment in Unix seconds or milliseconds (OpenRouter). */
function resetMs(text: string | undefined, nowMs: number): number | null {
  if (text === undefined) return null;
  const amount = Number(text);
  if (text.trim() === "" || Number.isNaN(amount)) return parseDurationMs(text.trim()) ?? untilMs(text, nowMs);
  if (amount < 0) return null;
  if (amount > 1e11) return Math.max(0, Math.ceil(amount - nowMs));
  if (amount > 1e9) return Math.max(0, Math.ceil(amount * 1_000 - nowMs));
  return Math.max(0, Math.ceil(amount * 1_000));
}

function numberMs(text: string | undefined, unitMs: number): number | null {
  if (text === undefined || !/^\s*\d+(\.\d+)?\s*$/.test(text)) return null;
  return Math.ceil(Number(text) * unitMs);
}

function untilMs(text: string | undefined, nowMs: number): number | null {
  const atMs = dateMs(text);
  return atMs === null ? null : Math.max(0, atMs - nowMs);
}

function dateMs(text: string | undefined): number | null {
  if (text === undefined || !/[a-z]/i.test(text)) return null;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? null : atMs;
}
