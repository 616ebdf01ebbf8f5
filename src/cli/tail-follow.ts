/**
 * Finished requests as they come, in the order of `finished_at`, none lost and none twice. Every look reads again
 * from the horizon, and what was told already is remembered from there on.
 */
import type { Pool } from "pg";
import { createHorizon, type Look } from "../database/horizon.ts";

export type FinishedRequest = {
  id: string;
  finished_at: string;
  agent_id: string;
  task_type: string;
  status: string;
  model: string | null;
  provider: string | null;
  error_type: string | null;
  error_message: string | null;
  finish_reason: string | null;
  attempts: number;
  calls: number;
  input_tokens: number | null;
  output_tokens: number | null;
  cost_usd: number | null;
  created_at: string;
  started_at: string | null;
};

export type FinishedFilter = {
  agent?: string | undefined;
  status?: string | undefined;
  model?: string | undefined;
  taskType?: string | undefined;
  errorType?: string | undefined;
};

export type Follower = {
  /** What has become visible since the last look; one page after the other. */
  look(): AsyncGenerator<FinishedRequest[]>;
};

type Page = Look<string> & { requests: FinishedRequest[] };

const PAGE = 500;
const FIRST_ID = "00000000-0000-0000-0000-000000000000";

/** Columns that `llmq_reader` may read: no prompts, no answers. */
export const FINISHED_SINCE = `
select to_json(statement_timestamp()) #>> '{}' as at, pg_current_xact_id()::text as xid,
  pg_snapshot_xmin(pg_current_snapshot())::text as xmin,
  coalesce((
    select json_agg(f)
    from (
      select r.id, r.finished_at, r.agent_id, r.task_type, r.status, r.model, r.provider, r.error_type,
        r.error_message, r.finish_reason, r.attempts, r.calls, r.input_tokens, r.output_tokens, r.cost_usd,
        r.created_at, r.started_at
      from llmq.llm_requests as r
      where r.status in ('completed', 'failed', 'cancelled')
        and r.finished_at >= $1::timestamptz and (r.finished_at, r.id) > ($1::timestamptz, $2::uuid)
        and ($3::text is null or r.agent_id = $3) and ($4::text is null or r.status = $4)
        and ($5::text is null or r.model = $5) and ($6::text is null or r.task_type = $6)
        and ($7::text is null or r.error_type = $7)
      order by r.finished_at, r.id
      limit ${PAGE}
    ) as f
  ), '[]') as requests`;

/** Follows from `sinceMs` before now on, by the database's clock. Not on a standby: it gives no numbers. */
export async function followFinished(
  pool: Pick<Pool, "query">,
  filter: FinishedFilter,
  sinceMs: number,
): Promise<Follower> {
  const values = [filter.agent, filter.status, filter.model, filter.taskType, filter.errorType];
  const horizon = createHorizon(await timeBefore(pool, sinceMs));
  let told = new Map<string, string>();

  async function page(finishedAt: string, id: string): Promise<Page> {
    const { rows } = await pool.query<Page>(FINISHED_SINCE, [
      finishedAt,
      id,
      ...values.map((value) => value ?? null),
    ]);
    return rows[0] as Page;
  }

  function takeNew(requests: FinishedRequest[]): FinishedRequest[] {
    const fresh = requests.filter(({ id, finished_at }) => told.get(id) !== finished_at);
    for (const { id, finished_at } of fresh) told.set(id, finished_at);
    return fresh;
  }

  /** What is before the horizon needs no second telling. */
  function forget(): void {
    const horizonMs = Date.parse(horizon.at);
    told = new Map([...told].filter(([, finishedAt]) => Date.parse(finishedAt) >= horizonMs));
  }

  return {
    async *look() {
      const first = await page(horizon.at, FIRST_ID);
      for (let next = first; ; ) {
        yield takeNew(next.requests);
        const last = next.requests.at(-1);
        if (last === undefined || next.requests.length < PAGE) break;
        next = await page(last.finished_at, last.id);
      }
      horizon.passed(first);
      forget();
    },
  };
}

async function timeBefore(pool: Pick<Pool, "query">, ms: number): Promise<string> {
  const { rows } = await pool.query<{ at: string }>(
    "select to_json(clock_timestamp() - $1 * interval '1 millisecond') #>> '{}' as at",
    [ms],
  );
  return rows[0]?.at as string;
}
