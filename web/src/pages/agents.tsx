import type { AgentSummary, Agents } from "../../../src/http/dashboard/api-traffic-types.ts";
import { Empty, Meter, Page, Panel } from "../components/bits.tsx";
import { type Column, DataTable } from "../components/data-table.tsx";
import { Problem } from "../components/notices.tsx";
import { PauseButton } from "../components/pause-button.tsx";
import { count, money, percent } from "../format.ts";
import { useResource } from "../resource.ts";
import { link } from "../router.ts";

export function AgentsPage() {
  const { data, error, reload } = useResource<Agents>("/api/agents");
  return (
    <Page title="Agents" lead="Those with a row in llmq.agents, and the busiest of the last half hour">
      {error !== null && data === null && <Problem error={error} retry={reload} />}
      {data?.agents.length === 0 && (
        <Empty title="No agent was here in the last half hour">
          <p>An agent needs no configuration: it is here when it submits a request.</p>
        </Empty>
      )}
      {data !== null && data.agents.length > 0 && (
        <Panel
          title="All agents"
          note={
            data.isSpendingKnown
              ? undefined
              : "Too many results to sum what was spent in the time a page has."
          }
        >
          <DataTable
            caption="Agents"
            columns={columnsOf(reload)}
            rows={data.agents}
            keyOf={({ name }) => name}
          />
        </Panel>
      )}
    </Page>
  );
}

function columnsOf(reload: () => void): Column<AgentSummary>[] {
  return [
    {
      title: "Agent",
      grows: true,
      cell: ({ name, paused, owner }) => (
        <>
          <a href={link("/requests", { agent: name })}>{name}</a>
          {paused && <span class="status status-cancelled">paused</span>}
          {owner !== null && <span class="second">of role {owner}</span>}
        </>
      ),
    },
    { title: "Weight", align: "end", cell: ({ weight }) => count(weight) },
    { title: "Share", align: "end", cell: ({ share }) => <Share share={share} /> },
    { title: "Waiting", align: "end", cell: ({ activity }) => count(activity.pending) },
    {
      title: "Running",
      align: "end",
      cell: ({ activity, maxConcurrency }) => (
        <>
          {count(activity.processing)}
          {maxConcurrency !== null && <span class="muted"> of {count(maxConcurrency)}</span>}
        </>
      ),
    },
    { title: "Completed", align: "end", cell: ({ activity }) => count(activity.completed) },
    {
      title: "Failed",
      align: "end",
      cell: ({ name, activity: { failed } }) =>
        failed === 0 ? (
          "0"
        ) : (
          <a class="bad" href={link("/requests", { agent: name, status: "failed" })}>
            {count(failed)}
          </a>
        ),
    },
    {
      title: "Today",
      align: "end",
      cell: ({ spentTodayUsd, dailyBudgetUsd }) => <Spent spent={spentTodayUsd} budget={dailyBudgetUsd} />,
    },
    {
      title: "This month",
      align: "end",
      cell: ({ spentThisMonthUsd, monthlyBudgetUsd }) => (
        <Spent spent={spentThisMonthUsd} budget={monthlyBudgetUsd} />
      ),
    },
    {
      title: "Action",
      align: "end",
      cell: ({ name, paused }) => (
        <PauseButton kind="agents" name={name} paused={paused} onChanged={reload} />
      ),
    },
  ];
}

/** Of what ended in the last half hour or runs now. */
function Share({ share }: { share: number | null }) {
  if (share === null) return <span class="muted">–</span>;
  return (
    <span class="share" title="of what ended in the last half hour or runs now">
      <Meter name="share" value={share} max={1} />
      {percent(share)}
    </span>
  );
}

function Spent({ spent, budget }: { spent: number | null; budget: number | null }) {
  if (budget === null) return <>{money(spent)}</>;
  return (
    <span class={spent !== null && spent >= budget ? "share bad" : "share"}>
      {spent !== null && <Meter name="spent of the budget" value={spent} max={budget} />}
      {money(spent)} of {money(budget)}
    </span>
  );
}
