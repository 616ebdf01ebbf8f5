/**
 * npm run bench [-- names] [--rounds N] [--quick] [--json]
 *
 * Measures llmq beside raw pgmq in the same run, on an embedded server with fsync on and every feature on.
 * Figures of different machines, or of different runs, say little; the ratios within a run do.
 */
import { parseArgs } from "node:util";
import type { Benchmark, Figure } from "./benchmark.ts";
import { claimDepth } from "./depth.ts";
import { claimAndFinish } from "./finish.ts";
import { limits } from "./limits.ts";
import { neighbours } from "./neighbours.ts";
import { startLatency, wholePath } from "./path.ts";
import { peers } from "./peers.ts";
import { plainClaim } from "./plain.ts";
import { report, table } from "./report.ts";
import { startBenchServer } from "./server.ts";
import { shares } from "./shares.ts";
import { sizing } from "./sizing.ts";
import { heldSnapshot } from "./snapshot.ts";
import { submitInBulk, submitOneByOne } from "./submit.ts";
import { walPerRequest } from "./wal.ts";

const benchmarks: Benchmark[] = [
  submitOneByOne,
  submitInBulk,
  claimAndFinish,
  walPerRequest,
  startLatency,
  wholePath,
  claimDepth,
  heldSnapshot,
  sizing,
  limits,
  neighbours,
  shares,
  plainClaim,
  peers,
];

const usage = `usage: npm run bench [-- names] [--rounds N] [--quick] [--json]
names: ${benchmarks.map((one) => one.name).join(", ")} (all of them by default)
BENCH_DATABASE_URL: another server, as a superuser, instead of an embedded one`;

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { rounds: { type: "string" }, quick: { type: "boolean" }, json: { type: "boolean" } },
  });
  const { quick = false, json = false } = values;
  const rounds = Number(values.rounds ?? (quick ? 3 : 7));
  const chosen = benchmarks.filter((one) => positionals.length === 0 || positionals.includes(one.name));
  const unknown = positionals.find((name) => !benchmarks.some((one) => one.name === name));
  if (unknown !== undefined) throw new Error(`there is no benchmark ${unknown}`);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error("--rounds takes a number from 1");
  return { quick, json, rounds, chosen };
}

async function main({ quick, json, rounds, chosen }: ReturnType<typeof readArguments>): Promise<void> {
  const progress = (text: string) => process.stderr.write(`  ${text}\n`);
  progress("starting a server");
  const server = await startBenchServer();
  const figures: Figure[] = [];
  try {
    for (const benchmark of chosen) {
      process.stderr.write(`${benchmark.name}\n`);
      figures.push(...(await benchmark.run({ server, rounds, quick, progress })));
    }
  } finally {
    await server.stop();
  }
  const result = report(figures, server.facts, process.argv.slice(2));
  if (json) return console.log(JSON.stringify(result, null, 2));
  console.log(`${result.date}\n${result.command}`);
  console.log(`${Object.values(result.machine).join(", ")}`);
  console.log(
    `${Object.entries(result.server)
      .map(([name, value]) => `${name} ${value}`)
      .join(", ")}\n`,
  );
  console.log(table(figures));
}

try {
  await main(readArguments());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error(usage);
  process.exitCode = 1;
}
