/** docs/sql-api.md as text. Comments keep to a form: a line `name: ...` is about that parameter. */
import type pg from "pg";
import { sqlErrors } from "../src/errors.ts";
import {
  type Column,
  namesCreatedIn,
  type Parameter,
  type Relation,
  type Routine,
  readRelations,
  readRoutines,
} from "./sql-reference.ts";

type Comment = { text: string[]; parameters: Map<string, string>; labelled: Map<string, string> };

const LABELS = ["Returns", "Errors", "Error", "Example"];

const INTRODUCTION = `# SQL API

<!-- Made by \`npm run docs\` from the comments in sql/. Change those, not this file. -->

Everything here is in the schema \`llmq\`, and every text below is a \`COMMENT ON\`: \`\\df+ llmq.*\` and
\`\\d+ llmq.requests\` show the same in psql.

Call functions with named arguments (\`agent_id => 'support'\`): new parameters may come, with defaults, in any
place. Times are \`timestamptz\`, durations \`interval\`, ids UUIDv7. An error has an SQLSTATE of the class LQ
([the catalogue](#errors)), a message for people, a DETAIL with the values and a HINT with the next step. Test
the SQLSTATE, never the message.

| for | role | functions |
|---|---|---|
| applications | \`llmq_client\` | [sql/client](#for-applications) |
| workers: the orchestrator, or your own | \`llmq_worker\` | [sql/worker](#for-workers) |
| operators and DBAs | \`llmq_admin\` | [sql/operator](#for-operators) |
| monitoring | \`llmq_reader\` | [views](#views) and some [tables](#tables), without prompts and answers |
`;

const SECTIONS = [
  {
    title: "For applications",
    folder: "client",
    text: "`INSERT INTO llmq.llm_requests` submits as well, for ORMs: see the [view](#llm_requests).",
  },
  {
    title: "For workers",
    folder: "worker",
    text: "The orchestrator uses the functions for batches; `mark_*` are the same for one request. [providers.md](providers.md#external-workers) has a worker of one's own, from start to end.",
  },
  {
    title: "For operators",
    folder: "operator",
    text: "[operations.md](operations.md) says when to use which.",
  },
];

/** The page, from a database that has the schema. */
export async function sqlReferencePage(client: pg.ClientBase): Promise<string> {
  const routines = await readRoutines(client);
  const relations = await readRelations(client);
  const parts = [INTRODUCTION];
  const shown = new Set<string>();
  const routinesOf = (names: string[]) =>
    names.flatMap((name) => {
      const routine = routines.get(name);
      if (routine === undefined || shown.has(name)) return [];
      shown.add(name);
      return [routineSection(routine)];
    });
  for (const { title, folder, text } of SECTIONS) {
    parts.push(`## ${title}\n\n${text}\n`, ...routinesOf(await namesCreatedIn(folder)));
  }
  parts.push("## Helpers\n", ...routinesOf([...routines.keys()]));
  const relationsOf = (names: string[]) =>
    names.flatMap((name) => relationSection(relations.get(name)) ?? []);
  parts.push("## Views\n", ...relationsOf(await namesCreatedIn("views")));
  parts.push("## Tables\n", ...relationsOf(await namesCreatedIn("tables")));
  parts.push("## Types\n", ...relationsOf(["claimed_request"]));
  parts.push(errorSection());
  return `${parts.join("\n").trimEnd()}\n`;
}

/** Names of parameters whose meaning the comment does not say. */
export function unexplainedParameters(routine: Routine): string[] {
  const { parameters } = readComment(routine.comment, routine.parameters);
  return routine.parameters.filter(({ name }) => !parameters.has(name)).map(({ name }) => name);
}

function readComment(comment: string, parameters: Parameter[]): Comment {
  const names = parameters.map(({ name }) => name);
  const read: Comment = { text: [], parameters: new Map(), labelled: new Map() };
  for (const line of comment.split("\n")) {
    const [, name = "", rest = ""] = /^(\w+): (.*)$/.exec(line) ?? [];
    if (names.includes(name)) read.parameters.set(name, rest);
    else if (LABELS.includes(name)) read.labelled.set(name === "Error" ? "Errors" : name, rest);
    else if (line !== "") read.text.push(line);
  }
  return read;
}

function routineSection(routine: Routine): string {
  const { text, parameters, labelled } = readComment(routine.comment, routine.parameters);
  const lines = [`### ${routine.name}`, "", "```", signature(routine), "```", "", ...text.map(prose), ""];
  if (parameters.size > 0) {
    const rows = routine.parameters.map((one) => [
      code(one.name),
      code(shortType(one.type)),
      one.default === null ? "" : code(readable(one.default)),
      prose(parameters.get(one.name) ?? ""),
    ]);
    lines.push(table(["parameter", "type", "default", ""], rows), "");
  }
  for (const label of ["Returns", "Errors"]) {
    const said = labelled.get(label);
    if (said !== undefined) lines.push(`${label}: ${prose(said)}`, "");
  }
  const example = labelled.get("Example");
  if (example !== undefined) lines.push("<!-- not run: made-up values -->", "```sql", example, "```", "");
  return lines.join("\n");
}

function signature(routine: Routine): string {
  const needed = routine.parameters.filter((one) => one.default === null).map((one) => one.name);
  const optional = routine.parameters.filter((one) => one.default !== null).map((one) => one.name);
  const given = needed.join(", ");
  const left = optional.length === 0 ? "" : `[${needed.length > 0 ? ", " : ""}${optional.join(", ")}]`;
  const call = `llmq.${routine.name}(${given}${left})`;
  return routine.kind === "procedure" ? `call ${call}` : `${call} -> ${shortType(routine.result ?? "void")}`;
}

function relationSection(relation: Relation | undefined): string | null {
  if (relation === undefined || relation.comment.startsWith("Internal: ")) return null;
  const rows = relation.columns.map((column) => [
    code(column.name),
    code(shortType(column.type)),
    ...(relation.kind === "table" ? [defaultOf(column)] : []),
    prose(column.comment ?? ""),
  ]);
  const head = ["column", "type", ...(relation.kind === "table" ? ["default"] : []), ""];
  const text = relation.comment.split("\n").map(prose);
  return [`### ${relation.name}`, "", ...text, "", table(head, rows), ""].join("\n");
}

function defaultOf(column: Column): string {
  return column.default === null ? "" : code(readable(column.default));
}

function errorSection(): string {
  const rows = sqlErrors.map((error) => [
    code(error.code),
    code(error.name),
    prose(error.meaning),
    prose(error.whatToDo),
  ]);
  const text =
    "Other SQLSTATEs keep Postgres' own meaning: `40001` asks for the transaction again (two transactions " +
    "submitted the same idempotency_key under REPEATABLE READ), `42501` is a missing right, `2D000` a wait " +
    "inside a transaction.";
  return ["## Errors", "", table(["SQLSTATE", "name", "meaning", "next step"], rows), "", text, ""].join(
    "\n",
  );
}

/** `'medium'::text` as `'medium'`; an interval as it was written. */
function readable(expression: string): string {
  return expression
    .replace(/^NULL::.*$/, "null")
    .replace(/^('(?:[^']|'')*')::[a-z ]+(\[\])?$/, "$1")
    .replaceAll("'00:00:20'", "'20 seconds'")
    .replaceAll("'00:00:30'", "'30 seconds'")
    .replaceAll("'28 days'", "'4 weeks'");
}

function shortType(type: string): string {
  return type.replaceAll("timestamp with time zone", "timestamptz").replace(/^SETOF /, "setof ");
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`.replaceAll(/ {2,}(?=\|)/g, " ");
  return [line(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(line)].join("\n");
}

function code(text: string): string {
  return `\`${text.replaceAll("|", "\\|")}\``;
}

/** Text of a comment as Markdown: shapes, calls and qualified names as code, nothing else with a meaning. */
function prose(text: string): string {
  const shapes =
    /\[\{.*?\}\](?!\})|\{"(?:[^{}]|\{[^{}]*\})*\}|\["[^\]]*\]|\bllmq\.[a-z_0-9]+(?:\.[a-z_0-9]+)*(?:\([^)]*\))?|\bLQ\d{3}\b/g;
  let from = 0;
  let marked = "";
  for (const match of text.matchAll(shapes)) {
    marked += plain(text.slice(from, match.index)) + code(match[0]);
    from = match.index + match[0].length;
  }
  return marked + plain(text.slice(from));
}

function plain(text: string): string {
  return text.replaceAll(/[*<|]/g, "\\$&").replaceAll(/(?<!\w)_|_(?!\w)/g, "\\_");
}
