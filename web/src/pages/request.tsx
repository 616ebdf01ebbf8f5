import { useState } from "preact/hooks";
import type { RequestDetail } from "../../../src/http/dashboard/api-request-types.ts";
import { announce } from "../announce.ts";
import { actions } from "../api.ts";
import { type Fact, Facts, Page, Panel, Status, Time } from "../components/bits.tsx";
import { Confirm } from "../components/confirm.tsx";
import { Problem } from "../components/notices.tsx";
import { Timeline } from "../components/timeline.tsx";
import { count, duration, exactTime, money, words } from "../format.ts";
import { useResource } from "../resource.ts";
import { link } from "../router.ts";
import { Answer, Said } from "./request-content.tsx";
import { Why } from "./request-why.tsx";

export function RequestPage({ id }: { id: string }) {
  const { data, error, reload } = useResource<RequestDetail>(`/api/requests/${encodeURIComponent(id)}`);
  if (data === null) {
    return (
      <Page title="Request">
        {error === null ? <p class="muted">Reading …</p> : <Problem error={error} retry={reload} />}
      </Page>
    );
  }
  return (
    <Page
      title={data.taskType}
      lead={<Lead request={data} />}
      actions={<Actions request={data} onDone={reload} />}
    >
      <Why request={data} />
      <Facts facts={factsOf(data)} />
      <Turns request={data} />
      <Panel title="Calls" note={`${count(data.ledger.length)} made`}>
        <Timeline request={data} />
      </Panel>
      <Answer request={data} />
      <Said request={data} />
    </Page>
  );
}

function Lead({ request }: { request: RequestDetail }) {
  const copy = () =>
    navigator.clipboard.writeText(request.id).then(
      () => announce("The id is copied."),
      () => announce("The browser does not let the page copy.", "problem"),
    );
  return (
    <span class="request-lead">
      <Status status={request.status} /> <span class="mono request-id">{request.id}</span>{" "}
      <button type="button" class="small" onClick={copy}>
        Copy id
      </button>
    </span>
  );
}

function Actions({ request, onDone }: { request: RequestDetail; onDone: () => void }) {
  const [isAsked, setAsked] = useState(false);
  const { id, status } = request;
  const act = (kind: "retry" | "cancel") =>
    actions[kind](id)
      .then(
        ({ changed }) =>
          announce(
            changed
              ? kind === "retry"
                ? "It is waiting again."
                : "It is cancelled."
              : "It had changed meanwhile: look at its status.",
          ),
        (error: Error) => announce(error.message, "problem"),
      )
      .finally(onDone);
  if (status === "completed") return null;
  if (status === "failed" || status === "cancelled") {
    return (
      <button type="button" class="primary" onClick={() => void act("retry")}>
        Retry
      </button>
    );
  }
  return (
    <>
      <button type="button" class="danger" onClick={() => setAsked(true)}>
        Cancel
      </button>
      {isAsked && (
        <Confirm
          title="Cancel this request?"
          action="Cancel it"
          isDangerous
          onClose={() => setAsked(false)}
          onConfirm={() => {
            setAsked(false);
            void act("cancel");
          }}
        >
          <p>
            {status === "processing"
              ? "The running call is aborted; the provider may bill it all the same."
              : "It will not run. It can be retried later."}
          </p>
        </Confirm>
      )}
    </>
  );
}

function factsOf(request: RequestDetail): (Fact | null)[] {
  const { finishedAt, createdAt, inputTokens, outputTokens, cachedInputTokens, reasoningTokens } = request;
  const tokens = [
    `${count(inputTokens)} in`,
    `${count(outputTokens)} out`,
    cachedInputTokens ? `${count(cachedInputTokens)} cached` : "",
    reasoningTokens ? `${count(reasoningTokens)} reasoning` : "",
  ];
  const extras = [
    request.capacityWaits > 0 ? `${count(request.capacityWaits)} waits for capacity` : "",
    request.reasks > 0 ? `asked again ${count(request.reasks)} times` : "",
    request.crashes > 0 ? `${count(request.crashes)} crashes` : "",
  ].filter(Boolean);
  return [
    ["Agent", <a href={link("/requests", { agent: request.agent })}>{request.agent}</a>],
    [
      "Model",
      request.model === null ? (
        "none yet"
      ) : (
        <a href={link("/requests", { model: request.model })}>{request.model}</a>
      ),
    ],
    request.provider === null ? null : ["Provider", request.provider],
    ["Complexity", `${request.complexity}${request.priority === 0 ? "" : `, priority ${request.priority}`}`],
    ["Submitted", <Time iso={createdAt} />],
    finishedAt === null
      ? null
      : [
          "Ended",
          <>
            <Time iso={finishedAt} />, after {duration(Date.parse(finishedAt) - Date.parse(createdAt))}
          </>,
        ],
    [
      "Attempts",
      `${count(request.attempts)} of ${count(request.maxAttempts)} failed${extras.length > 0 ? `, ${extras.join(", ")}` : ""}`,
    ],
    inputTokens === null ? null : ["Tokens", tokens.filter(Boolean).join(", ")],
    request.costUsd === null ? null : ["Cost", money(request.costUsd)],
    request.deadline === null ? null : ["Deadline", <span>{exactTime(request.deadline)}</span>],
    request.finishReason === null ? null : ["Model stopped", words(request.finishReason)],
    request.repairs.length === 0 ? null : ["Repaired", request.repairs.map(words).join(", ")],
    request.replyTo === null ? null : ["Reply to", request.replyTo],
  ];
}

function Turns({ request }: { request: RequestDetail }) {
  if (request.turns.length === 0) return null;
  return (
    <Panel title="Turns of the conversation">
      <ol class="turns">
        {request.turns.map(({ id, status, calls, createdAt }, index) => (
          <li key={id} aria-current={id === request.id ? "step" : undefined}>
            <b>{index + 1}</b>
            {id === request.id ? <span>this one</span> : <a href={`/requests/${id}`}>{id.slice(-12)}</a>}
            <Status status={status} />
            {calls.length > 0 && <span>called {calls.join(", ")}</span>}
            <Time iso={createdAt} />
          </li>
        ))}
      </ol>
    </Panel>
  );
}
