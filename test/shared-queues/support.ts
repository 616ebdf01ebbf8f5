import { pino } from "pino";
import { createAnswerChecker } from "../../src/answer/answer-checker.ts";
import {
  createSharedQueueLoop,
  type SharedQueueLoop,
  type SharedQueueLoopOptions,
} from "../../src/shared-queues/shared-queue-loop.ts";
import type { TestDatabase } from "../support/database.ts";

export type LogLine = { level: number; msg: string; [field: string]: unknown };

/** A logger that keeps what was logged. */
export function memoryLogger() {
  const lines: LogLine[] = [];
  const logger = pino({ level: "debug" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { logger, lines };
}

/** Loops of one file, stopped together. */
export function loopFactory(database: () => TestDatabase) {
  const open: SharedQueueLoop[] = [];
  const checker = createAnswerChecker();
  return {
    start(options: Partial<SharedQueueLoopOptions> = {}) {
      const { logger, lines } = memoryLogger();
      const loop = createSharedQueueLoop({
        pool: database().pool(),
        checker,
        logger,
        pollIntervalMs: 10,
        ...options,
      });
      open.push(loop);
      loop.start();
      return { loop, lines };
    },
    async stopAll() {
      await Promise.all(open.splice(0).map((loop) => loop.stop()));
    },
  };
}

/**
 * A queue of the DBA's own, whose handler appends to public.handled and calls `body` before. It takes the place
 * of one with this name, which a first try of the test has left.
 */
export async function createQueue(
  database: TestDatabase,
  name: string,
  options: { body?: string; maxReads?: number } = {},
) {
  await database.query(`
    create table if not exists public.handled (
      queue_name text, message_id bigint, message jsonb, pid int default pg_backend_pid(), place bigserial
    );
    delete from public.handled as h where h.queue_name = '${name}';
    delete from llmq.shared_queues as s where s.queue_name = '${name}';
    delete from llmq.set_aside as a where a.queue_name = '${name}';
    select pgmq.drop_queue(m.queue_name) from pgmq.meta as m where m.queue_name = '${name}';
    create or replace function public.handle_${name}(queue_name text, message_id bigint, message jsonb) returns void
    language plpgsql as $$
    begin
      ${options.body ?? ""}
      insert into public.handled values (queue_name, message_id, message);
    end $$;
    select pgmq.create('${name}');
    insert into llmq.shared_queues (queue_name, handler, max_reads, retry_after)
    values ('${name}', 'public.handle_${name}', ${options.maxReads ?? 5}, '1 hour');
  `);
}

export async function send(database: TestDatabase, queue: string, messages: unknown[]): Promise<string[]> {
  const rows = await database.query(
    "select s.id from pgmq.send_batch($1, array(select j.item from jsonb_array_elements($2) as j (item))) as s (id)",
    [queue, JSON.stringify(messages)],
  );
  return rows.map((row) => row.id);
}

export async function handled(database: TestDatabase, queue: string) {
  return await database.query(
    "select message_id, message, pid from public.handled where queue_name = $1 order by place",
    [queue],
  );
}

export async function setAside(database: TestDatabase, queue: string) {
  return await database.query(
    "select message_id, message, error from llmq.set_aside where queue_name = $1 order by id",
    [queue],
  );
}

/** Messages that are neither archived nor removed. */
export async function left(database: TestDatabase, queue: string): Promise<number> {
  const [row] = await database.query(`select count(*)::int as count from pgmq.q_${queue}`);
  return row?.count;
}

/** Makes hidden messages readable at once, in place of waiting for their time. */
export async function unhide(database: TestDatabase, queue: string) {
  await database.query(`update pgmq.q_${queue} set vt = clock_timestamp()`);
}
