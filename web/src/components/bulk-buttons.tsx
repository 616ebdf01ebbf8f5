import { useEffect, useState } from "preact/hooks";
import type { BulkOutcome, RequestFilter } from "../../../src/http/dashboard/api-request-types.ts";
import { announce } from "../announce.ts";
import { actions } from "../api.ts";
import { count } from "../format.ts";
import { Confirm } from "./confirm.tsx";

type Kind = "retry" | "cancel";

const WORDS = {
  retry: {
    button: "Retry all …",
    title: "Retry all that match?",
    done: "Retried",
    what: "failed or cancelled",
  },
  cancel: {
    button: "Cancel all …",
    title: "Cancel all that match?",
    done: "Cancelled",
    what: "waiting or running",
  },
};

/** What can be done to all that the filter shows; each button only where it can find something. */
export function BulkButtons({ filter, onDone }: { filter: RequestFilter; onDone: () => void }) {
  const [asked, setAsked] = useState<Kind | null>(null);
  const { status } = filter;
  const close = () => setAsked(null);
  return (
    <>
      {(status === undefined || status === "failed" || status === "cancelled") && (
        <button type="button" onClick={() => setAsked("retry")}>
          {WORDS.retry.button}
        </button>
      )}
      {(status === "pending" || status === "processing") && (
        <button type="button" onClick={() => setAsked("cancel")}>
          {WORDS.cancel.button}
        </button>
      )}
      {asked !== null && <BulkDialog kind={asked} filter={filter} onClose={close} onDone={onDone} />}
    </>
  );
}

type DialogProps = { kind: Kind; filter: RequestFilter; onClose: () => void; onDone: () => void };

function BulkDialog({ kind, filter, onClose, onDone }: DialogProps) {
  // What is confirmed is what was counted, though the address may change behind the dialog.
  const [frozen] = useState(filter);
  const [found, setFound] = useState<BulkOutcome | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    actions
      .all(kind, { filter: frozen, dryRun: true })
      .then(setFound, (error: Error) => setProblem(error.message));
  }, [kind, frozen]);
  const run = () => {
    onClose();
    announce(kind === "retry" ? "Retrying …" : "Cancelling …");
    actions.all(kind, { filter: frozen, dryRun: false }).then(
      (outcome) => {
        announce(describe(kind, outcome), outcome.refused > 0 ? "problem" : "done");
        onDone();
      },
      (error: Error) => announce(error.message, "problem"),
    );
  };
  const { title, what } = WORDS[kind];
  const isReady = found !== null && found.matched > 0;
  return (
    <Confirm
      title={title}
      action={isReady ? `${kind === "retry" ? "Retry" : "Cancel"} ${count(found.matched)}` : "Wait"}
      isDangerous={kind === "cancel"}
      isReady={isReady}
      onConfirm={run}
      onClose={onClose}
    >
      <p role="status">
        {problem ??
          (found === null
            ? "Counting …"
            : found.matched === 0
              ? `Nothing here is ${what}.`
              : `${count(found.matched)} ${what} ${found.matched === 1 ? "request matches" : "requests match"} the filter.`)}
      </p>
      {found?.more === true && (
        <p>There are more: these are the newest. Do it again for the next {count(found.limit)}.</p>
      )}
      {kind === "cancel" && <p>Running calls are aborted; a provider may bill them all the same.</p>}
    </Confirm>
  );
}

function describe(kind: Kind, { matched, changed, refused, reasons, more }: BulkOutcome): string {
  const other = matched - changed - refused;
  return [
    `${WORDS[kind].done} ${count(changed)} of ${count(matched)}.`,
    refused > 0 ? `${count(refused)} refused: ${reasons.join("; ")}.` : "",
    other > 0 ? `${count(other)} had changed meanwhile.` : "",
    more ? "There are more." : "",
  ]
    .filter(Boolean)
    .join(" ");
}
