/** Orchestrators under test: started with short intervals, observed, and stopped with their file. */
import { pino } from "pino";
import { createAnswerChecker } from "../../src/answer/answer-checker.ts";
import { createPool } from "../../src/database/pool.ts";
import type { ClaimedRequest } from "../../src/database/queue.ts";
import { createOrchestrator, type OrchestratorOptions } from "../../src/orchestrator/orchestrator.ts";
import { createProviders } from "../../src/providers/registry.ts";
import type { TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";

export type LogLine = { level: number; msg: string; [field: string]: unknown };
export type Row = Record<string, unknown>;

/** A logger that keeps what was logged. */
export function memoryLogger() {
  const lines: LogLine[] = [];
  const logger = pino({ level: "debug" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { logger, lines };
}

export type StartOptions = Partial<OrchestratorOptions> & { url: string; poolSize?: number };

/** Starts orchestrators and stops them all. */
export function orchestrators() {
  const open: (() => Promise<void>)[] = [];
  return {
    async start({ url, poolSize, ...options }: StartOptions) {
      const { logger, lines } = memoryLogger();
      const pool = createPool({
        connectionString: url,
        max: poolSize ?? 8,
        applicationName: "orchestrator under test",
        logger,
      });
      const providers = createProviders({ env: { KEY: "sk-test" } });
      const started: ClaimedRequest[] = [];
      const orchestrator = createOrchestrator({
        pool,
        checker: createAnswerChecker(),
        providers,
        logger,
        listenUrl: url,
        pollIntervalMs: 50,
        batchSize: 50,
        concurrency: 1_000,
        heartbeatIntervalMs: 1_000,
        retentionDays: 90,
        observer: { started: (request) => void started.push(request) },
        ...options,
      });
      let stopping: Promise<void> | null = null;
      const stop = (graceMs = 0) => {
        const stopped = orchestrator.stop(graceMs);
        stopping ??= stopped.then(async () => {
          await providers.close();
          await pool.end();
        });
        return stopping;
      };
      open.push(stop);
      await orchestrator.start();
      return { orchestrator, lines, started, pool, stop };
    },
    async stopAll() {
      await Promise.all(open.splice(0).map((stop) => stop()));
    },
  };
}

/** One model `sim` that every request is routed to; retries come after 10 to 20 ms. */
export async function configureSim(database: Pick<TestDatabase, "query">): Promise<void> {
  await database.query(`
    select llmq.configure_provider('sim', 'sim');
    select llmq.configure_model('sim', 'sim');
    select llmq.configure_route('*', array['sim']);
    update llmq.settings set value = '"20 milliseconds"' where name = 'retry_base';
  `);
}

/** A model behind an HTTP server of the test's own. */
export async function configureHttp(
  database: Pick<TestDatabase, "query">,
  name: string,
  url: string,
): Promise<void> {
  await database.query("select llmq.configure_provider($1, 'openai-compatible', $2, 'KEY')", [
    name,
    `${url}/v1`,
  ]);
  await database.query("select llmq.configure_model($1, $1)", [name]);
}

/** What a request needs, and over it what the test gives. `sim` goes where the simulated model looks. */
export function request({ sim, settings, ...given }: Row & { sim?: Row; settings?: Row } = {}): Row {
  return {
    agent_id: "agent",
    task_type: "task",
    messages: [{ role: "user", content: "hello" }],
    settings: { ...settings, ...(sim && { provider_options: { sim } }) },
    ...given,
  };
}

export async function submitMany(database: Pick<TestDatabase, "query">, requests: Row[]): Promise<string[]> {
  const rows = await database.query("select s.id from llmq.submit_llm_requests($1) as s (id)", [
    JSON.stringify(requests),
  ]);
  return rows.map((row) => row.id as string);
}

export async function submit(
  database: Pick<TestDatabase, "query">,
  given: Parameters<typeof request>[0] = {},
): Promise<string> {
  const [id] = await submitMany(database, [request(given)]);
  return id as string;
}

export async function rowOf(database: Pick<TestDatabase, "query">, id: string): Promise<Row> {
  const [row] = await database.query("select * from llmq.llm_requests where id = $1", [id]);
  if (row === undefined) throw new Error(`there is no request ${id}`);
  return row;
}

/** Waits until the request is in this status (one of the final ones when left out), and answers its row. */
export function untilStatus(
  database: Pick<TestDatabase, "query">,
  id: string,
  status?: string,
): Promise<Row> {
  return eventually(
    async () => {
      const row = await rowOf(database, id);
      const there = status === undefined ? row.finished_at !== null : row.status === status;
      return there ? row : undefined;
    },
    { what: `request ${id} in status ${status ?? "finished"}` },
  );
}

export function untilFinished(database: Pick<TestDatabase, "query">, count: number): Promise<true> {
  return eventually(
    async () => {
      const [row] = await database.query("select count(*)::int as n from llmq.results");
      if (row?.n === count) return true as const;
      throw new Error(`${row?.n} of ${count} are finished`);
    },
    { what: `${count} finished requests` },
  );
}

/** Outcomes in the ledger, in order. */
export async function ledgerOf(database: Pick<TestDatabase, "query">, id: string): Promise<unknown[]> {
  const rows = await database.query(
    "select outcome, number from llmq.attempts where request_id = $1 order by number",
    [id],
  );
  return rows.map((row) => row.outcome);
}

/** Every request in exactly one place, ledger rows numbered 1, 2, ..., and the counters in agreement. */
export async function expectConsistent(database: Pick<TestDatabase, "query">, submitted: number) {
  const rows = await database.query(`
    select r.id, f.calls,
      (select count(*)::int from llmq.queue as q where q.id = r.id)
        + (select count(*)::int from llmq.in_flight as h where h.id = r.id) as queued,
      (select count(*)::int from llmq.results as x where x.id = r.id) as finished,
      coalesce((select array_agg(a.number order by a.number) from llmq.attempts as a where a.request_id = r.id), '{}') as numbers
    from llmq.requests as r left join llmq.results as f on f.id = r.id`);
  const wrong = rows.filter(
    (row) =>
      row.queued !== 0 ||
      row.finished !== 1 ||
      row.calls !== row.numbers.length ||
      row.numbers.some((number: number, index: number) => number !== index + 1),
  );
  if (wrong.length > 0) throw new Error(`inconsistent: ${JSON.stringify(wrong)}`);
  if (rows.length !== submitted) throw new Error(`${rows.length} requests instead of ${submitted}`);
}
