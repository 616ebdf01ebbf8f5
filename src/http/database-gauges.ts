/** The gauges that the database fills: what each is called, and where its values are. */
import type { DatabaseMetrics } from "../database/metrics.ts";

/** A value that is null is left out. */
export type Sample = { labels: Record<string, string>; value: number | null };
export type DatabaseGauge = {
  name: string;
  help: string;
  labels: string[];
  samples(metrics: DatabaseMetrics): Sample[];
};

const one = (value: number | null): Sample[] => [{ labels: {}, value }];

export const DATABASE_GAUGES: DatabaseGauge[] = [
  {
    name: "llmq_queue_requests",
    help: "Unfinished requests. held is what holds them back, empty: nothing.",
    labels: ["status", "model", "held"],
    samples: ({ depth }) => depth.map(({ requests, ...row }) => ({ labels: ofDepth(row), value: requests })),
  },
  {
    name: "llmq_queue_oldest_age_seconds",
    help: "Since the oldest of them was submitted; it may have been meant for later.",
    labels: ["status", "model", "held"],
    samples: ({ depth }) =>
      depth.map(({ oldest_age, ...row }) => ({ labels: ofDepth(row), value: oldest_age })),
  },
  {
    name: "llmq_queue_oldest_due_age_seconds",
    help: "For how long the oldest of them could have run; absent when none is due.",
    labels: ["status", "model", "held"],
    samples: ({ depth }) =>
      depth.map(({ oldest_due_age, ...row }) => ({ labels: ofDepth(row), value: oldest_due_age })),
  },
  {
    name: "llmq_model_breaker_state",
    help: "1 for the state of a model's breaker: closed, open, half_open.",
    labels: ["model", "provider", "state"],
    samples: ({ models }) =>
      models.flatMap(({ model, provider, breaker }) =>
        ["closed", "open", "half_open"].map((state) => ({
          labels: { model, provider, state },
          value: state === breaker ? 1 : 0,
        })),
      ),
  },
  {
    name: "llmq_model_cooling_seconds",
    help: "What is left of a model's cool-down.",
    labels: ["model", "provider"],
    samples: ({ models }) =>
      models.map(({ model, provider, cooling }) => ({ labels: { model, provider }, value: cooling ?? 0 })),
  },
  {
    name: "llmq_model_paused",
    help: "1 when a model or its provider is paused.",
    labels: ["model", "provider"],
    samples: ({ models }) =>
      models.map(({ model, provider, paused }) => ({ labels: { model, provider }, value: paused ? 1 : 0 })),
  },
  {
    name: "llmq_limit_max",
    help: "A limit of a model or provider: requests or tokens per minute, calls in flight.",
    labels: ["kind", "name", "limit"],
    samples: ({ limits }) => limits.map(({ value, ratio: _, ...labels }) => ({ labels, value })),
  },
  {
    name: "llmq_limit_used_ratio",
    help: "How much of a limit is used, 0 to 1.",
    labels: ["kind", "name", "limit"],
    samples: ({ limits }) => limits.map(({ value: _, ratio, ...labels }) => ({ labels, value: ratio })),
  },
  {
    name: "llmq_budget_usd",
    help: "The budget of an agent per period (day or month, UTC); the hundred that are used most.",
    labels: ["agent", "period"],
    samples: ({ budgets }) =>
      budgets.map(({ agent_id, period, usd }) => ({ labels: { agent: agent_id, period }, value: usd })),
  },
  {
    name: "llmq_budget_used_ratio",
    help: "How much of it is spent or reserved, 0 to 1.",
    labels: ["agent", "period"],
    samples: ({ budgets }) =>
      budgets.map(({ agent_id, period, ratio }) => ({ labels: { agent: agent_id, period }, value: ratio })),
  },
  {
    name: "llmq_last_hour_requests",
    help: "Requests that finished in the last hour, by the last model that was asked.",
    labels: ["model", "status"],
    samples: ({ last_hour }) =>
      last_hour.map(({ model, status, requests }) => ({ labels: { model, status }, value: requests })),
  },
  {
    name: "llmq_last_hour_cost_usd",
    help: "What the requests cost that finished in the last hour, by the last model that was asked.",
    labels: ["model", "status"],
    samples: ({ last_hour }) =>
      last_hour.map(({ model, status, cost_usd }) => ({ labels: { model, status }, value: cost_usd })),
  },
  {
    name: "llmq_workers",
    help: "Workers by state: alive, stopping, lost (no heartbeat for too long).",
    labels: ["state"],
    samples: ({ workers }) =>
      ["alive", "stopping", "lost"].map((state) => ({
        labels: { state },
        value: workers.find((row) => row.state === state)?.workers ?? 0,
      })),
  },
  {
    name: "llmq_listeners",
    help: "Orchestrators that are alive, by how they learn of new requests: listening, polling, off.",
    labels: ["mode"],
    samples: ({ storage: { listeners } }) =>
      ["listening", "polling", "off"].map((mode) => ({ labels: { mode }, value: listeners[mode] ?? 0 })),
  },
  {
    name: "llmq_table_live_rows",
    help: "Live rows of a table of the schema llmq, as the server estimates them.",
    labels: ["table"],
    samples: ({ tables }) =>
      tables.map(({ table_name, live_rows }) => ({ labels: { table: table_name }, value: live_rows })),
  },
  {
    name: "llmq_table_dead_rows",
    help: "Dead rows that vacuum has not removed, as the server estimates them.",
    labels: ["table"],
    samples: ({ tables }) =>
      tables.map(({ table_name, dead_rows }) => ({ labels: { table: table_name }, value: dead_rows })),
  },
  {
    name: "llmq_table_size_bytes",
    help: "Size of a table with its indexes.",
    labels: ["table"],
    samples: ({ tables }) =>
      tables.map(({ table_name, total_bytes }) => ({ labels: { table: table_name }, value: total_bytes })),
  },
  {
    name: "llmq_oldest_snapshot_age_transactions",
    help: "Age of the oldest snapshot that keeps dead rows, in transactions; llmq.storage_health tells whose it is.",
    labels: [],
    samples: ({ storage }) => one(storage.snapshot_age),
  },
  {
    name: "llmq_oldest_snapshot_age_seconds",
    help: "The same in seconds; absent when nobody holds one, or when the schema's owner may not see since when (pg_read_all_stats).",
    labels: [],
    samples: ({ storage }) => one(storage.snapshot_seconds),
  },
  {
    name: "llmq_partitions_ahead",
    help: "Weeks to come that have their partitions; 4 as a rule.",
    labels: [],
    samples: ({ storage }) => one(storage.partitions_ahead),
  },
  {
    name: "llmq_partitions_behind",
    help: "Past weeks that are kept.",
    labels: [],
    samples: ({ storage }) => one(storage.partitions_behind),
  },
  {
    name: "llmq_default_partition_rows",
    help: "Rows that no week took, counted to a thousand per table; 0 as a rule.",
    labels: [],
    samples: ({ storage }) => one(storage.default_partition_rows),
  },
  {
    name: "llmq_notification_queue_used_ratio",
    help: "How full the server's queue of notifications is, 0 to 1.",
    labels: [],
    samples: ({ storage }) => one(storage.notification_queue_use),
  },
];

function ofDepth({ status, model, held }: { status: string; model: string; held: string }) {
  return { status, model, held };
}
