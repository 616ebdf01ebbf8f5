import { type Read, tookTooLong } from "../reads.ts";

/** Requests that ended within one bucket alike. */
export type FinishedGroup = {
  /** Start of the bucket, in seconds since 1970. */
  at: number;
  /** What it is counted by: the models, and once more the agents. */
  by: "model" | "agent";
  /** Null: none (never claimed), or not among the twenty busiest. */
  name: string | null;
  status: "completed" | "failed" | "cancelled";
  /** Class of the histogram: ceil(log(ms) to the base 1.2). */
  latencyClass: number;
  count: number;
  tokens: number;
  costUsd: number | null;
};

export const BUCKET_SECONDS = 10;
/** Width of the latency classes: a percentile is right to within a tenth. */
export const LATENCY_BASE = 1.2;

const SOURCE = `
with f as materialized (
  select
    date_bin('${BUCKET_SECONDS} seconds', v.finished_at, 'epoch') as bucket,
    v.model, v.agent_id, v.status,
    ceil(ln(greatest(extract(epoch from v.finished_at - v.created_at) * 1000, 1)) / ln(${LATENCY_BASE}))::int as latency_class,
    coalesce(v.input_tokens, 0) + coalesce(v.output_tokens, 0) as tokens,
    v.cost_usd
  from llmq.llm_requests as v
  where v.status in ('completed', 'failed', 'cancelled') and v.finished_at >= to_timestamp($1)
), busy_models as (
  select f.model from f where f.model is not null group by 1 order by count(*) desc limit 20
), busy_agents as (
  select f.agent_id from f group by 1 order by count(*) desc limit 20
)
select
  extract(epoch from g.bucket)::float8 as at, g.kind, g.name, g.status, g.latency_class,
  g.requests::float8 as count, g.tokens::float8 as tokens, g.cost_usd::float8 as cost_usd
from (
  select f.bucket, 'model' as kind, case when b.model is not null then f.model end as name, f.status,
    f.latency_class, count(*) as requests, sum(f.tokens) as tokens, sum(f.cost_usd) as cost_usd
  from f left join busy_models as b on b.model = f.model
  group by 1, 3, 4, 5
  union all
  select f.bucket, 'agent', case when b.agent_id is not null then f.agent_id end, f.status,
    f.latency_class, count(*), sum(f.tokens), sum(f.cost_usd)
  from f left join busy_agents as b on b.agent_id = f.agent_id
  group by 1, 3, 4, 5
) as g`;

type Row = {
  at: number;
  kind: "model" | "agent";
  name: string | null;
  status: FinishedGroup["status"];
  latency_class: number;
  count: number;
  tokens: number;
  cost_usd: number | null;
};

/** What has ended since then, by bucket; reads one row per finished request, by their index. */
export async function readFinished(read: Read, since: number): Promise<FinishedGroup[]> {
  const rows = await read<Row>(SOURCE, [since]);
  return rows.map((row) => ({
    at: row.at,
    by: row.kind,
    name: row.name,
    status: row.status,
    latencyClass: row.latency_class,
    count: row.count,
    tokens: row.tokens,
    costUsd: row.cost_usd,
  }));
}

/** Tries ever shorter spans until one can be read in time; the start of the one that could. */
export async function readFinishedWithin(
  read: Read,
  now: number,
  seconds: number,
): Promise<{ since: number; groups: FinishedGroup[] }> {
  for (let span = seconds; ; span = Math.floor(span / 4)) {
    const since = now - span - ((now - span) % BUCKET_SECONDS);
    try {
      return { since, groups: await readFinished(read, since) };
    } catch (error) {
      if (!tookTooLong(error) || span < BUCKET_SECONDS) throw error;
    }
  }
}
