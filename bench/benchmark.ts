/** What a benchmark is and what it reports. */
import type { BenchServer } from "./server.ts";

export type BenchContext = {
  server: BenchServer;
  /** Rounds that count; a first one warms up. */
  rounds: number;
  /** Smaller and shorter, to see that everything runs: figures are rough. */
  quick: boolean;
  /** Says on standard error what is going on. */
  progress(text: string): void;
};

export type Benchmark = {
  name: string;
  run(context: BenchContext): Promise<Figure[]>;
};

/** One line of the table. */
export type Figure = {
  name: string;
  unit: string;
  llmq: number;
  /** What llmq is measured against in the same run; null where only the target counts. */
  peer: { name: string; value: number } | null;
  /** llmq / peer, as the median over the rounds and not the quotient of the medians. */
  ratio: number | null;
  target: Target | null;
};

/** A bound on the ratio or, where there is no peer, on llmq's own figure. */
export type Target = { of: "ratio" | "llmq" } & (
  | { atLeast: number }
  | { atMost: number }
  | { below: number }
);

/** Whether the figure reaches its target; null without one. */
export function isReached({ target, ratio, llmq }: Figure): boolean | null {
  if (target === null) return null;
  const value = target.of === "ratio" ? ratio : llmq;
  if (value === null) return false;
  if ("atLeast" in target) return value >= target.atLeast;
  return "below" in target ? value < target.below : value <= target.atMost;
}
