import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createResultChannels, resultChannel } from "../../src/client/result-channels.ts";
import type { TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { complete, createClientDatabase } from "./support.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createClientDatabase();
});
afterAll(() => database.drop());

function openChannels(connectionString: string | null) {
  const finished: { channel: string; ids: string[] }[] = [];
  const listening: (string | null)[] = [];
  const channels = createResultChannels({
    connectionString,
    onFinished: (channel, ids) => void finished.push({ channel, ids }),
    onListening: (agentId) => void listening.push(agentId),
    logger: pino({ level: "silent" }),
  });
  return { channels, finished, listening };
}

test("an agent that is watched is told of its finished requests, several with one notification", async () => {
  const { channels, finished, listening } = openChannels(database.url);
  const agentId = 'a "strange", agent';
  channels.watch(agentId);
  await eventually(() => channels.isNotified && listening.includes(agentId));
  const rows = await database.query(
    `select llmq.submit_llm_requests(jsonb_agg(jsonb_build_object(
       'agent_id', $1::text, 'task_type', 'chat', 'messages', '[{"role": "user", "content": "x"}]'::jsonb))) as id
     from generate_series(1, 3)`,
    [agentId],
  );
  const ids = rows.map((row) => row.id as string);
  await complete(database, ids[0] as string);
  await database.query(
    `select llmq.complete_llm_requests(jsonb_agg(jsonb_build_object(
       'request_id', i.id, 'claim_id', llmq.mark_processing(i.id), 'response', 'x', 'calls', '[]'::jsonb)))
     from unnest($1::uuid[]) as i (id)`,
    [ids.slice(1)],
  );
  await eventually(() => finished.length === 2);
  expect(finished.flatMap((one) => one.ids).toSorted()).toEqual(ids.toSorted());
  expect(finished[0]?.channel).toBe(resultChannel(agentId));
  await channels.close();
  expect(channels.isNotified).toBe(false);
});

test("channels that fell idle are kept for the next request, but not without end", async () => {
  const { channels, finished, listening } = openChannels(database.url);
  const unwatchKept = channels.watch("kept");
  channels.watch("kept");
  for (let index = 0; index < 100; index++) channels.watch(`agent ${index}`)();
  unwatchKept();
  unwatchKept();
  channels.watch("last");
  await eventually(() => channels.isNotified && listening.includes("last"));
  for (const agentId of ["agent 0", "agent 35", "agent 36", "agent 99", "kept", "last"]) {
    await database.query("select pg_notify($1, 'id')", [resultChannel(agentId)]);
  }
  await eventually(() => finished.some((one) => one.channel === resultChannel("last")));
  expect(finished.map((one) => one.channel)).toEqual(
    ["agent 36", "agent 99", "kept", "last"].map(resultChannel),
  );
  await channels.close();
});

test("without an address nothing is listened to, and watching does no harm", async () => {
  const { channels } = openChannels(null);
  channels.watch("ada")();
  expect(channels.isNotified).toBe(false);
  await channels.close();
});

test("an address nobody answers means polling, not an error", async () => {
  const { channels, listening } = openChannels("postgres://127.0.0.1:1/nothing");
  channels.watch("ada")();
  expect(channels.isNotified).toBe(false);
  await channels.close();
  expect(listening).toEqual(["ada"].slice(listening.length === 0 ? 1 : 0));
});
