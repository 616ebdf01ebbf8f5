/**
 * npm run bench [-- name ...] [--quick] [--rounds N] [--json]
 *
 * Each benchmark runs llmq and its peer in turn on one server of its own and prints the ratio of medians.
 */
import { parseArgs } from "node:util";
import { claimDepth } from "./depth.ts";
import { claimAndFinish, walPerRequest } from "./finish.ts";
import { startLatency, wholePath } from "./path.ts";
import { heldSnapshot } from "./snapshot.ts";
import { submitInBulk, submitOneByOne } from "./submit.ts";
import { type Bench, type Figure, machine, withBench } from "./support.ts";

const BENCHMARKS: Record<string, (bench: Bench) => Promise<Figure[]>> = {
  submit: submitOneByOne,
  bulk: submitInBulk,
  finish: claimAndFinish,
  wal: walPerRequest,
  latency: startLatency,
  path: wholePath,
  depth: claimDepth,
  snapshot: heldSnapshot,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string", default: "5" },
    json: { type: "boolean", default: false },
  },
});
const names = positionals.length > 0 ? positionals : Object.keys(BENCHMARKS);
const unknown = names.filter((name) => !(name in BENCHMARKS));
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(", ")}. There are: ${Object.keys(BENCHMARKS).join(", ")}`);
  process.exit(2);
}

const figures: Figure[] = [];
for (const name of names) {
  if (!values.json) console.error(`${name} ...`);
  const benchmark = BENCHMARKS[name];
  if (benchmark === undefined) continue;
  figures.push(...(await withBench({ quick: values.quick, rounds: Number(values.rounds) }, benchmark)));
}
if (values.json) {
  const command = ["npm run bench --", ...process.argv.slice(2)].join(" ");
  console.log(
    JSON.stringify({ machine: machine(), date: new Date().toISOString(), command, figures }, null, 2),
  );
} else {
  print(figures);
}

function print(rows: Figure[]): void {
  console.log(`${machine()}, ${new Date().toISOString().slice(0, 10)}\n`);
  console.log("| what | llmq | peer | ratio | target | |\n|---|---:|---:|---:|---|---|");
  for (const { name, unit, llmq, peer, ratio, target, ok } of rows) {
    const cells = [
      name,
      `${round(llmq)} ${unit}`,
      peer === null ? "" : `${round(peer)} ${unit}`,
      ratio === null ? "" : ratio.toFixed(2),
      target,
      ok ? "ok" : "MISSED",
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

function round(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
}
