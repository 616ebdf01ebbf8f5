/** What docs/sizing.md is made of: disk for each finished request, and memory for each call in flight. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import type { Benchmark, Figure } from "./benchmark.ts";
import { payload } from "./payload.ts";
import type { BenchDatabase } from "./server.ts";
import { createLlmqSide, drain, fill } from "./sides.ts";
import { median } from "./statistics.ts";

const IN_FLIGHT = 1_000;

export const sizing: Benchmark = {
  name: "sizing",
  async run({ server, rounds, quick, progress }): Promise<Figure[]> {
    const figure = (name: string, unit: string, llmq: number): Figure => {
      return { name, unit, llmq, peer: null, ratio: null, target: null };
    };
    const database = await server.createDatabase();
    const disk = await diskOf(database, quick ? 5_000 : 50_000);
    await database.drop();
    const memory: { idle: number; perCall: number }[] = [];
    for (let round = 0; round < Math.min(rounds, 3); round += 1) {
      progress(`memory with ${IN_FLIGHT} calls in flight`);
      memory.push(await memoryOf(server.createDatabase()));
    }
    return [
      ...Object.entries(disk).map(([what, bytes]) =>
        figure(`disk for a finished request: ${what}`, "bytes", bytes),
      ),
      figure("memory of an idle orchestrator", "MiB", median(memory.map((one) => one.idle)) / 2 ** 20),
      figure("memory for a call in flight", "KiB", median(memory.map((one) => one.perCall)) / 1024),
    ];
  },
};

/** Tables with their indexes, once all requests are finished and vacuum has been there. */
async function diskOf(database: BenchDatabase, count: number): Promise<Record<string, number>> {
  const client = await database.connect();
  const before = await sizes(client);
  const side = await createLlmqSide(client);
  await fill(side, client, count);
  await drain(side, [client], count, 50);
  await client.query("vacuum");
  const after = await sizes(client);
  return Object.fromEntries(
    Object.entries(after).map(([what, bytes]) => [what, (bytes - (before[what] ?? 0)) / count]),
  );
}

async function sizes(client: pg.Client): Promise<Record<string, number>> {
  const { rows } = await client.query<{ what: string; bytes: string }>(`
    select case
        when n.nspname = 'pgmq' then 'its archived copy in pgmq'
        when c.relname like 'requests%' then 'prompt (requests)'
        when c.relname like 'results%' then 'answer (results)'
        when c.relname like 'attempts%' then 'ledger (attempts)'
      end as what, sum(pg_total_relation_size(c.oid)) as bytes
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind = 'r'
      and (n.nspname = 'llmq' and c.relname ~ '^(requests|results|attempts)' or n.nspname = 'pgmq' and c.relname = 'a_llm_requests')
    group by 1`);
  return Object.fromEntries(rows.map((row) => [row.what, Number(row.bytes)]));
}

/** Resident memory of the built program without calls, and what each of many adds: it waits for a provider that is silent. */
async function memoryOf(made: Promise<BenchDatabase>): Promise<{ idle: number; perCall: number }> {
  const database = await made;
  const provider = createServer(() => undefined);
  await new Promise<void>((resolve) => provider.listen(0, "127.0.0.1", resolve));
  const client = await database.connect();
  await client.query("select llmq.configure_provider('silent', 'openai-compatible', $1)", [
    `http://127.0.0.1:${(provider.address() as AddressInfo).port}/v1`,
  ]);
  await client.query("select llmq.configure_model('silent', 'silent')");
  const { child, url } = await startProgram(database.url);
  try {
    // Until what the start needed is collected.
    await sleep(5_000);
    const idle = await metric(url, "process_resident_memory_bytes");
    const requests = Array.from({ length: IN_FLIGHT }, (_, n) => ({ ...payload(n), model: "silent" }));
    await client.query("select llmq.submit_llm_requests($1)", [JSON.stringify(requests)]);
    while ((await metric(url, "llmq_requests_in_flight")) < IN_FLIGHT) await sleep(100);
    await sleep(5_000);
    const busy = await metric(url, "process_resident_memory_bytes");
    return { idle, perCall: (busy - idle) / IN_FLIGHT };
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
    provider.closeAllConnections();
    provider.close();
    await database.drop();
  }
}

/** `llmq start` as the package has it: `npm run build` makes it. */
async function startProgram(databaseUrl: string): Promise<{ child: ChildProcess; url: string }> {
  const program = fileURLToPath(new URL("../dist/cli.js", import.meta.url));
  const env = {
    PATH: process.env.PATH,
    DATABASE_URL: databaseUrl,
    LLMQ_HTTP_PORT: "0",
    NODE_ENV: "production",
  };
  const child = spawn(process.execPath, [program, "start"], { env, stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      log += text;
      const found = /"url":"([^"]+)"/.exec(log)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once("exit", () => reject(new Error(`the program ended (npm run build makes it): ${log}`)));
  });
  return { child, url };
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "m").exec(text)?.[1] ?? Number.NaN);
}
