import { useState } from "preact/hooks";
import type { ValidationProblem } from "../../../src/http/dashboard/api-request-types.ts";
import { count } from "../format.ts";
import { type JsonLine, jsonLines } from "./json-lines.ts";

/** More lines than these are shown when asked for. */
const FIRST_LINES = 400;

export function JsonView({ value, problems = [] }: { value: unknown; problems?: ValidationProblem[] }) {
  const [isWhole, setWhole] = useState(false);
  const lines = jsonLines(value, problems);
  const lastProblem = lines.findLastIndex((line) => line.problems.length > 0);
  const shown = isWhole ? lines : lines.slice(0, Math.max(FIRST_LINES, lastProblem + 3));
  return (
    <>
      <pre class="code">
        {shown.map((line, index) => (
          // A line has no name but its place.
          <Line key={index} line={line} problems={problems} />
        ))}
      </pre>
      {shown.length < lines.length && (
        <button type="button" class="small" onClick={() => setWhole(true)}>
          Show all {count(lines.length)} lines
        </button>
      )}
    </>
  );
}

function Line({ line, problems }: { line: JsonLine; problems: ValidationProblem[] }) {
  const isWrong = line.problems.length > 0;
  return (
    <span class={isWrong ? "code-line wrong" : "code-line"}>
      {"  ".repeat(line.indent)}
      {line.key !== null && (
        <>
          <span class="json-key">{JSON.stringify(line.key)}</span>
          {": "}
        </>
      )}
      <span class={`json-${line.kind}`}>{line.text}</span>
      {line.comma}
      {line.problems.map((index) => (
        <mark key={index} id={`problem-${index}`} class="problem-mark">
          {problems[index]?.message}
        </mark>
      ))}
      {"\n"}
    </span>
  );
}

/** Text that is not JSON, marked where reading it failed. */
export function BrokenText({ text, problem }: { text: string; problem: ValidationProblem | undefined }) {
  const position = problem?.position ?? null;
  if (position === null) return <pre class="code wrap">{text}</pre>;
  const before = text.slice(0, position);
  const line = before.split("\n").length;
  const column = position - before.lastIndexOf("\n");
  const at = text.slice(position, position + 1);
  return (
    <pre class="code wrap">
      {before}
      <mark id="problem-0" class="problem-place" title={`line ${line}, column ${column}`}>
        {at === "" || at === "\n" ? "␃" : at}
      </mark>
      <mark class="problem-mark">
        {problem?.message} (line {line}, column {column})
      </mark>
      {at === "\n" ? "\n" : ""}
      {text.slice(position + 1)}
    </pre>
  );
}
