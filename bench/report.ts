/** The table for people and the object for files. */
import { cpus, totalmem } from "node:os";
import { type Figure, isReached, type Target } from "./benchmark.ts";

function round(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value.toFixed(2);
}

function targetText(target: Target | null): string {
  if (target === null) return "";
  if ("atLeast" in target) return `>= ${target.atLeast}`;
  return "below" in target ? `< ${target.below}` : `<= ${target.atMost}`;
}

function verdict(figure: Figure): string {
  const reached = isReached(figure);
  return reached === null ? "" : reached ? "yes" : "NO";
}

/** A table in plain text, which is also Markdown. */
export function table(figures: Figure[]): string {
  const header = ["what", "llmq", "beside", "ratio", "target", "reached"];
  const rows = figures.map((figure) => [
    figure.name,
    `${round(figure.llmq)} ${figure.unit}`,
    figure.peer === null ? "" : `${round(figure.peer.value)} (${figure.peer.name})`,
    figure.ratio === null ? "" : figure.ratio.toFixed(2),
    targetText(figure.target),
    verdict(figure),
  ]);
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

export type Report = {
  date: string;
  command: string;
  machine: Record<string, string | number>;
  server: Record<string, string | number>;
  figures: (Figure & { reached: boolean | null })[];
};

export function report(figures: Figure[], server: Report["server"], args: string[]): Report {
  const processors = cpus();
  return {
    date: new Date().toISOString(),
    command: ["npm run bench", ...(args.length > 0 ? ["--", ...args] : [])].join(" "),
    machine: {
      processors: `${processors.length} x ${processors[0]?.model.trim() ?? "unknown"}`,
      memory_gb: Math.round(totalmem() / 2 ** 30),
      platform: `${process.platform} ${process.arch}`,
      node: process.version,
    },
    server,
    figures: figures.map((figure) => ({ ...figure, reached: isReached(figure) })),
  };
}
