/** How the demo is shown: a line per event while it runs, and a table at the end. */
import { styleText } from "node:util";
import type { Finished, Story } from "./run-scenarios.ts";

const COLOURS = {
  completed: "green",
  failed: "red",
  cancelled: "yellow",
  pending: "gray",
  processing: "gray",
} as const;

export function eventLine(elapsedMs: number, title: string, text: string): string {
  const time = `${(elapsedMs / 1000).toFixed(2).padStart(6)} s`;
  return `${styleText("gray", time)}  ${title.padEnd(30)} ${text}`;
}

export function table(stories: Story[], width: number): string {
  const lines = [styleText("bold", `${"request".padEnd(30)} ${"status".padEnd(10)} calls  what came of it`)];
  for (const { scenario, turns } of stories) {
    for (const [index, turn] of turns.entries()) {
      const title = index === 0 ? scenario.title : `  turn ${index + 1}`;
      const status = styleText(COLOURS[turn.status], turn.status.padEnd(10));
      const [first = "", ...more] = outcome(turn);
      const room = Math.max(width - 50, 30);
      lines.push(`${title.padEnd(30)} ${status} ${String(turn.calls).padStart(5)}  ${clip(first, room)}`);
      for (const line of more) lines.push(`${" ".repeat(49)}${styleText("gray", clip(line, room))}`);
    }
  }
  return lines.join("\n");
}

/** True when every request ended as its scenario says it must. */
export function asExpected(story: Story): boolean {
  const last = story.turns.at(-1);
  if (story.scenario.expect === null) return last !== undefined;
  const { status, errorType } = story.scenario.expect;
  return last?.status === status && (errorType === undefined || last.error_type === errorType);
}

function outcome(turn: Finished): string[] {
  const lines: string[] = [];
  if (turn.status === "completed") {
    lines.push(turn.parsed_response === null ? (turn.response ?? "") : JSON.stringify(turn.parsed_response));
  } else {
    lines.push(`${turn.error_type === null ? "" : `${turn.error_type}: `}${turn.error_message ?? ""}`);
  }
  if (Array.isArray(turn.validation_errors)) {
    for (const error of turn.validation_errors.slice(0, 3)) lines.push(JSON.stringify(error));
  }
  if (turn.repairs !== null) lines.push(`repairs: ${turn.repairs.join(", ")}`);
  return lines;
}

function clip(text: string, length: number): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length <= length ? line : `${line.slice(0, length - 1)}…`;
}
