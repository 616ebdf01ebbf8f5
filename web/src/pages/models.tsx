import type { ModelSummary } from "../../../src/http/dashboard/api-traffic-types.ts";
import { Empty, Meter, Page, Panel, Time } from "../components/bits.tsx";
import { type Column, DataTable } from "../components/data-table.tsx";
import { Problem } from "../components/notices.tsx";
import { PauseButton } from "../components/pause-button.tsx";
import { count, duration, money, percent, words } from "../format.ts";
import { useResource } from "../resource.ts";
import { link } from "../router.ts";

export function ModelsPage() {
  const { data, error, reload } = useResource<{ models: ModelSummary[] }>("/api/models");
  return (
    <Page title="Models" lead="Limits, breakers, and the last half hour">
      {error !== null && data === null && <Problem error={error} retry={reload} />}
      {data?.models.length === 0 && (
        <Empty title="No model is configured">
          <p>
            Add one: <code>select llmq.configure_model('small', 'openai', 'gpt-4.1-mini');</code>
          </p>
        </Empty>
      )}
      {data !== null && data.models.length > 0 && (
        <Panel title="All models">
          <DataTable
            caption="Models"
            columns={columnsOf(
              reload,
              data.models.some(({ activity }) => activity.costUsd !== null),
            )}
            rows={data.models}
            keyOf={({ name }) => name}
          />
        </Panel>
      )}
    </Page>
  );
}

function columnsOf(reload: () => void, hasCosts: boolean): Column<ModelSummary>[] {
  return [
    {
      title: "Model",
      cell: ({ name, provider, modelId }) => (
        <>
          <a href={link("/requests", { model: name })}>{name}</a>
          <span class="second">
            {provider}
            {modelId === name ? "" : ` · ${modelId}`}
          </span>
        </>
      ),
    },
    { title: "State", grows: true, cell: (model) => <State model={model} /> },
    { title: "Waiting", align: "end", cell: ({ activity }) => count(activity.pending) },
    {
      title: "Running",
      align: "end",
      cell: ({ activity, limits }) => <OfLimit value={activity.processing} limit={limits.maxConcurrency} />,
    },
    { title: "Completed", align: "end", cell: ({ activity }) => count(activity.completed) },
    {
      title: "Failed",
      align: "end",
      cell: ({ activity }) => <Failed model={activity.name} activity={activity} />,
    },
    { title: "p95", align: "end", cell: ({ activity }) => duration(activity.p95Ms) },
    hasCosts
      ? { title: "Cost", align: "end", cell: ({ activity }) => money(activity.costUsd) }
      : { title: "Tokens", align: "end", cell: ({ activity }) => count(activity.tokens) },
    { title: "Used per minute", cell: (model) => <Limits model={model} /> },
    {
      title: "Action",
      align: "end",
      cell: ({ name, paused }) => (
        <PauseButton kind="models" name={name} paused={paused} onChanged={reload} />
      ),
    },
  ];
}

function State({ model: { paused, providerPaused, breaker, provider } }: { model: ModelSummary }) {
  if (paused) return <span class="status status-cancelled">paused</span>;
  if (providerPaused) return <span class="status status-cancelled">provider {provider} paused</span>;
  if (breaker.state === "closed") {
    return (
      <>
        <span class="status status-completed">ready</span>
        {breaker.failures > 0 && <span class="second">{count(breaker.failures)} failures in a row</span>}
      </>
    );
  }
  return (
    <>
      {breaker.state === "cooling" ? (
        <span class="status status-failed">
          cooling, back <Time iso={breaker.coolingUntil} />
        </span>
      ) : (
        <span class="status status-pending">recovering, {count(breaker.admit)} at once</span>
      )}
      <span class="second" title={breaker.reason ?? undefined}>
        {[breaker.errorClass === null ? null : words(breaker.errorClass), breaker.reason]
          .filter(Boolean)
          .join(": ")}
      </span>
    </>
  );
}

function Failed({ model, activity }: { model: string; activity: ModelSummary["activity"] }) {
  const { failed, completed } = activity;
  if (failed === 0) return <>0</>;
  return (
    <a
      class="bad"
      href={link("/requests", { model, status: "failed" })}
      title={`${percent(failed / (failed + completed))} of what ended`}
    >
      {count(failed)}
    </a>
  );
}

function OfLimit({ value, limit }: { value: number; limit: number | null }) {
  return (
    <>
      {count(value)}
      {limit !== null && <span class="muted"> of {count(limit)}</span>}
    </>
  );
}

/** What was used of each limit in the last minute. */
function Limits({ model: { limits, used } }: { model: ModelSummary }) {
  const tokens = used === null ? null : used.inputTokens + used.outputTokens;
  const rows: [name: string, used: number | null, limit: number | null][] = [
    ["requests", used?.requests ?? null, limits.requestsPerMinute],
    ["tokens", tokens, limits.tokensPerMinute],
    ["tokens in", used?.inputTokens ?? null, limits.inputTokensPerMinute],
    ["tokens out", used?.outputTokens ?? null, limits.outputTokensPerMinute],
  ];
  if (rows.every(([, , limit]) => limit === null)) return <span class="muted">none</span>;
  return (
    <>
      {rows.map(
        ([name, value, limit]) =>
          limit !== null && (
            <span key={name} class="line">
              {value !== null && <Meter name={`${name} in the last minute`} value={value} max={limit} />}
              {value === null ? "" : ` ${count(value)} / `}
              {count(limit)} {name}
            </span>
          ),
      )}
    </>
  );
}
