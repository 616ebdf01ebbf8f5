import type { ComponentChildren } from "preact";
import type { RequestDetail } from "../../../src/http/dashboard/api-request-types.ts";
import { type Fact, Facts, Time } from "../components/bits.tsx";
import { count, words } from "../format.ts";

/** Said elsewhere on the page. */
const SHOWN = new Set([
  ...[
    "request_id",
    "status",
    "why",
    "model",
    "provider",
    "deadline",
    "error_type",
    "error_message",
    "attempts",
  ],
  ...["max_attempts", "capacity_waits", "reasks", "crashes", "calls"],
]);

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;

/** `llmq.explain_llm_request`: its sentence, and whatever else it knows while the request is not finished. */
export function Why({ request }: { request: RequestDetail }) {
  const { explanation, status } = request;
  const isOpen = status === "pending" || status === "processing";
  const facts = Object.entries(explanation)
    .filter(([name]) => !SHOWN.has(name))
    .map(([name, value]): Fact => [words(name), valueOf(value)]);
  const why = typeof explanation.why === "string" ? explanation.why : status;
  if (status === "completed") return null;
  return (
    <section class={`why why-${status}`} aria-label="Why">
      <p>{readable(why)}</p>
      {isOpen && facts.length > 0 && <Facts facts={facts} />}
    </section>
  );
}

function valueOf(value: unknown): ComponentChildren {
  if (typeof value === "number") return count(value);
  if (typeof value === "string") return TIME.test(value) ? <Time iso={value} /> : value;
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value.join(", ");
  if (Array.isArray(value)) return value.map((one) => <p key={JSON.stringify(one)}>{inWords(one)}</p>);
  return inWords(value);
}

function inWords(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .map(([name, one]) => `${words(name)} ${typeof one === "number" ? count(one) : inWords(one)}`)
    .join(", ");
}

/** Postgres writes microseconds into the sentence. */
function readable(sentence: string): string {
  return sentence.replaceAll(/(\d\d:\d\d:\d\d)\.\d+/g, "$1");
}
