/** The small things that every page is made of. */
import type { ComponentChildren } from "preact";
import type { RequestStatus } from "../../../src/http/dashboard/api-types.ts";
import { age, exactTime, NONE } from "../format.ts";
import { now } from "../live.ts";

export function Page({
  title,
  lead,
  actions,
  children,
}: {
  title: string;
  lead?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <>
      <div class="page-head">
        <div>
          <h1 tabIndex={-1}>{title}</h1>
          {lead !== undefined && <p class="muted">{lead}</p>}
        </div>
        {actions !== undefined && <div class="actions">{actions}</div>}
      </div>
      {children}
    </>
  );
}

export function Status({ status }: { status: RequestStatus }) {
  return <span class={`status status-${status}`}>{status}</span>;
}

/** "3 min ago", or "in 3 min"; the exact time is its title. */
export function Time({ iso }: { iso: string | null }) {
  if (iso === null) return <span class="muted">{NONE}</span>;
  const ms = now.value - Date.parse(iso);
  const text = ms >= -999 ? `${age(ms)} ago` : `in ${age(-ms)}`;
  return (
    <time dateTime={iso} title={exactTime(iso)}>
      {text}
    </time>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

export function Panel({
  title,
  note,
  children,
  id,
}: {
  title: string;
  note?: ComponentChildren;
  children: ComponentChildren;
  id?: string;
}) {
  return (
    <section class="panel" id={id} aria-label={title}>
      <div class="panel-head">
        <h2>{title}</h2>
        {note !== undefined && <span class="muted">{note}</span>}
      </div>
      {children}
    </section>
  );
}

export type Fact = [name: string, value: ComponentChildren];

/** Those without a value are left out. */
export function Facts({ facts }: { facts: (Fact | null)[] }) {
  return (
    <dl class="facts">
      {facts
        .filter((fact) => fact !== null)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** How much of something is used. */
export function Meter({ name, value, max }: { name: string; value: number; max: number }) {
  const share = max === 0 ? 1 : Math.min(1, value / max);
  return (
    <span
      class={`meter${share >= 1 ? " meter-full" : share >= 0.8 ? " meter-high" : ""}`}
      role="meter"
      aria-label={name}
      aria-valuemin={0}
      aria-valuemax={max}
      aria-valuenow={value}
    >
      <span style={{ width: `${share * 100}%` }} />
    </span>
  );
}
