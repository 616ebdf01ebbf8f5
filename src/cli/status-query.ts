import type { Pool } from "pg";

/** What `llmq status --json` prints: made by one statement, so that all of it is of one moment. */
export type Status = {
  database: string;
  server_version: string;
  schema_version: number;
  /** Server's clock; ISO 8601, like every time here. */
  at: string;
  pending: number;
  processing: number;
  oldest_pending_at: string | null;
  models: ModelStatus[];
  workers: WorkerStatus[];
  last_hour: { completed: number; failed: number; cancelled: number };
  recent_failures: FailureStatus[];
};

export type ModelStatus = {
  name: string;
  provider: string;
  waiting: number;
  running: number;
  oldest_waiting_at: string | null;
  paused: boolean;
  cooling_until: string | null;
  /** Calls at once while it recovers; null: as many as its limits allow. */
  admitted: number | null;
  cooling_reason: string | null;
};

export type WorkerStatus = {
  name: string;
  alive: boolean;
  stopping: boolean;
  started_at: string;
  heartbeat_at: string;
  /** What the worker says about itself: in_flight, concurrency, listener, version, ... */
  info: Record<string, unknown>;
};

export type FailureStatus = {
  id: string;
  finished_at: string;
  agent_id: string;
  task_type: string;
  model: string | null;
  error_type: string;
  error_message: string | null;
};

/** Views and tables that `llmq_reader` may read; the external lane is shown only when it has work. */
const STATUS = `
with depth as materialized (
  select d.model, d.status, sum(d.requests) as requests, min(d.oldest_created_at) as oldest
  from llmq.queue_depth as d group by 1, 2
), model as (
  select m.name, m.provider, coalesce(w.requests, 0) as waiting, coalesce(r.requests, 0) as running,
    w.oldest as oldest_waiting_at, m.paused or p.paused as paused, case when s.cooling_until > clock_timestamp() then s.cooling_until end as cooling_until, s.reason as cooling_reason,
    s.admit as admitted
  from llmq.models as m
  join llmq.providers as p on p.name = m.provider
  left join depth as w on w.model = m.name and w.status = 'pending'
  left join depth as r on r.model = m.name and r.status = 'processing'
  left join llmq.model_state as s on s.lane = m.lane
  where p.kind <> 'external' or w.requests > 0
), worker as (
  select w.name, w.heartbeat_at > clock_timestamp() - w.lost_after as alive, w.stopping, w.started_at, w.heartbeat_at, w.info
  from llmq.workers as w
), ended as (
  select r.status, count(*) as requests
  from llmq.llm_requests as r
  where r.status in ('completed', 'failed', 'cancelled') and r.finished_at > now() - interval '1 hour'
  group by 1
), failure as (
  select f.id, f.finished_at, f.agent_id, f.task_type, f.model, f.error_type, f.error_message
  from llmq.recent_failures as f order by f.finished_at desc limit 5
)
select jsonb_build_object(
  'database', current_database(),
  'server_version', current_setting('server_version'),
  'schema_version', llmq.schema_version(),
  'at', clock_timestamp(),
  'pending', (select coalesce(sum(requests), 0) from depth where status = 'pending'),
  'processing', (select coalesce(sum(requests), 0) from depth where status = 'processing'),
  'oldest_pending_at', (select min(oldest) from depth where status = 'pending'),
  'models', (select coalesce(jsonb_agg(to_jsonb(model) order by waiting + running desc, name), '[]') from model),
  'workers', (select coalesce(jsonb_agg(to_jsonb(worker) order by alive desc, started_at), '[]') from worker),
  'last_hour', (
    select jsonb_object_agg(kind, coalesce((select requests from ended where ended.status = kind), 0))
    from unnest(array['completed', 'failed', 'cancelled']) as kind
  ),
  'recent_failures', (select coalesce(jsonb_agg(to_jsonb(failure) order by finished_at desc), '[]') from failure)
) as status`;

export async function readStatus(pool: Pool): Promise<Status> {
  const { rows } = await pool.query<{ status: Status }>(STATUS);
  const status = rows[0]?.status;
  if (status === undefined) throw new Error("the database gave no status");
  return status;
}
