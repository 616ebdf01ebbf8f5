/** What the server sends by itself, for all pages. */
import { computed, signal } from "@preact/signals";
import type { ApiFailure, Bucket, Overview } from "../../src/http/dashboard/api-types.ts";

export type Connection = "connecting" | "live" | "paused" | "lost";

export const overview = signal<Overview | null>(null);
export const connection = signal<Connection>("connecting");
/** What the server says is wrong with the database; null: nothing. */
export const trouble = signal<ApiFailure | null>(null);
export const isPaused = signal(false);

/** Another value when something about requests may have changed. */
export const version = computed(() => {
  const { depth, total, at } = overview.value ?? { depth: null, total: null, at: "" };
  // Once in five seconds at the latest: not every change shows in the counts.
  return JSON.stringify([depth, total, Math.floor(Date.parse(at) / 5_000)]);
});

/** The browser's clock may be off; ages count by the database's. */
let clockOffset = 0;
export const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now() + clockOffset;
}, 1_000);

let source: EventSource | null = null;

export function connect(): void {
  disconnect();
  if (isPaused.value || document.hidden) return;
  connection.value = "connecting";
  source = new EventSource("/api/events");
  source.addEventListener("overview", (event) => take(JSON.parse(event.data) as Overview, true));
  source.addEventListener("tick", (event) => take(JSON.parse(event.data) as Overview, false));
  source.addEventListener("trouble", (event) => {
    trouble.value = JSON.parse(event.data) as ApiFailure;
  });
  source.onerror = () => {
    connection.value = "lost";
    // The browser gives up for good when the answer is no stream (401, 503).
    if (source?.readyState === EventSource.CLOSED)
      setTimeout(() => connection.value === "lost" && connect(), 5_000);
  };
}

export function disconnect(): void {
  source?.close();
  source = null;
}

export function setPaused(paused: boolean): void {
  isPaused.value = paused;
  if (paused) {
    disconnect();
    connection.value = "paused";
  } else connect();
}

// A page that nobody sees costs nobody anything.
document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));

function take(data: Overview, isWhole: boolean): void {
  connection.value = "live";
  trouble.value = null;
  clockOffset = Date.parse(data.at) - Date.now();
  now.value = Date.parse(data.at);
  const known = isWhole ? [] : (overview.value?.buckets ?? []);
  overview.value = { ...data, buckets: mergeBuckets(known, data) };
}

function mergeBuckets(known: Bucket[], { buckets, since }: Overview): Bucket[] {
  const first = buckets[0]?.at ?? Number.POSITIVE_INFINITY;
  return [...known.filter(({ at }) => at >= since && at < first), ...buckets];
}
