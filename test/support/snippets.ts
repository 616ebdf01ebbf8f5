/** Code blocks of Markdown pages, and psql's way of running those in SQL. */
import type pg from "pg";

export type Snippet = {
  language: string;
  code: string;
  /** The heading it stands under. */
  section: string;
  /** Line of its first line of code, from 1. */
  line: number;
  /** The reason in `<!-- not run: reason -->` above the block; null when there is none. */
  notRun: string | null;
  /** `<!-- repeated until it gives a row -->` stands above it: for what an orchestrator does in the meantime. */
  repeated: boolean;
};

export function snippetsOf(markdown: string): Snippet[] {
  const lines = markdown.split("\n");
  const snippets: Snippet[] = [];
  let section = "";
  for (let at = 0; at < lines.length; at += 1) {
    section = /^#+ (.*)$/.exec(lines[at] ?? "")?.[1] ?? section;
    const language = /^```(\w+)$/.exec(lines[at] ?? "")?.[1];
    if (language === undefined) continue;
    const end = lines.indexOf("```", at);
    const notRun = /^<!-- not run: (.+) -->$/.exec(lines[at - 1] ?? "")?.[1] ?? null;
    const repeated = /^<!-- repeated until .+ -->$/.test(lines[at - 1] ?? "");
    const code = lines.slice(at + 1, end).join("\n");
    snippets.push({ language, code, section, line: at + 2, notRun, repeated });
    at = end;
  }
  return snippets;
}

/**
 * Runs what psql would: statements one after the other, `\gset`, and variables as `:'name'`. Answers the rows of
 * the last statement as `psql -At -F ' | '` prints them, without spaces at the end.
 */
export async function runLikePsql(
  client: pg.ClientBase,
  code: string,
  variables: Map<string, string>,
): Promise<string> {
  let output = "";
  for (const { text, keeps } of statementsOf(code)) {
    const filled = text.replaceAll(/:'(\w+)'/g, (_, name: string) => {
      const value = variables.get(name);
      if (value === undefined) throw new Error(`the variable ${name} is not set`);
      return `'${value.replaceAll("'", "''")}'`;
    });
    const { rows } = await client.query<Record<string, string | null>>({ text: filled, types: asText });
    output = rows.map((row) => Object.values(row).join(" | ").trimEnd()).join("\n");
    if (!keeps) continue;
    if (rows.length !== 1) throw new Error(`\\gset got ${rows.length} rows from: ${text}`);
    for (const [name, value] of Object.entries(rows[0] ?? {})) variables.set(name, value ?? "");
  }
  return output;
}

const asText = { getTypeParser: () => (value: string) => value } as pg.CustomTypesConfig;

/** A statement ends with `;` or `\gset` at the end of a line, outside of dollar quotes. */
function statementsOf(code: string): { text: string; keeps: boolean }[] {
  const statements: { text: string; keeps: boolean }[] = [];
  let text = "";
  for (const line of code.split("\n")) {
    text += `${line}\n`;
    const end = /(;|\\gset)\s*(--.*)?$/.exec(line);
    if (end === null || text.split("$$").length % 2 === 0) continue;
    const keeps = end[1] === "\\gset";
    statements.push({ text: keeps ? text.replace("\\gset", "") : text, keeps });
    text = "";
  }
  if (text.replaceAll(/--.*$/gm, "").trim() !== "") throw new Error(`this statement does not end: ${text}`);
  return statements;
}
