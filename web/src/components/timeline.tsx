import type { Attempt, RequestDetail } from "../../../src/http/dashboard/api-request-types.ts";
import { count, duration, exactTime, money, NONE, words } from "../format.ts";
import { now } from "../live.ts";
import { Empty } from "./bits.tsx";

/** Each call as a bar between submit and end, in the order they were made. */
export function Timeline({ request }: { request: RequestDetail }) {
  if (request.ledger.length === 0) {
    return (
      <Empty title="No call has been made yet">
        <p>Each one will be a row here, with how long it took and how it ended.</p>
      </Empty>
    );
  }
  const from = Date.parse(request.createdAt);
  const until = request.finishedAt === null ? now.value : Date.parse(request.finishedAt);
  const span = Math.max(until - from, 1);
  return (
    <ol class="timeline">
      {request.ledger.map((attempt) => (
        <Call key={attempt.number} attempt={attempt} from={from} span={span} />
      ))}
      <li class="timeline-scale muted" aria-hidden="true">
        <span>submitted</span>
        <span>
          {duration(span)} {request.finishedAt === null ? "so far" : "in all"}
        </span>
      </li>
    </ol>
  );
}

function Call({ attempt, from, span }: { attempt: Attempt; from: number; span: number }) {
  const { number, model, outcome, startedAt, finishedAt, latencyMs, firstByteMs, statusCode, errorMessage } =
    attempt;
  const end = Date.parse(finishedAt);
  const start = startedAt === null ? end : Date.parse(startedAt);
  const share = (ms: number) => `${Math.min(100, Math.max(0, (100 * ms) / span))}%`;
  const tokens =
    attempt.inputTokens === null
      ? null
      : `${count(attempt.inputTokens)} → ${count(attempt.outputTokens)} tokens`;
  return (
    <li class={`call ${outcome === "answered" ? "call-good" : "call-bad"}`}>
      <div class="call-head">
        <b>{number}</b>
        <span>{model ?? NONE}</span>
        <span class="call-outcome">
          {words(outcome)}
          {statusCode !== null && statusCode !== 200 ? ` · ${statusCode}` : ""}
        </span>
        <span class="call-facts muted">
          {[
            duration(latencyMs),
            firstByteMs === null || firstByteMs === latencyMs ? null : `first byte ${duration(firstByteMs)}`,
            tokens,
            attempt.cachedInputTokens ? `${count(attempt.cachedInputTokens)} cached` : null,
            attempt.costUsd === null ? null : money(attempt.costUsd),
            attempt.outputMode,
          ]
            .filter(Boolean)
            .join(" · ")}
        </span>
      </div>
      <div
        class="track"
        title={startedAt === null ? undefined : `${exactTime(startedAt)}, after ${duration(start - from)}`}
      >
        <span
          class="bar"
          style={{ left: share(start - from), width: share(Math.max(end - start, latencyMs ?? 0)) }}
        />
      </div>
      {errorMessage !== null && <p class="call-error">{errorMessage}</p>}
      {attempt.providerRequestId !== null && <p class="muted mono call-id">{attempt.providerRequestId}</p>}
    </li>
  );
}
