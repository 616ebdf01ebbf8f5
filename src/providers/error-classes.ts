/**
 * THE TABLE: what came back from a provider, and which class of error that is. Nothing else in the project
 * looks at status codes; what follows from a class is decided in SQL. Rules are tried from the top, and the
 * status alone decides when none of them fits. The body's words come from OpenAI, Anthropic, Google, and the
 * servers that speak OpenAI's format (vLLM, llama.cpp, Ollama, Groq, Mistral, OpenRouter, DeepSeek).
 */
import { type ErrorBody, previewOf, readErrorBody, redact } from "./error-body.ts";
import type { HttpFailure } from "./network-failure.ts";
import type { ErrorClass } from "./provider.ts";
import { type Headers, retryAfterMs } from "./rate-limit-headers.ts";

export type ErrorFacts = {
  /** Null when no response line arrived. */
  statusCode: number | null;
  body: string | null;
  /** Names in lower case. */
  headers: Headers;
  /** Why the exchange itself broke, if it did. Outranks the status. */
  cause: HttpFailure | null;
};

export type ClassifiedError = { errorClass: ErrorClass; message: string; retryAfterMs: number | null };

type BodyRule = { errorClass: ErrorClass; statuses: number[]; code?: RegExp; message?: RegExp };

/** Statuses that mean something else when the body says so. */
const BODY_RULES: BodyRule[] = [
  {
    errorClass: "out_of_quota",
    statuses: [400, 402, 403, 429],
    code: /^(insufficient_quota|billing\w*|quota_exceeded_billing|insufficient_(credits|balance|funds)|access_terminated)$/,
    message:
      /credit balance is too low|insufficient (account )?(balance|credits|funds)|billing (hard )?limit|billing (account )?(is |has )?(not (been )?(active|enabled)|disabled)|enable billing/i,
  },
  {
    errorClass: "configuration",
    statuses: [400],
    code: /^(api_key_invalid|api_key_expired|invalid_api_key|authentication_error|permission_error|model_not_found|model_decommissioned|not_found_error)$/,
    message:
      /api key (not valid|not found|expired)|user location is not supported|\bmodel\b.{0,120}(does not exist|not found|is not available|decommissioned|not a valid model)|(invalid|unknown) model\b/i,
  },
  {
    errorClass: "refused",
    statuses: [400, 403, 422],
    code: /^(content_filter|content_policy_violation|content_blocked|invalid_prompt|moderation\w*|responsibleaipolicyviolation)$/,
    message:
      /content (filter|management polic|policy)|content filtering|usage polic(y|ies)|was flagged|was blocked by/i,
  },
  // Waiting never helps a request that alone is above the limit, whatever status the provider chose.
  { errorClass: "too_long", statuses: [429], message: /request too large/i },
  {
    errorClass: "too_long",
    statuses: [400, 422, 500],
    code: /^(context_length_exceeded|string_above_max_length|exceed_context_size_error|request_too_large)$/,
    message:
      /prompt is too long|maximum (context|prompt|input) length|context (length|window|limit|size)|input token count.{0,80}exceeds|exceeds? the (maximum|available).{0,40}(tokens?|context)|too many (input )?tokens|prompt contains \d+ tokens|input is too long/i,
  },
  {
    errorClass: "mode",
    statuses: [400, 422],
    code: /^(response_format|text\.format|json_validate_failed|tool_use_failed|tool_choice|tools\b.*|invalid_json_schema)/,
    message:
      /response_?format|json[_ ]?schema|response_?(json_?)?schema|response_?mime_?type|json[_ ](mode|object|output)|guided_|grammar|structured outputs?|output_(config|format|schema)|input_schema|invalid schema|function_?declarations?|tool_?choice|(support|enable)\w* (for )?(tools?|function)|tool (use|calling).{0,40}(not|isn't) (supported|available)|nesting depth|too many states/i,
  },
];

/** What a status means by itself. Other 5xx are transient, 3xx configuration, other 4xx bad_request. */
const STATUS_CLASSES = new Map<number, ErrorClass>([
  ...[408, 409, 425, 499, 500, 502, 504, 520, 521, 522, 523, 524].map((code) => [code, "transient"] as const),
  ...[429, 503, 529].map((code) => [code, "capacity"] as const),
  ...[401, 403, 404, 405, 407, 410].map((code) => [code, "configuration"] as const),
  [402, "out_of_quota"],
  [413, "too_long"],
]);

/** `type` or `code` words that mean "busy" whatever the status (Anthropic sends them inside a 200 or 500). */
const BUSY = /^(overloaded_error|rate_limit_error|rate_limit_exceeded|resource_exhausted)$/;

/**
 * Names the class of one error and says in the provider's own words what happened.
 * @param secrets values that must not appear in the message (the key of the call).
 */
export function classifyError(facts: ErrorFacts, secrets: readonly string[] = []): ClassifiedError {
  if (facts.cause !== null) {
    const errorClass = facts.cause.kind === "aborted" ? "aborted" : "transient";
    return { errorClass, message: redact(facts.cause.message, secrets), retryAfterMs: null };
  }
  const body = readErrorBody(facts.body);
  const status = statusOf(facts.statusCode, body);
  const errorClass = obeyShouldRetry(classOf(status, body), status, facts.headers);
  const mayWait = errorClass === "capacity" || errorClass === "transient" || errorClass === "out_of_quota";
  return {
    errorClass,
    message: redact(messageOf(status, body, facts, secrets), secrets),
    retryAfterMs: mayWait ? (retryAfterMs(facts.headers) ?? body.retryDelayMs) : null,
  };
}

function classOf(status: number, body: ErrorBody): ErrorClass {
  const rule = BODY_RULES.find((candidate) => candidate.statuses.includes(status) && fits(candidate, body));
  if (rule !== undefined) return rule.errorClass;
  const byStatus = STATUS_CLASSES.get(status);
  if (byStatus === "too_long" || byStatus === "configuration") return byStatus;
  if (body.codes.some((code) => BUSY.test(code))) return "capacity";
  if (byStatus !== undefined) return byStatus;
  if (status < 300 || status >= 500) return "transient";
  return status < 400 ? "configuration" : "bad_request";
}

function fits(rule: BodyRule, body: ErrorBody): boolean {
  if (body.codes.some((code) => rule.code?.test(code))) return true;
  return body.message !== null && rule.message?.test(body.message) === true;
}

/** The provider's `x-should-retry` outranks the table: OpenAI and Anthropic send it, and their SDKs obey it. */
function obeyShouldRetry(errorClass: ErrorClass, status: number, headers: Headers): ErrorClass {
  const shouldRetry = headers["x-should-retry"];
  const isTemporary = errorClass === "transient" || errorClass === "capacity";
  if (shouldRetry === "false" && isTemporary && status >= 400) return "bad_request";
  const isFinal = errorClass === "bad_request" || errorClass === "configuration";
  return shouldRetry === "true" && isFinal && status >= 400 && status < 500 ? "transient" : errorClass;
}

/** Routers answer HTTP 200 with `{"error": {"code": 429}}`; the code inside is the real status then. */
function statusOf(statusCode: number | null, body: ErrorBody): number {
  const outer = statusCode ?? 0;
  if (outer >= 300 || !body.isError) return outer;
  return body.status !== null && body.status >= 400 && body.status < 600 ? body.status : 500;
}

function messageOf(status: number, body: ErrorBody, facts: ErrorFacts, secrets: readonly string[]): string {
  if (status >= 300 && status < 400) {
    return `HTTP ${status}: a redirect to ${hostOf(facts.headers["location"])} was not followed; check the base URL`;
  }
  if (body.message !== null && (status >= 300 || body.isError)) return body.message;
  const preview = previewOf(facts.body, secrets);
  if (status >= 300)
    return preview === "" ? `HTTP ${status} without a message` : `HTTP ${status}: ${preview}`;
  const type = facts.headers["content-type"] ?? "no content-type";
  return `HTTP ${status} with an answer that is not in the provider's format (${type}): ${preview || "empty body"}`;
}

function hostOf(location: string | undefined): string {
  return location !== undefined && URL.canParse(location) ? new URL(location).host : "another address";
}
