import type { QueueSummary, Queues, SetAsideMessage } from "../../../src/http/dashboard/api-traffic-types.ts";
import { Empty, Page, Panel, Time } from "../components/bits.tsx";
import { type Column, DataTable } from "../components/data-table.tsx";
import { JsonView } from "../components/json-view.tsx";
import { Problem } from "../components/notices.tsx";
import { count, duration } from "../format.ts";
import { useResource } from "../resource.ts";

/** Counting ends there. */
const COUNTED = 10_000;

const COLUMNS: Column<QueueSummary>[] = [
  {
    title: "Queue",
    grows: true,
    cell: ({ name, enabled }) => (
      <>
        {name} {!enabled && <span class="status status-cancelled">disabled</span>}
      </>
    ),
  },
  {
    title: "Waiting in pgmq",
    align: "end",
    cell: ({ waiting }) => (waiting === null ? <span class="muted">no queue</span> : upTo(waiting)),
  },
  { title: "Unread in the inbox", align: "end", cell: ({ unread }) => upTo(unread) },
  { title: "Handler", cell: ({ handler }) => <span class="mono">{handler}</span> },
  {
    title: "Set aside after",
    align: "end",
    cell: ({ maxReads, retryAfterMs }) => `${count(maxReads)} tries, ${duration(retryAfterMs)} apart`,
  },
];

export function QueuesPage() {
  const { data, error, reload } = useResource<Queues>("/api/queues");
  return (
    <Page
      title="Shared queues"
      lead="Messages that orchestrators take from pgmq, and those nobody could handle"
    >
      {error !== null && data === null && <Problem error={error} retry={reload} />}
      {data !== null && !data.hasPgmq && (
        <p class="banner banner-calm">
          This database has no pgmq, so nothing arrives here. To use it: <code>create extension pgmq</code>,
          then <code>select llmq.enable_pgmq()</code>.
        </p>
      )}
      {data !== null && (
        <>
          <Panel title="Queues">
            <DataTable
              caption="Shared queues"
              columns={COLUMNS}
              rows={data.queues}
              keyOf={({ name }) => name}
            />
          </Panel>
          <Panel title="Set aside" note="the last hundred">
            {data.setAside.length === 0 ? (
              <Empty title="Nothing is set aside">
                <p>A message that keeps failing would be here with its error.</p>
              </Empty>
            ) : (
              <ul class="set-aside">
                {data.setAside.map((message) => (
                  <SetAside key={message.id} message={message} />
                ))}
              </ul>
            )}
          </Panel>
        </>
      )}
    </Page>
  );
}

function SetAside({
  message: { queueName, messageId, error, setAsideAt, message },
}: {
  message: SetAsideMessage;
}) {
  return (
    <li>
      <p>
        <b>{queueName}</b> {messageId !== null && <span class="muted">message {messageId}</span>}{" "}
        <Time iso={setAsideAt} />
      </p>
      <p class="bad">{error}</p>
      {message === null ? (
        <p class="muted">The message is hidden.</p>
      ) : (
        <details>
          <summary>Message</summary>
          <JsonView value={message} />
        </details>
      )}
    </li>
  );
}

function upTo(value: number): string {
  return value >= COUNTED ? `${count(COUNTED)} or more` : count(value);
}
