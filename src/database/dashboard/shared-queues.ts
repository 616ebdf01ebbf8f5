import type { QueueSummary, Queues, SetAsideMessage } from "../../http/dashboard/api-traffic-types.ts";
import type { Read } from "../reads.ts";

/** Counting ends here. */
const COUNTED = 10_000;

type QueueRow = {
  queue_name: string;
  handler: string;
  enabled: boolean;
  max_reads: number;
  retry_after_ms: number;
  /** Of pgmq, quoted; null: there is none. */
  relation: string | null;
  may_read: boolean | null;
  unread: number;
};

const QUEUES = `
select s.queue_name, s.handler, s.enabled, s.max_reads, (extract(epoch from s.retry_after) * 1000)::float8 as retry_after_ms,
  c.oid::regclass::text as relation, has_table_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage') as may_read,
  (select count(*) from (
    select from llmq.inbox as i where i.queue_name = s.queue_name and i.read_at is null limit ${COUNTED}
  ) as u)::float8 as unread
from llmq.shared_queues as s
left join (pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'pgmq')
  on c.relname = 'q_' || lower(s.queue_name)
order by s.queue_name
limit 100`;

type SetAsideRow = {
  id: string;
  queue_name: string;
  message_id: string | null;
  error: string;
  set_aside_at: Date;
  message: unknown;
};

/** The shared queues, and the hundred messages that were set aside last. */
export async function readQueues(read: Read, prompts: "show" | "hide"): Promise<Queues> {
  const rows = await read<QueueRow>(QUEUES);
  const queues: QueueSummary[] = [];
  for (const row of rows) {
    queues.push({
      name: row.queue_name,
      handler: row.handler,
      enabled: row.enabled,
      maxReads: row.max_reads,
      retryAfterMs: row.retry_after_ms,
      waiting: row.relation !== null && row.may_read === true ? await countWaiting(read, row.relation) : null,
      unread: row.unread,
    });
  }
  const setAside = await read<SetAsideRow>(
    `select s.id::text, s.queue_name, s.message_id::text, s.error, s.set_aside_at, s.message
     from llmq.set_aside as s order by s.id desc limit 100`,
  );
  return {
    hasPgmq: rows.some((row) => row.relation !== null),
    queues,
    setAside: setAside.map((row) => toMessage(row, prompts)),
  };
}

/** `relation` comes from regclass, which quotes it. */
async function countWaiting(read: Read, relation: string): Promise<number> {
  const [row] = await read<{ waiting: number }>(
    `select count(*)::float8 as waiting from (select from ${relation} limit ${COUNTED}) as q`,
  );
  return row?.waiting ?? 0;
}

function toMessage(row: SetAsideRow, prompts: "show" | "hide"): SetAsideMessage {
  return {
    id: row.id,
    queueName: row.queue_name,
    messageId: row.message_id,
    error: row.error,
    setAsideAt: row.set_aside_at.toISOString(),
    message: prompts === "show" ? row.message : null,
  };
}
