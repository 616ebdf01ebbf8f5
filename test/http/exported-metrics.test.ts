/** docs/grafana and docs/prometheus against what a working orchestrator really exports. */
import { spawn, spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { root } from "../../scripts/sql-sources.ts";
import { readDatabaseMetrics } from "../../src/database/metrics.ts";
import { createMetrics } from "../../src/http/metrics.ts";
import { orchestrators } from "../orchestrator/support.ts";
import { submit } from "../sql/support.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { wellStats } from "./stats.ts";

type Panel = { title: string; type: string; description?: string; targets?: { expr: string }[] };
type Dashboard = {
  title: string;
  panels: Panel[];
  templating: { list: { query: string | { query: string } }[] };
};
type Rule = {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: Record<string, string>;
};

/** Given by Prometheus to whatever it scrapes, and by histograms to their buckets. */
const FREE_LABELS = ["job", "instance", "le"];

const running = orchestrators();
let database: TestDatabase;
let scrape: string;
/** What is exported: names, each with the labels of its samples. */
let exported: Map<string, Set<string>>;
let dashboard: Dashboard;
let rules: Rule[];

/** One orchestrator that answered, failed, met an outage, lets one wait, and has limits and a budget to tell of. */
beforeAll(async () => {
  database = await createTestDatabase();
  await database.query(`
    select llmq.configure_provider('sim', 'sim', requests_per_minute => 1000);
    select llmq.configure_model('good', 'sim', max_concurrency => 100);
    select llmq.configure_model('down', 'sim', options => '{"sim": {"error": {"class": "transient"}}}');
    select llmq.configure_model('paused', 'sim', paused => true);
    select llmq.configure_route('*', array['good']);
    select llmq.configure_agent('agent', daily_budget_usd => 1);
  `);
  const pool = database.pool();
  const metrics = createMetrics({ readDatabase: () => readDatabaseMetrics(pool), version: "1.2.3" });
  const { orchestrator } = await running.start({ url: database.url, observer: metrics.observer });
  await submit(pool);
  await submit(pool, { model: "down" });
  await submit(pool, { settings: { provider_options: { sim: { error: { class: "bad_request" } } } } });
  await submit(pool, { model: "paused" });
  scrape = await eventually(async () => {
    const text = await metrics.render(orchestrator.stats());
    return [
      'llmq_requests_finished_total{status="completed"',
      'llmq_requests_put_back_total{reason="retry"',
      'llmq_last_hour_requests{model="good",status="completed"} 1',
      'llmq_last_hour_requests{model="good",status="failed"} 1',
      'llmq_listeners{mode="listening"} 1',
    ].every((sample) => text.includes(sample))
      ? text
      : null;
  });
  exported = labelsOf(scrape);
  dashboard = JSON.parse(await readFile(`${root}docs/grafana/llmq.json`, "utf8"));
  const file = parse(await readFile(`${root}docs/prometheus/alerts.yaml`, "utf8")) as {
    groups: { rules: Rule[] }[];
  };
  rules = file.groups.flatMap((group) => group.rules);
});
afterAll(async () => {
  await running.stopAll();
  await database.drop();
});

function labelsOf(text: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const [, name] of text.matchAll(/^# TYPE (\S+)/gm)) found.set(name as string, new Set());
  for (const [, name, labels] of text.matchAll(/^([a-z]\w*)(?:\{(.*)\})? \S+$/gm)) {
    const known = found.get(name as string) ?? new Set();
    for (const [, label] of (labels ?? "").matchAll(/(\w+)="/g)) known.add(label as string);
    found.set(name as string, known);
  }
  return found;
}

/** Whatever an expression asks for that is not exported. */
function unknownIn(expr: string): string[] {
  const unknown: string[] = [];
  const lists = [...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap((list) =>
    (list[1] as string).split(/,\s*/),
  );
  const bare = expr.replaceAll(/\b(?:by|on) \([^)]*\)/g, "");
  const asked = [...bare.matchAll(/\b((?:llmq|gen_ai|nodejs|process)_\w+)(?:\{([^}]*)\})?/g)];
  const labels = new Set(FREE_LABELS);
  for (const [, name, selector] of asked) {
    const own = exported.get(name as string);
    if (own === undefined) unknown.push(name as string);
    for (const label of own ?? []) labels.add(label);
    for (const [, label] of (selector ?? "").matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)) {
      if (!own?.has(label as string) && !FREE_LABELS.includes(label as string))
        unknown.push(`${name}.${label}`);
    }
  }
  unknown.push(...lists.filter((label) => !labels.has(label)));
  return asked.length === 0 ? ["no metric at all"] : unknown;
}

describe("the Grafana dashboard", () => {
  test("asks only for metrics and labels that are exported", () => {
    const expressions = dashboard.panels.flatMap((panel) => panel.targets ?? []).map((target) => target.expr);
    const queries = dashboard.templating.list.flatMap(({ query }) =>
      typeof query === "string" ? [] : [query.query],
    );
    expect(expressions.length).toBeGreaterThan(30);
    const unknown = expressions.map((expr) => [expr, unknownIn(expr)]).filter(([, found]) => found?.length);
    expect(unknown).toEqual([]);
    expect(queries.flatMap((query) => unknownIn(query.replace(/, (\w+)\)$/, ")")))).toEqual([]);
  });

  test("says of every panel what it shows, and nothing of this machine", () => {
    const silent = dashboard.panels.filter((panel) => panel.type !== "row" && !panel.description);
    expect(silent.map((panel) => panel.title)).toEqual([]);
    expect(dashboard).not.toHaveProperty("id");
  });
});

describe("the alert rules", () => {
  test("ask only for metrics and labels that are exported", () => {
    expect(rules.length).toBeGreaterThan(10);
    expect(
      rules.map(({ alert, expr }) => [alert, unknownIn(expr)]).filter(([, found]) => found?.length),
    ).toEqual([]);
  });

  test("have a severity, and say what is wrong and what to do", () => {
    const odd = rules.filter(
      ({ labels, annotations }) =>
        !["info", "warning", "critical"].includes(labels.severity) ||
        !annotations.summary ||
        !annotations.description,
    );
    expect(odd.map((rule) => rule.alert)).toEqual([]);
  });

  test("name views that exist", async () => {
    const named = JSON.stringify(rules).match(/llmq\.\w+/g) ?? [];
    for (const name of new Set(named)) {
      const [row] = await database.query(
        "select to_regclass($1) is not null or to_regproc($1) is not null as there",
        [name],
      );
      expect(row, name).toEqual({ there: true });
    }
  });
});

test("a database that does not answer in time costs a scrape its gauges, and nothing else", async () => {
  const pool = database.pool({ max: 1 });
  const metrics = createMetrics({ readDatabase: () => readDatabaseMetrics(pool, 100) });
  const blocker = await database.connect();
  await blocker.query("begin; lock table llmq.agents in access exclusive mode");
  const without = await metrics.render(wellStats());
  expect(without).toContain("llmq_database_up 0\n");
  expect(without).toContain("llmq_scrape_errors_total 1\n");
  expect(without).toContain("llmq_requests_in_flight 3\n");
  expect(without).not.toMatch(/^llmq_partitions_ahead /m);
  await blocker.query("rollback");
  // The server ended the statement: the connection is free again.
  expect(await metrics.render(wellStats())).toMatch(/^llmq_partitions_ahead 4$/m);
});

describe("every metric", () => {
  test("is in docs/operations.md, and no other", async () => {
    const page = await readFile(`${root}docs/operations.md`, "utf8");
    const own = [...scrape.matchAll(/^# TYPE ((?:llmq|gen_ai)_\S+)/gm)].map((found) => found[1] as string);
    const documented = new Set(page.match(/\b(?:llmq_[a-z_]+|gen_ai_client_[a-z_]+)\b(?=[`{])/g));
    expect(own.filter((name) => !documented.has(name))).toEqual([]);
    const roles = ["llmq_client", "llmq_worker", "llmq_reader", "llmq_admin"];
    const unknown = [...documented].filter((name) => !own.includes(name) && !roles.includes(name));
    expect(unknown).toEqual([]);
  });

  test("names no request and no prompt", () => {
    expect(scrape).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(scrape).not.toContain("hello");
  });
});

const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;

describe.skipIf(!hasPromtool)("promtool (Debian's package prometheus) accepts", () => {
  function promtool(args: string[], input = ""): Promise<{ code: number | null; said: string }> {
    return new Promise((resolve, reject) => {
      const child = spawn("promtool", args);
      let said = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (more: string) => {
          said += more;
        });
      }
      child.once("error", reject).once("close", (code) => resolve({ code, said }));
      child.stdin.end(input);
    });
  }

  test("the alert rules", async () => {
    const { code, said } = await promtool(["check", "rules", `${root}docs/prometheus/alerts.yaml`]);
    expect(code, said).toBe(0);
  });

  test("the names, units and help of our metrics", async () => {
    const ours = scrape.replaceAll(/^(?:# (?:HELP|TYPE) )?(?:nodejs|process)_.*\n/gm, "");
    const { code, said } = await promtool(["check", "metrics"], ours);
    expect({ code, said }).toEqual({ code: 0, said: "" });
  });
});
