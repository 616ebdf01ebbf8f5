import { notice } from "../announce.ts";
import type { RequestFailed } from "../api.ts";
import { connection, trouble } from "../live.ts";

/** What happened, at the foot of the page. The region is always there: only so do screen readers notice changes. */
export function Notices() {
  const current = notice.value;
  return (
    <div class="notices" role="status" aria-live="polite">
      {current !== null && <p class={`notice notice-${current.kind}`}>{current.text}</p>}
    </div>
  );
}

export function TroubleBanner() {
  const text =
    trouble.value !== null
      ? [`The queue cannot be read: ${trouble.value.error}.`, trouble.value.hint].filter(Boolean).join(" ")
      : connection.value === "lost"
        ? "The orchestrator does not answer; what you see may be old. It is tried again by itself."
        : null;
  return <div role="alert">{text !== null && <p class="banner">{text}</p>}</div>;
}

export function Problem({ error, retry }: { error: RequestFailed; retry?: () => void }) {
  return (
    <div class="empty" role="alert">
      <p class="empty-title">{error.message}</p>
      {error.hint !== null && <p>{error.hint}</p>}
      {retry !== undefined && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}
