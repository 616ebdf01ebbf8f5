/** Reads what docs/sql-api.md is made of: the catalog and the comments of the schema `llmq`. */
import { readdir, readFile } from "node:fs/promises";
import type pg from "pg";
import { root } from "./sql-sources.ts";

export type Parameter = { name: string; type: string; default: string | null; out: boolean };

export type Routine = {
  name: string;
  kind: "function" | "procedure";
  parameters: Parameter[];
  /** As `pg_get_function_result` says it; null for a procedure. */
  result: string | null;
  comment: string;
};

export type Column = { name: string; type: string; default: string | null; comment: string | null };

/** A table, a view or a composite type. */
export type Relation = { name: string; kind: "table" | "view" | "type"; columns: Column[]; comment: string };

/** `llmq.x(...)` of each file in a folder of sql/, in the order of sql/all.sql. */
export async function namesCreatedIn(folder: string): Promise<string[]> {
  const contents = await readFile(`${root}sql/all.sql`, "utf8");
  const included = [...contents.matchAll(/^--!\s*include (\S+)$/gm)].map((match) => match[1] ?? "");
  const files = included.filter((path) => path.startsWith(`${folder}/`));
  const present = await readdir(`${root}sql/${folder}`);
  if (files.length !== present.length) throw new Error(`sql/all.sql does not include all of sql/${folder}`);
  const names: string[] = [];
  for (const path of files) {
    const source = await readFile(`${root}sql/${path}`, "utf8");
    for (const [, name] of source.matchAll(/^\s*create (?:function|procedure|table|view) llmq\.(\w+)/gm)) {
      if (name !== undefined && !names.includes(name)) names.push(name);
    }
  }
  return names;
}

/** By name; llmq has no overloads. Internal functions and those of triggers are left out. */
export async function readRoutines(client: pg.ClientBase): Promise<Map<string, Routine>> {
  const { rows } = await client.query<Routine>(ROUTINES);
  const told = rows.filter(({ comment }) => !/^(Internal|Trigger): /.test(comment));
  return new Map(told.map((row) => [row.name, row]));
}

export async function readRelations(client: pg.ClientBase): Promise<Map<string, Relation>> {
  const { rows } = await client.query<Relation>(RELATIONS);
  return new Map(rows.map((row) => [row.name, row]));
}

const ROUTINES = `
  select p.proname as name,
    case p.prokind when 'p' then 'procedure' else 'function' end as kind,
    pg_get_function_result(p.oid) as result,
    coalesce(obj_description(p.oid, 'pg_proc'), '') as comment,
    (
      select coalesce(jsonb_agg(jsonb_build_object(
        'name', a.name, 'type', format_type(a.type, null), 'out', a.mode in ('o', 'b', 't'),
        'default', pg_get_function_arg_default(p.oid, a.place::int)
      ) order by a.place) filter (where a.mode <> 't'), '[]')
      from unnest(
        coalesce(p.proallargtypes, p.proargtypes::oid[]),
        p.proargnames,
        coalesce(p.proargmodes, array_fill('i'::"char", array[p.pronargs::int]))
      ) with ordinality as a (type, name, mode, place)
      where a.type is not null
    ) as parameters
  from pg_proc as p
  where p.pronamespace = (select oid from pg_namespace where nspname = 'llmq') and p.prokind in ('f', 'p')
  order by p.proname`;

const RELATIONS = `
  select c.relname as name,
    case c.relkind when 'v' then 'view' when 'c' then 'type' else 'table' end as kind,
    coalesce(obj_description(c.oid, 'pg_class'), obj_description(c.reltype, 'pg_type'), '') as comment,
    (
      select jsonb_agg(jsonb_build_object(
        'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
        'default', pg_get_expr(d.adbin, d.adrelid), 'comment', col_description(c.oid, a.attnum)
      ) order by a.attnum)
      from pg_attribute as a
      left join pg_attrdef as d on d.adrelid = c.oid and d.adnum = a.attnum
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns
  from pg_class as c
  where c.relnamespace = (select oid from pg_namespace where nspname = 'llmq')
    and c.relkind in ('r', 'p', 'v', 'c') and not c.relispartition
  order by c.relname`;
