import { UsageError } from "../errors.ts";
import type { Command, CommandContext } from "./context.ts";
import { withDatabase } from "./database.ts";
import { clockTime, count, duration, printable } from "./format.ts";
import { statusStyle } from "./status-style.ts";
import { table } from "./terminal.ts";

export type ExplainOptions = { id: string; json?: boolean };

/** The document of `llmq.explain_llm_request`; what does not apply is absent. */
export type Explanation = {
  request_id: string;
  status: string;
  why: string;
  model?: string;
  provider?: string;
  route?: string[];
  run_at?: string;
  deadline?: string;
  /** agent_paused, agent_concurrency, agent_budget, route_paused or shared. */
  held?: string;
  cooling_until?: string;
  ahead?: number;
  starts_per_minute?: number;
  estimated_start?: string;
  limits?: ExplainedLimit[];
  error_type?: string;
  error_message?: string;
  attempts?: number;
  max_attempts?: number;
  capacity_waits?: number;
  reasks?: number;
  crashes?: number;
  calls?: ExplainedCall[];
};

/** Limits of a model or of a provider, and what is used of them. */
type ExplainedLimit = {
  model?: string;
  provider?: string;
  requests_per_minute?: number;
  requests: number;
  input_tokens_per_minute?: number;
  input_tokens: number;
  output_tokens_per_minute?: number;
  output_tokens: number;
  tokens_per_minute?: number;
  max_concurrency?: number;
  in_flight: number;
};

type ExplainedCall = {
  number: number;
  model?: string;
  outcome: string;
  started_at?: string;
  latency_ms?: number;
  status_code?: number;
  error_message?: string;
  input_tokens?: number;
  output_tokens?: number;
};

/** `llmq explain ID` */
export const runExplain: Command<ExplainOptions> = async (context, options) => {
  const { out } = context;
  const id = requestId(options.id);
  return await withDatabase(context, async ({ pool }) => {
    const { rows } = await pool.query<{ explanation: Explanation }>(
      "select llmq.explain_llm_request($1) as explanation",
      [id],
    );
    const explanation = rows[0]?.explanation;
    if (explanation === undefined) throw new Error("the database explained nothing");
    if (options.json) out.line(JSON.stringify(explanation, null, 2));
    else for (const line of explanationLines(context, explanation)) out.line(line);
    return 0;
  });
};

/** @throws UsageError when it is no UUID: the server's own words for that are about syntax. */
export function requestId(text: string): string {
  if (/^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i.test(text)) return text;
  throw new UsageError(`"${text}" is not a request id`, {
    hint: "An id looks like 01997f3a-5c1e-7d2b-9a40-0242ac120002; llmq submit prints it.",
  });
}

function explanationLines({ out }: CommandContext, it: Explanation): string[] {
  const fact = (name: string, value: string | undefined) =>
    value === undefined ? [] : [`  ${out.style("dim", name.padEnd(10))} ${value}`];
  const model = it.provider === undefined ? it.model : `${it.model} (${it.provider})`;
  return [
    `${out.style(statusStyle(it.status), it.status)}  ${out.style("dim", it.request_id)}`,
    `  ${printable(it.why)}`,
    "",
    ...fact("model", model),
    ...fact("route", it.route?.join(", then ")),
    ...fact(
      "ahead",
      it.ahead === undefined ? undefined : `${count(it.ahead)}${it.ahead >= 10_000 ? " or more" : ""}`,
    ),
    ...fact("starts", estimate(it)),
    ...(it.limits ?? []).flatMap((limit) =>
      fact("limits", `${limit.model ?? limit.provider}: ${limitParts(limit)}`),
    ),
    ...fact("not before", it.status === "pending" && isAhead(it.run_at) ? timeOf(it.run_at) : undefined),
    ...fact("cools down", it.cooling_until === undefined ? undefined : `until ${timeOf(it.cooling_until)}`),
    ...fact("deadline", timeOf(it.deadline)),
    ...fact("error", it.error_type),
    ...fact("last error", it.status === "pending" ? it.error_message : undefined),
    ...fact("counters", counters(it)),
    ...(it.calls === undefined ? [] : ["", ...calls(out, it.calls)]),
  ];
}

function estimate(it: Explanation): string | undefined {
  if (it.estimated_start === undefined) return undefined;
  const pace = it.starts_per_minute ? ` (${count(it.starts_per_minute)} in the last minute)` : "";
  return isAhead(it.estimated_start) ? `about ${timeOf(it.estimated_start)}${pace}` : `now${pace}`;
}

function limitParts(limit: ExplainedLimit): string {
  const part = (used: number, most: number | undefined, unit: string) =>
    most === undefined ? [] : [`${count(used)} of ${count(most)} ${unit}`];
  return [
    ...part(limit.requests, limit.requests_per_minute, "requests/min"),
    ...part(limit.input_tokens, limit.input_tokens_per_minute, "input tokens/min"),
    ...part(limit.output_tokens, limit.output_tokens_per_minute, "output tokens/min"),
    ...part(limit.input_tokens + limit.output_tokens, limit.tokens_per_minute, "tokens/min"),
    ...part(limit.in_flight, limit.max_concurrency, "calls at once"),
  ].join(", ");
}

function counters(it: Explanation): string | undefined {
  const parts = [
    `${it.attempts ?? 0} of ${it.max_attempts ?? "?"} attempts failed`,
    it.capacity_waits ? `${it.capacity_waits} waits for capacity` : "",
    it.reasks ? `${it.reasks} re-asks` : "",
    it.crashes ? `${it.crashes} lost to crashes` : "",
  ].filter(Boolean);
  return it.attempts || parts.length > 1 ? parts.join(", ") : undefined;
}

function calls(out: CommandContext["out"], list: ExplainedCall[]): string[] {
  const rows = list.map((call) => [
    String(call.number),
    timeOf(call.started_at) ?? "",
    call.model ?? "",
    out.style(call.outcome === "answered" ? "green" : "red", call.outcome),
    call.latency_ms === undefined ? "" : duration(call.latency_ms),
    call.input_tokens === undefined ? "" : `${count(call.input_tokens)} + ${count(call.output_tokens ?? 0)}`,
    printable([call.status_code, call.error_message].filter(Boolean).join(" ")),
  ]);
  return table(out, ["call", "at", "model", "outcome", "took", "tokens", "error"], rows, [0, 4, 5]);
}

function timeOf(text: string | undefined): string | undefined {
  return text === undefined ? undefined : clockTime(new Date(text));
}

function isAhead(time: string | undefined): boolean {
  return time !== undefined && Date.parse(time) > Date.now();
}
