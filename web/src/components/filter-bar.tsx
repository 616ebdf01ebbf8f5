import { useEffect, useState } from "preact/hooks";
import type { RequestFilter, Suggestions } from "../../../src/http/dashboard/api-request-types.ts";
import { filterOf } from "../filter.ts";
import { exactTime, words } from "../format.ts";
import { useResource } from "../resource.ts";
import { go, link, query } from "../router.ts";

const STATUSES = ["pending", "processing", "completed", "failed", "cancelled"];
const SPANS: [name: string, minutes: number][] = [
  ["15 minutes", 15],
  ["hour", 60],
  ["24 hours", 1_440],
  ["7 days", 10_080],
];

/** While somebody types, nothing is asked. */
const TYPING_MS = 350;

export function FilterBar({ filter }: { filter: RequestFilter }) {
  const { data } = useResource<Suggestions>("/api/suggestions", { isLive: false });
  const change = (name: keyof RequestFilter, value: string) =>
    // Of the address, since another condition may have changed while this one was typed.
    go(link("/requests", { ...filterOf(query.value), [name]: value }), { replace: true });
  const hasAny = Object.keys(filter).length > 0;
  return (
    <form
      class="filters"
      role="search"
      aria-label="Filter requests"
      onSubmit={(event) => event.preventDefault()}
    >
      <label>
        <span>Status</span>
        <select value={filter.status ?? ""} onChange={(event) => change("status", event.currentTarget.value)}>
          <option value="">any</option>
          {STATUSES.map((status) => (
            <option key={status}>{status}</option>
          ))}
        </select>
      </label>
      <Typed name="agent" title="Agent" filter={filter} change={change} known={data?.agents} />
      <Typed name="taskType" title="Task type" filter={filter} change={change} known={data?.taskTypes} />
      <Typed name="model" title="Model" filter={filter} change={change} known={data?.models} />
      <Typed name="errorType" title="Error" filter={filter} change={change} known={data?.errorTypes} />
      <Submitted filter={filter} />
      <Typed name="text" title="Text of the error" filter={filter} change={change} />
      {hasAny && (
        <a class="button" href="/requests">
          Clear
        </a>
      )}
    </form>
  );
}

type TypedProps = {
  name: "agent" | "taskType" | "model" | "errorType" | "text";
  title: string;
  filter: RequestFilter;
  change: (name: keyof RequestFilter, value: string) => void;
  known?: string[] | undefined;
};

function Typed({ name, title, filter, change, known }: TypedProps) {
  const applied = filter[name] ?? "";
  const [value, setValue] = useState(applied);
  useEffect(() => setValue(applied), [applied]);
  // Only typing starts the wait.
  useEffect(() => {
    if (value === applied) return;
    const timer = setTimeout(() => change(name, value.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return (
    <label>
      <span>{title}</span>
      <input
        type="search"
        value={value}
        list={known === undefined ? undefined : `known-${name}`}
        placeholder={name === "text" ? "contains …" : "any"}
        maxLength={500}
        spellcheck={false}
        onInput={(event) => setValue(event.currentTarget.value)}
      />
      {known !== undefined && (
        <datalist id={`known-${name}`}>
          {known.map((one) => (
            <option key={one} value={one}>
              {words(one)}
            </option>
          ))}
        </datalist>
      )}
    </label>
  );
}

/** A span until now, or two times. */
function Submitted({ filter }: { filter: RequestFilter }) {
  const [isOwn, setOwn] = useState(filter.to !== undefined);
  const set = (from: string | null, to: string | null) =>
    go(link("/requests", { ...filter, from, to }), { replace: true });
  const choose = (value: string) => {
    setOwn(value === "own");
    if (value === "") set(null, null);
    else if (value !== "own") set(new Date(Date.now() - Number(value) * 60_000).toISOString(), null);
  };
  return (
    <>
      <label>
        <span>Submitted</span>
        <select
          value={isOwn ? "own" : filter.from === undefined ? "" : "since"}
          onChange={(event) => choose(event.currentTarget.value)}
        >
          <option value="">any time</option>
          {filter.from !== undefined && !isOwn && (
            <option value="since">since {exactTime(filter.from)}</option>
          )}
          {SPANS.map(([name, minutes]) => (
            <option key={name} value={String(minutes)}>
              last {name}
            </option>
          ))}
          <option value="own">between …</option>
        </select>
      </label>
      {isOwn && (
        <>
          <Moment title="From" iso={filter.from} onChange={(iso) => set(iso, filter.to ?? null)} />
          <Moment title="Until" iso={filter.to} onChange={(iso) => set(filter.from ?? null, iso)} />
        </>
      )}
    </>
  );
}

function Moment({
  title,
  iso,
  onChange,
}: {
  title: string;
  iso: string | undefined;
  onChange: (iso: string | null) => void;
}) {
  return (
    <label>
      <span>{title}</span>
      <input
        type="datetime-local"
        value={iso === undefined ? "" : localMinutes(iso)}
        onChange={({ currentTarget: { value } }) =>
          onChange(value === "" ? null : new Date(value).toISOString())
        }
      />
    </label>
  );
}

/** As the input wants it, in the time zone of the browser. */
function localMinutes(iso: string): string {
  const time = new Date(iso);
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
