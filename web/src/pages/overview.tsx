import { useState } from "preact/hooks";
import type { Activity, Overview, WorkerSummary } from "../../../src/http/dashboard/api-types.ts";
import { Empty, Page, Panel, Time } from "../components/bits.tsx";
import { Chart } from "../components/chart.tsx";
import { type Column, DataTable } from "../components/data-table.tsx";
import { age, count, duration, money, NONE, percent, plural } from "../format.ts";
import { now, overview } from "../live.ts";
import { link } from "../router.ts";
import { type Split, seriesOf } from "./overview-series.ts";

const SPLITS: { value: Split; name: string }[] = [
  { value: "all", name: "Together" },
  { value: "models", name: "By model" },
  { value: "agents", name: "By agent" },
];

export function OverviewPage() {
  const data = overview.value;
  if (data === null) {
    return (
      <Page title="Overview">
        <p class="muted">Reading the last half hour …</p>
      </Page>
    );
  }
  return (
    <Page
      title="Overview"
      lead={`The last ${Math.round((Date.parse(data.at) / 1000 - data.since) / 60)} minutes, live`}
    >
      <Tiles data={data} />
      <Charts data={data} />
      <div class="columns">
        <ActivityPanel title="Models" parameter="model" rows={data.models} />
        <ActivityPanel title="Agents" parameter="agent" rows={data.agents.slice(0, 15)} />
      </div>
      <Workers workers={data.workers} />
    </Page>
  );
}

function Tiles({ data }: { data: Overview }) {
  const { depth, total } = data;
  const ended = total.completed + total.failed;
  const oldest = depth.oldestPendingAt === null ? null : now.value - Date.parse(depth.oldestPendingAt);
  return (
    <dl class="tiles">
      <Tile
        name="Waiting"
        value={count(depth.pending)}
        note={oldest === null ? "nothing waits" : `oldest ${age(oldest)}`}
      />
      <Tile
        name="Running"
        value={count(depth.processing)}
        note={plural(data.workers.filter(({ alive }) => alive).length, "orchestrator")}
      />
      <Tile name="Completed" value={count(total.completed)} note={`${count(total.cancelled)} cancelled`} />
      <Tile
        name="Failed"
        value={count(total.failed)}
        note={ended === 0 ? "nothing ended yet" : `${percent(total.failed / ended)} of what ended`}
        isBad={total.failed > 0}
      />
      <Tile name="Latency, p95" value={duration(total.p95Ms)} note={`half within ${duration(total.p50Ms)}`} />
      {total.costUsd === null ? (
        <Tile name="Tokens" value={count(total.tokens)} note="no costs are known" />
      ) : (
        <Tile name="Cost" value={money(total.costUsd)} note={`${count(total.tokens)} tokens`} />
      )}
    </dl>
  );
}

function Tile({
  name,
  value,
  note,
  isBad = false,
}: {
  name: string;
  value: string;
  note: string;
  isBad?: boolean;
}) {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd class={isBad ? "tile-value bad" : "tile-value"}>{value}</dd>
      <dd class="muted">{note}</dd>
    </div>
  );
}

function Charts({ data }: { data: Overview }) {
  const [split, setSplit] = useState<Split>("all");
  const series = seriesOf(data, split);
  const hasCost = data.total.costUsd !== null;
  return (
    <section aria-label="Charts">
      <fieldset class="segments">
        <legend class="sr-only">Show the charts</legend>
        {SPLITS.map(({ value, name }) => (
          <label key={value}>
            <input type="radio" name="split" checked={split === value} onChange={() => setSplit(value)} />
            <span>{name}</span>
          </label>
        ))}
      </fieldset>
      <div class="charts">
        <Chart
          title="Open requests"
          note={series.depth[0]?.values.includes(null) ? "seen while a page is open" : undefined}
          times={series.times}
          lines={series.depth}
          format={count}
        />
        <Chart title="Ended per minute" times={series.times} lines={series.rates} format={rate} />
        <Chart
          title={split === "all" ? "From submit to end" : "From submit to end, p95"}
          times={series.times}
          lines={series.latency}
          format={duration}
        />
        {hasCost ? (
          <Chart title="Cost per minute" times={series.times} lines={series.cost} format={money} />
        ) : (
          <Chart title="Tokens per minute" times={series.times} lines={series.tokens} format={count} />
        )}
      </div>
    </section>
  );
}

function rate(value: number | null): string {
  return value === null ? NONE : count(Math.round(value));
}

function ActivityPanel({
  title,
  parameter,
  rows,
}: {
  title: string;
  parameter: "model" | "agent";
  rows: Activity[];
}) {
  const columns: Column<Activity>[] = [
    {
      title: title.slice(0, -1),
      grows: true,
      cell: ({ name }) => <a href={link("/requests", { [parameter]: name })}>{name}</a>,
    },
    { title: "Waiting", align: "end", cell: ({ pending }) => count(pending) },
    { title: "Running", align: "end", cell: ({ processing }) => count(processing) },
    { title: "Completed", align: "end", cell: ({ completed }) => count(completed) },
    {
      title: "Failed",
      align: "end",
      cell: ({ name, failed }) =>
        failed === 0 ? (
          "0"
        ) : (
          <a class="bad" href={link("/requests", { [parameter]: name, status: "failed" })}>
            {count(failed)}
          </a>
        ),
    },
    { title: "p95", align: "end", cell: ({ p95Ms }) => duration(p95Ms) },
    rows.some(({ costUsd }) => costUsd !== null)
      ? { title: "Cost", align: "end", cell: ({ costUsd }) => money(costUsd) }
      : { title: "Tokens", align: "end", cell: ({ tokens }) => count(tokens) },
  ];
  return (
    <Panel title={title}>
      {rows.length === 0 ? (
        <Empty title={`No ${title.toLowerCase()} in this time`}>
          <p>Submit a request: select llmq.submit_llm_request(…);</p>
        </Empty>
      ) : (
        <DataTable
          caption={`${title}, busiest first`}
          columns={columns}
          rows={rows}
          keyOf={({ name }) => name}
        />
      )}
    </Panel>
  );
}

const WORKER_COLUMNS: Column<WorkerSummary>[] = [
  { title: "Orchestrator", grows: true, cell: ({ name }) => <span class="mono">{name}</span> },
  {
    title: "State",
    cell: ({ alive, stopping }) =>
      alive ? (
        <span class="status status-completed">{stopping ? "stopping" : "alive"}</span>
      ) : (
        <span class="status status-failed">lost</span>
      ),
  },
  {
    title: "In flight",
    align: "end",
    cell: ({ inFlight, concurrency }) => `${count(inFlight)} of ${count(concurrency)}`,
  },
  { title: "Notifications", cell: ({ listener }) => listener ?? NONE },
  { title: "Started", cell: ({ startedAt }) => <Time iso={startedAt} /> },
  { title: "Last sign of life", cell: ({ heartbeatAt }) => <Time iso={heartbeatAt} /> },
  { title: "Version", cell: ({ version }) => version ?? NONE },
];

function Workers({ workers }: { workers: WorkerSummary[] }) {
  return (
    <Panel title="Orchestrators">
      {workers.length === 0 ? (
        <Empty title="No orchestrator is alive">
          <p>
            Nothing is claimed until one is. Start it: <code>llmq start</code>
          </p>
        </Empty>
      ) : (
        <DataTable
          caption="Orchestrators"
          columns={WORKER_COLUMNS}
          rows={workers}
          keyOf={({ name, startedAt }) => name + startedAt}
        />
      )}
    </Panel>
  );
}
