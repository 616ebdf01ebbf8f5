import type {
  RequestPage as PageOfRequests,
  RequestFilter,
  RequestSummary,
} from "../../../src/http/dashboard/api-request-types.ts";
import { Empty, Page, Status, Time } from "../components/bits.tsx";
import { BulkButtons } from "../components/bulk-buttons.tsx";
import { type Column, DataTable } from "../components/data-table.tsx";
import { FilterBar } from "../components/filter-bar.tsx";
import { Problem } from "../components/notices.tsx";
import { filterOf } from "../filter.ts";
import { age, count, duration, exactTime, money, words } from "../format.ts";
import { now } from "../live.ts";
import { useResource } from "../resource.ts";
import { link, query } from "../router.ts";

export function RequestsPage() {
  const filter = filterOf(query.value);
  const before = query.value.get("before");
  const { data, error, isLoading, reload } = useResource<PageOfRequests>(
    link("/api/requests", { ...filter, before, limit: "50" }),
    // An older page does not change under the reader's eyes.
    { isLive: before === null },
  );
  return (
    <Page title="Requests" lead="Newest first" actions={<BulkButtons filter={filter} onDone={reload} />}>
      <FilterBar filter={filter} />
      {error !== null && data === null && <Problem error={error} retry={reload} />}
      {data === null && isLoading && <p class="muted">Reading …</p>}
      {data !== null && (
        <div aria-busy={isLoading}>
          <List page={data} hasFilter={Object.keys(filter).length > 0} isOlder={before !== null} />
          <Pager page={data} filter={filter} before={before} />
        </div>
      )}
    </Page>
  );
}

const columnsOf = (hasCosts: boolean): Column<RequestSummary>[] => [
  {
    title: "Request",
    cell: ({ id, taskType }) => (
      <a class="row-link" href={`/requests/${id}`}>
        <Name name={taskType} /> <span class="mono muted">{id.slice(-12)}</span>
      </a>
    ),
  },
  { title: "Status", cell: ({ status }) => <Status status={status} /> },
  { title: "Agent", cell: ({ agent }) => <Name name={agent} /> },
  { title: "Model", cell: ({ model }) => <Name name={model} /> },
  { title: "Error", grows: true, cell: (request) => <ErrorText request={request} /> },
  { title: "Submitted", align: "end", cell: ({ createdAt }) => <Time iso={createdAt} /> },
  { title: "Took", align: "end", cell: (request) => <Took request={request} /> },
  { title: "Tokens", align: "end", cell: ({ tokens }) => count(tokens) },
  ...(hasCosts ? [COST] : []),
];

const COST: Column<RequestSummary> = { title: "Cost", align: "end", cell: ({ costUsd }) => money(costUsd) };

/** Up to 200 characters long, and cut where that is too much. */
function Name({ name }: { name: string | null }) {
  if (name === null) return <span class="muted">–</span>;
  return (
    <span class="name" title={name}>
      {name}
    </span>
  );
}

/** How messages begin whose type says the same. */
const SAID_BY_TYPE = /^(Malformed or invalid LLM response|LLM provider unavailable): /;

function ErrorText({ request: { errorType, errorMessage, status } }: { request: RequestSummary }) {
  if (errorType === null && errorMessage === null) return <span class="muted">–</span>;
  return (
    <span class="error-text" title={errorMessage ?? undefined}>
      {errorType !== null && <b class={status === "failed" ? "bad" : undefined}>{words(errorType)}</b>}{" "}
      {errorMessage?.replace(SAID_BY_TYPE, "")}
    </span>
  );
}

function Took({ request: { createdAt, finishedAt, runAt, status } }: { request: RequestSummary }) {
  if (finishedAt !== null) return <>{duration(Date.parse(finishedAt) - Date.parse(createdAt))}</>;
  const due = runAt === null ? 0 : Date.parse(runAt) - now.value;
  if (status === "pending" && due > 1_000) {
    return <span title={exactTime(runAt ?? createdAt)}>due in {age(due)}</span>;
  }
  return <span class="muted">{age(now.value - Date.parse(createdAt))} so far</span>;
}

function List({ page, hasFilter, isOlder }: { page: PageOfRequests; hasFilter: boolean; isOlder: boolean }) {
  if (page.requests.length > 0) {
    const columns = columnsOf(page.requests.some(({ costUsd }) => costUsd !== null));
    return (
      <DataTable
        caption="Requests, newest first"
        columns={columns}
        rows={page.requests}
        keyOf={({ id }) => id}
      />
    );
  }
  if (page.next !== null)
    return <Empty title="None so far">{<p>There is more to search: see below.</p>}</Empty>;
  if (isOlder) return <Empty title="Nothing older">{<p>This is where the records end.</p>}</Empty>;
  return hasFilter ? (
    <Empty title="No request matches this filter">
      <p>
        Take a condition away, or <a href="/requests">show all requests</a>.
      </p>
    </Empty>
  ) : (
    <Empty title="No requests yet">
      <p>The first one, from any SQL client:</p>
      <pre class="mono">
        {`select llmq.submit_llm_request(
  agent_id  => 'support',
  task_type => 'chat',
  messages  => '[{"role": "user", "content": "Hello!"}]'
);`}
      </pre>
    </Empty>
  );
}

function Pager({
  page,
  filter,
  before,
}: {
  page: PageOfRequests;
  filter: RequestFilter;
  before: string | null;
}) {
  if (page.next === null && before === null) return null;
  return (
    <nav class="pager" aria-label="Pages of requests">
      {before !== null && (
        <a class="button" href={link("/requests", filter)}>
          Newest
        </a>
      )}
      {page.searchedTo !== null && (
        <span class="muted">
          Searched back to <time dateTime={page.searchedTo}>{exactTime(page.searchedTo)}</time>.
        </span>
      )}
      {page.next !== null && (
        <a class="button" href={link("/requests", { ...filter, before: page.next })}>
          {page.searchedTo === null ? "Older" : "Search further back"}
        </a>
      )}
    </nav>
  );
}
