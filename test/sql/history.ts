/** A database after years of use, and what its plans cost: for tests of plans. */
import type pg from "pg";

const finished = 180_000;
const waiting = 20_000;

/**
 * 180,000 finished requests of the last 80 days (one in 38 seconds), with a call each, and 20,000 that wait. One in 25
 * failed, one in 50 called a tool, one call in 500 met an outage. Ids and times are in the temporary table `made`. Wants the models of `configureModels`.
 */
export async function makeHistory(client: pg.Client): Promise<void> {
  await client.query("set synchronous_commit = off; set session_replication_role = replica");
  await client.query(`
    create temp table made as
    select n,
      (left(llmq.uuid_v7_floor(now() - case when n <= ${finished} then (${finished} - n) * interval '38 s' else interval '0' end)::text, 15)
        || lpad(to_hex(n % 4096), 3, '0') || substr(gen_random_uuid()::text, 19))::uuid as id,
      now() - case when n <= ${finished} then (${finished} - n) * interval '38 s' else interval '0' end as at
    from generate_series(1, ${finished + waiting}) as n`);
  await client.query(`
    insert into llmq.requests (id, messages, context, settings)
    select id, '[{"role": "user", "content": "x"}]', '{}', '{}' from made`);
  await client.query(`
    insert into llmq.results (
      id, agent_id, task_type, complexity, priority, status, error_type, model, provider, max_attempts, created_at, run_at,
      started_at, finished_at, input_tokens, output_tokens, cost_usd, response, parsed_response
    )
    select
      id, 'agent ' || n % 100, 'task ' || n % 50, 'simple', 0, case when n % 25 = 0 then 'failed' else 'completed' end,
      case when n % 25 = 0 then 'refused' end, 'first', 'sim', 8, at, at, at + interval '1 s', at + interval '5 s', 100, 20, 0.001,
      repeat('x', 400),
      case when n % 50 = 1 then '{"tool_calls": [{"id": "c", "tool_name": "look", "params": {}}], "final_response": null}'::jsonb end
    from made where n <= ${finished}`);
  await client.query(`
    insert into llmq.attempts (request_id, number, model, provider, outcome, started_at, finished_at, latency_ms, first_byte_ms)
    select id, 1, 'first', 'sim', case when n % 25 = 0 then 'refused' when n % 500 = 1 then 'transient' else 'answered' end,
      at + interval '1 s', at + interval '5 s', 4000, 500
    from made where n <= ${finished}`);
  await client.query(`
    insert into llmq.queue (id, lane, priority, tag, run_at, created_at, max_attempts, agent_id, task_type, complexity)
    select id, lane, 0, n, at, at, 8, 'agent ' || n % 100, 'task ' || n % 50, 'simple'
    from made, llmq.models where name = 'first' and n > ${finished}`);
  await client.query(
    "insert into llmq.lane_marks (lane, priority) select lane, 0 from llmq.models on conflict do nothing",
  );
  await client.query("reset session_replication_role");
  await client.query(
    "analyze llmq.requests; analyze llmq.results; analyze llmq.attempts; analyze llmq.queue",
  );
}

export type PlanNode = {
  "Node Type": string;
  "Relation Name"?: string;
  "Actual Rows"?: number;
  "Actual Loops"?: number;
  "Shared Hit Blocks": number;
  "Shared Read Blocks": number;
  Plans?: PlanNode[];
};
const flatten = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(flatten)];

/** Runs it; `blocks` are all pages it touched, whether they came from memory or not. */
export async function explainAnalyzed(
  client: pg.Client,
  query: string,
): Promise<{ nodes: PlanNode[]; blocks: number }> {
  const { rows } = await client.query(`explain (analyze, buffers, format json) ${query}`);
  const root = rows[0]?.["QUERY PLAN"][0].Plan as PlanNode;
  return { nodes: flatten(root), blocks: root["Shared Hit Blocks"] + root["Shared Read Blocks"] };
}
