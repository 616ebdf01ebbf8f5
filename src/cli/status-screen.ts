import { maskPassword } from "../config.ts";
import { clockTime, count, duration, printable } from "./format.ts";
import type { FailureStatus, ModelStatus, Status, WorkerStatus } from "./status-query.ts";
import { statusStyle } from "./status-style.ts";
import { type Terminal, table } from "./terminal.ts";

/** The queue in one screen. Ages are by the server's clock. */
export function statusLines(
  out: Terminal,
  status: Status,
  server: { url: string; embedded: boolean },
): string[] {
  return [
    headLine(out, status, server),
    "",
    ...countLines(out, status),
    ...section(out, "Models", modelLines(out, status)),
    ...section(out, "Orchestrators", workerLines(out, status)),
    ...section(out, "Failed last", failureLines(out, status)),
  ];
}

function headLine(
  out: Terminal,
  status: Status,
  { url, embedded }: { url: string; embedded: boolean },
): string {
  const where = embedded ? "embedded Postgres" : maskPassword(url);
  const versions = `PostgreSQL ${status.server_version}, schema version ${status.schema_version}`;
  return `${out.style("bold", "llmq")}  ${out.style("dim", `${where}, ${versions}`)}`;
}

function countLines(out: Terminal, status: Status): string[] {
  const part = (name: string, value: number) =>
    `${name} ${value === 0 ? out.style("dim", "0") : out.style(["bold", statusStyle(name)], count(value))}`;
  const oldest =
    status.oldest_pending_at === null ? "" : `   oldest waits ${age(status, status.oldest_pending_at)}`;
  const { completed, failed, cancelled } = status.last_hour;
  const ended = completed + failed;
  const rate = ended === 0 ? "" : `   ${((100 * completed) / ended).toFixed(1)}% succeeded`;
  return [
    `  ${out.style("dim", "now      ")}  ${part("pending", status.pending)}   ${part("processing", status.processing)}${oldest}`,
    `  ${out.style("dim", "last hour")}  ${part("completed", completed)}   ${part("failed", failed)}   ${part("cancelled", cancelled)}${rate}`,
  ];
}

function section(out: Terminal, title: string, lines: string[]): string[] {
  return ["", out.style("bold", title), ...lines];
}

function modelLines(out: Terminal, status: Status): string[] {
  if (status.models.length === 0)
    return [`  ${out.style("yellow", "none: llmq.configure_model() adds one")}`];
  const rows = status.models.map((model) => [
    model.name,
    model.provider,
    count(model.waiting),
    count(model.running),
    model.oldest_waiting_at === null ? "" : age(status, model.oldest_waiting_at),
    modelState(out, status, model),
  ]);
  return table(out, ["name", "provider", "waiting", "running", "oldest", "state"], rows, [2, 3, 4]);
}

function modelState(out: Terminal, status: Status, model: ModelStatus): string {
  if (model.paused) return out.style("yellow", "paused");
  if (model.cooling_until === null) {
    if (model.admitted === null) return out.style("green", "ok");
    return out.style("yellow", `recovers, ${count(model.admitted)} at once`);
  }
  const left = duration(Date.parse(model.cooling_until) - Date.parse(status.at));
  const until = `cooling until ${clockTime(new Date(model.cooling_until))} (${left})`;
  return `${out.style("yellow", until)}${model.cooling_reason === null ? "" : `: ${printable(model.cooling_reason)}`}`;
}

function workerLines(out: Terminal, status: Status): string[] {
  if (status.workers.length === 0) return [`  ${out.style("yellow", "none is running: llmq start")}`];
  const rows = status.workers.map((worker) => [
    worker.name,
    workerState(out, worker),
    text(worker.info.version),
    [worker.info.in_flight, worker.info.concurrency].filter((value) => value !== undefined).join(" of "),
    text(worker.info.listener),
    age(status, worker.started_at),
    `${age(status, worker.heartbeat_at)} ago`,
  ]);
  return table(out, ["name", "state", "version", "in flight", "wakes by", "up", "heartbeat"], rows);
}

function workerState(out: Terminal, worker: WorkerStatus): string {
  if (!worker.alive) return out.style("red", "lost");
  return worker.stopping ? out.style("yellow", "stopping") : out.style("green", "alive");
}

function failureLines(out: Terminal, status: Status): string[] {
  if (status.recent_failures.length === 0) return [`  ${out.style("dim", "nothing in 24 hours")}`];
  const rows = status.recent_failures.map((failure: FailureStatus) => [
    clockTime(new Date(failure.finished_at)),
    out.style("dim", failure.id),
    `${failure.agent_id}/${failure.task_type}`,
    failure.model ?? "",
    out.style("red", failure.error_type),
    printable(failure.error_message ?? ""),
  ]);
  return table(out, ["at", "id", "agent/task", "model", "error", "message"], rows);
}

function age(status: Status, since: string): string {
  return duration(Date.parse(status.at) - Date.parse(since));
}

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}
