import type pg from "pg";
import { type ClientOptions, createClient, type LlmqClient, type SubmitRequest } from "../../src/index.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

/** A database in which every request is routed to a model that nobody runs: tests finish what they submit. */
export async function createClientDatabase(): Promise<TestDatabase> {
  const database = await createTestDatabase();
  await database.query(`
    select llmq.configure_provider('sim', 'sim');
    select llmq.configure_model('small', 'sim');
    select llmq.configure_route('*', array['small']);
  `);
  return database;
}

export const hello = (content = "Hello"): SubmitRequest => ({
  agentId: "ada",
  taskType: "chat",
  messages: [{ role: "user", content }],
});

/** Finishes a pending request the way a worker would. */
export async function complete(
  on: { query(text: string, values?: unknown[]): Promise<unknown> },
  id: string,
  response = "Hi",
  parsedResponse: unknown = null,
) {
  await on.query("select llmq.mark_processing($1)", [id]);
  await on.query("select llmq.mark_completed($1, $2, $3)", [
    id,
    response,
    parsedResponse === null ? null : JSON.stringify(parsedResponse),
  ]);
}

export async function fail(on: TestDatabase, id: string, message: string) {
  await on.query("select llmq.mark_failed($1, 'exception', $2, llmq.mark_processing($1), false)", [
    id,
    message,
  ]);
}

/** A pool that keeps the texts of what it was asked, to count round trips. */
export function spyOn(pool: pg.Pool) {
  const statements: { text: string; values: unknown[] }[] = [];
  const original = pool.query.bind(pool) as (text: string, values?: unknown[]) => Promise<pg.QueryResult>;
  pool.query = ((text: string, values: unknown[] = []) => {
    statements.push({ text, values });
    return original(text, values);
  }) as typeof pool.query;
  const matching = (part: string) => statements.filter(({ text }) => text.includes(part));
  return { statements, matching };
}

/** Clients of one file, closed together. */
export function clientFactory(database: () => TestDatabase) {
  const open: LlmqClient[] = [];
  return {
    create(options: Partial<ClientOptions> = {}): LlmqClient {
      const address = options.pool === undefined ? { connectionString: database().url } : {};
      const client = createClient({ ...address, ...options });
      open.push(client);
      return client;
    },
    async closeAll() {
      await Promise.all(open.splice(0).map((client) => client.close()));
    },
  };
}
