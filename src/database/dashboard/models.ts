import type { AgentSummary, LimitUse, ModelSummary } from "../../http/dashboard/api-traffic-types.ts";
import { type Read, tookTooLong } from "../reads.ts";

type State = {
  cooling_until?: string | null;
  reason?: string | null;
  error_class?: string | null;
  failures?: number;
  admit?: number | null;
};

type ModelRow = {
  name: string;
  provider: string;
  provider_kind: string;
  provider_paused: boolean;
  model_id: string;
  paused: boolean;
  context_window: number | null;
  requests_per_minute: number | null;
  input_tokens_per_minute: number | null;
  output_tokens_per_minute: number | null;
  tokens_per_minute: number | null;
  max_concurrency: number | null;
  state: State | null;
  cooling: boolean;
};

const MODELS = `
select m.name, m.provider, p.kind as provider_kind, p.paused as provider_paused, m.model_id, m.paused,
  m.context_window, m.requests_per_minute, m.input_tokens_per_minute, m.output_tokens_per_minute,
  m.tokens_per_minute, m.max_concurrency, to_jsonb(s) as state, coalesce(s.cooling_until > clock_timestamp(), false) as cooling
from llmq.models as m
join llmq.providers as p on p.name = m.provider
left join llmq.model_state as s on s.lane = m.lane
order by m.name
limit 500`;

const USED = `
select m.name, u.requests::float8 as requests, u.input_tokens::float8 as input_tokens, u.output_tokens::float8 as output_tokens
from llmq.lane_meters as m
cross join lateral llmq.meter_use(m.meter, m.lanes, clock_timestamp()) as u
where m.kind = 'model'
limit 500`;

/** Every model with its limits and its breaker. */
export async function readModels(read: Read): Promise<Omit<ModelSummary, "activity">[]> {
  const rows = await read<ModelRow>(MODELS);
  const used = await readUse(read);
  return rows.map((row) => ({
    name: row.name,
    provider: row.provider,
    providerKind: row.provider_kind,
    providerPaused: row.provider_paused,
    modelId: row.model_id,
    paused: row.paused,
    contextWindow: row.context_window,
    limits: {
      requestsPerMinute: row.requests_per_minute,
      inputTokensPerMinute: row.input_tokens_per_minute,
      outputTokensPerMinute: row.output_tokens_per_minute,
      tokensPerMinute: row.tokens_per_minute,
      maxConcurrency: row.max_concurrency,
    },
    used: used.get(row.name) ?? null,
    breaker: breakerOf(row.state ?? {}, row.cooling),
  }));
}

type UseRow = { name: string; requests: number; input_tokens: number; output_tokens: number };

/** Of models with limits; empty where the role may not see it (SQLSTATE 42501). */
async function readUse(read: Read): Promise<Map<string, LimitUse>> {
  const rows = await read<UseRow>(USED).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "42501") return [];
    throw error;
  });
  return new Map(
    rows.map((row) => [
      row.name,
      { requests: row.requests, inputTokens: row.input_tokens, outputTokens: row.output_tokens },
    ]),
  );
}

function breakerOf(state: State, isCooling: boolean): ModelSummary["breaker"] {
  const admit = state.admit ?? null;
  const inTrouble = isCooling || admit !== null;
  return {
    state: isCooling ? "cooling" : admit !== null ? "recovering" : "closed",
    coolingUntil: isCooling ? (state.cooling_until ?? null) : null,
    reason: inTrouble ? (state.reason ?? null) : null,
    errorClass: inTrouble ? (state.error_class ?? null) : null,
    failures: state.failures ?? 0,
    admit,
  };
}

type AgentRow = {
  agent_id: string;
  weight: number;
  paused: boolean;
  max_concurrency: number | null;
  daily_budget_usd: number | null;
  monthly_budget_usd: number | null;
  spent_today: number | null;
  spent_this_month: number | null;
  owner: string | null;
};

export type ConfiguredAgent = Omit<AgentSummary, "activity" | "share">;

/** What counts against a budget, reservations of running calls included. */
const SPENT = (period: string, budget: string) =>
  `case when ${budget} is not null and has_function_privilege('llmq.agent_spent(text, text)', 'execute')
    then llmq.agent_spent(a.agent_id, '${period}') end::float8`;

/** Agents with a row of their own, the first 500 by name. */
export async function readAgents(read: Read): Promise<ConfiguredAgent[]> {
  const rows = await read<AgentRow>(
    `select a.agent_id, a.weight::float8 as weight, a.paused, a.max_concurrency, a.owner,
       a.daily_budget_usd::float8 as daily_budget_usd, a.monthly_budget_usd::float8 as monthly_budget_usd,
       ${SPENT("day", "a.daily_budget_usd")} as spent_today,
       ${SPENT("month", "a.monthly_budget_usd")} as spent_this_month
     from llmq.agents as a
     order by a.agent_id
     limit 500`,
  );
  return rows.map((row) => ({
    name: row.agent_id,
    configured: true,
    weight: row.weight,
    paused: row.paused,
    maxConcurrency: row.max_concurrency,
    dailyBudgetUsd: row.daily_budget_usd,
    monthlyBudgetUsd: row.monthly_budget_usd,
    spentTodayUsd: row.spent_today,
    spentThisMonthUsd: row.spent_this_month,
    owner: row.owner,
  }));
}

export type Spending = Map<string, number>;

/** US dollars per agent since the start of this day or month (UTC); null when there are too many results to sum. */
export async function readSpending(read: Read, span: "day" | "month"): Promise<Spending | null> {
  try {
    const rows = await read<{ agent_id: string; cost: number }>(
      `select v.agent_id, sum(v.cost_usd)::float8 as cost
       from llmq.llm_requests as v
       where v.status in ('completed', 'failed', 'cancelled')
         and v.finished_at >= date_trunc($1, now() at time zone 'UTC') at time zone 'UTC'
         and v.cost_usd > 0
       group by 1`,
      [span],
    );
    return new Map(rows.map((row) => [row.agent_id, row.cost]));
  } catch (error) {
    if (tookTooLong(error)) return null;
    throw error;
  }
}
