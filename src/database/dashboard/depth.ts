import type { Depth, WorkerSummary } from "../../http/dashboard/api-types.ts";
import type { Read } from "../reads.ts";

export type QueueState = {
  at: string;
  /** Seconds since 1970, by the database's clock. */
  now: number;
  oldestPendingAt: string | null;
  models: (Depth & { name: string })[];
  /** The fifty with the most open requests. */
  agents: (Depth & { name: string })[];
  workers: WorkerSummary[];
};

type DepthRow = { name: string | null; pending: number; processing: number };

const BY_MODEL = `
select d.model as name,
  coalesce(sum(d.requests) filter (where d.status = 'pending'), 0)::float8 as pending,
  coalesce(sum(d.requests) filter (where d.status = 'processing'), 0)::float8 as processing,
  min(d.oldest_created_at) filter (where d.status = 'pending') as oldest,
  clock_timestamp() as at
from llmq.queue_depth as d
group by 1`;

const BY_AGENT = `
select v.agent_id as name,
  count(*) filter (where v.status = 'pending')::float8 as pending,
  count(*) filter (where v.status = 'processing')::float8 as processing
from llmq.llm_requests as v
where v.status in ('pending', 'processing')
group by 1
order by count(*) desc
limit 50`;

const WORKERS = `
select w.name, w.heartbeat_at > clock_timestamp() - w.lost_after as alive, w.stopping, w.started_at, w.heartbeat_at,
  w.info, clock_timestamp() as at
from llmq.workers as w
order by alive desc, w.started_at
limit 100`;

type WorkerRow = {
  name: string;
  alive: boolean;
  stopping: boolean;
  started_at: Date;
  heartbeat_at: Date;
  info: Record<string, unknown>;
};

/** How much waits and runs, for whom, and who works on it. */
export async function readQueueState(read: Read): Promise<QueueState> {
  const [clock] = await read<{ at: Date }>("select clock_timestamp() as at");
  const models = await read<DepthRow & { oldest: Date | null }>(BY_MODEL);
  const agents = await read<DepthRow>(BY_AGENT);
  const workers = await read<WorkerRow>(WORKERS);
  const at = clock?.at ?? new Date();
  const oldest = models.flatMap((row) => (row.oldest === null ? [] : [row.oldest.getTime()]));
  return {
    at: at.toISOString(),
    now: at.getTime() / 1000,
    oldestPendingAt: oldest.length === 0 ? null : new Date(Math.min(...oldest)).toISOString(),
    models: models.map(named),
    agents: agents.map(named),
    workers: workers.map(toWorker),
  };
}

function named({ name, pending, processing }: DepthRow): Depth & { name: string } {
  return { name: name ?? "", pending, processing };
}

function toWorker(row: WorkerRow): WorkerSummary {
  const { in_flight, concurrency, listener, version } = row.info;
  return {
    name: row.name,
    alive: row.alive,
    stopping: row.stopping,
    startedAt: row.started_at.toISOString(),
    heartbeatAt: row.heartbeat_at.toISOString(),
    inFlight: typeof in_flight === "number" ? in_flight : null,
    concurrency: typeof concurrency === "number" ? concurrency : null,
    listener: typeof listener === "string" ? listener : null,
    version: typeof version === "string" ? version : null,
  };
}
