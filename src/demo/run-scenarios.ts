/** Submits the scenarios through SQL and follows each to its end, as an application would. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import type { Scenario } from "./scenarios.ts";

/** The row of `llmq.llm_requests` of a finished request, as far as the demo shows it. */
export type Finished = {
  id: string;
  status: "pending" | "processing" | "completed" | "failed" | "cancelled";
  model: string | null;
  response: string | null;
  parsed_response: unknown;
  validation_errors: unknown;
  repairs: string[] | null;
  error_type: string | null;
  error_message: string | null;
  calls: number;
  reasks: number;
};

const POLL_MS = 30;

export type Story = { scenario: Scenario; turns: Finished[] };

export type Telling = (scenario: Scenario, text: string) => void;

/** Rejects when the signal aborts. */
export async function runScenario(
  pool: Pool,
  scenario: Scenario,
  tell: Telling,
  signal: AbortSignal,
): Promise<Story> {
  let id = await submit(pool, scenario);
  tell(scenario, "submitted");
  const [first] = await Promise.all([
    follow(pool, scenario, id, tell, signal),
    cancelLater(pool, scenario, id, signal),
  ]);
  const turns = [first];
  const calls = toolCalls(first);
  if (scenario.toolResult !== undefined && calls.length > 0) {
    tell(scenario, `calls ${calls.map((call) => call.tool_name).join(", ")}; handing back the results`);
    const results = calls.map((call) => ({ id: call.id, result: scenario.toolResult }));
    const { rows } = await pool.query("select llmq.submit_tool_results($1, $2) as id", [
      id,
      JSON.stringify(results),
    ]);
    id = rows[0].id;
    turns.push(await follow(pool, scenario, id, tell, signal));
  }
  return { scenario, turns };
}

async function submit(pool: Pool, scenario: Scenario): Promise<string> {
  const named = Object.entries({ agent_id: "demo", ...scenario.submit });
  const { rows } = await pool.query(
    `select llmq.submit_llm_request(${named.map(([name], index) => `${name} => $${index + 1}`).join(", ")}) as id`,
    named.map(([, value]) => (typeof value === "object" ? JSON.stringify(value) : value)),
  );
  return rows[0].id;
}

async function cancelLater(pool: Pool, scenario: Scenario, id: string, signal: AbortSignal): Promise<void> {
  if (scenario.cancelAfterMs === undefined) return;
  while ((await statusOf(pool, id)) === "pending") await sleep(POLL_MS, undefined, { signal });
  await sleep(scenario.cancelAfterMs, undefined, { signal });
  await pool.query("select llmq.cancel_llm_request($1, 'changed my mind')", [id]);
}

async function statusOf(pool: Pool, id: string): Promise<string> {
  const { rows } = await pool.query("select llmq.status_of($1) as status", [id]);
  return rows[0].status;
}

async function follow(
  pool: Pool,
  scenario: Scenario,
  id: string,
  tell: Telling,
  signal: AbortSignal,
): Promise<Finished> {
  let seen = "";
  while (true) {
    const { rows } = await pool.query(
      `select id, status, model, response, parsed_response, validation_errors, repairs, error_type, error_message, calls, reasks
       from llmq.llm_requests where id = $1`,
      [id],
    );
    const now = rows[0] as Finished;
    const state = `${now.status}${now.status === "pending" && now.error_message !== null ? `, will try again: ${now.error_message}` : ""}`;
    if (state !== seen && state !== "pending") tell(scenario, state);
    seen = state;
    if (now.status !== "pending" && now.status !== "processing") return now;
    await sleep(POLL_MS, undefined, { signal });
  }
}

function toolCalls(turn: Finished | undefined): { id: string; tool_name: string }[] {
  const parsed = turn?.parsed_response;
  if (typeof parsed !== "object" || parsed === null || !("tool_calls" in parsed)) return [];
  return Array.isArray(parsed.tool_calls) ? parsed.tool_calls : [];
}
