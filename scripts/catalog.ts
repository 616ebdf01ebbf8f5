import type pg from "pg";

/** What a schema consists of: one entry per object, its name and everything about it that counts. */
export type Catalog = Map<string, string>;

const acl = (column: string) => `(select array_agg(a::text order by a::text) from unnest(${column}) as a)`;
const comment = (oid: string, catalog: string, sub = "0") =>
  `(select d.description from pg_description d
    where d.objoid = ${oid} and d.classoid = '${catalog}'::regclass and d.objsubid = ${sub})`;
const ours = "select oid from pg_namespace where nspname = 'llmq'";

/** Each answers `name` and a jsonb `facts`. */
const queries: Record<string, string> = {
  schema: `select n.nspname as name, jsonb_build_object('acl', ${acl("n.nspacl")},
      'comment', ${comment("n.oid", "pg_namespace")}) as facts
    from pg_namespace n where n.nspname = 'llmq'`,
  relation: `select c.relname as name, jsonb_build_object('kind', c.relkind, 'persistence', c.relpersistence,
      'options', c.reloptions, 'acl', ${acl("c.relacl")}, 'comment', ${comment("c.oid", "pg_class")},
      'rls', array[c.relrowsecurity, c.relforcerowsecurity], 'partition key', pg_get_partkeydef(c.oid),
      'partition of', (select i.inhparent::regclass::text from pg_inherits i where i.inhrelid = c.oid),
      'bound', pg_get_expr(c.relpartbound, c.oid), 'replica identity', c.relreplident,
      'view', case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end,
      'index', case when c.relkind in ('i', 'I') then pg_get_indexdef(c.oid) end,
      'sequence', (select to_jsonb(s) - 'seqrelid' from pg_sequence s where s.seqrelid = c.oid)) as facts
    from pg_class c where c.relnamespace in (${ours})`,
  column: `select c.relname || '.' || a.attname as name, jsonb_build_object(
      'position', row_number() over (partition by c.oid order by a.attnum),
      'type', format_type(a.atttypid, a.atttypmod), 'not null', a.attnotnull, 'identity', a.attidentity,
      'generated', a.attgenerated, 'default', pg_get_expr(d.adbin, d.adrelid), 'storage', a.attstorage,
      'compression', a.attcompression, 'statistics', coalesce(nullif(a.attstattarget, -1)::int, -1),
      'collation', a.attcollation::regcollation::text, 'acl', ${acl("a.attacl")},
      'comment', ${comment("c.oid", "pg_class", "a.attnum")}) as facts
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where c.relnamespace in (${ours}) and c.relkind in ('r', 'p', 'v', 'm', 'c') and a.attnum > 0
      and not a.attisdropped`,
  constraint: `select coalesce(c.conrelid::regclass::text, c.contypid::regtype::text) || '.' || c.conname as name,
      jsonb_build_object('definition', pg_get_constraintdef(c.oid), 'validated', c.convalidated,
      'comment', ${comment("c.oid", "pg_constraint")}) as facts
    from pg_constraint c where c.connamespace in (${ours})`,
  function: `select p.oid::regprocedure::text as name, jsonb_build_object('definition', pg_get_functiondef(p.oid),
      'acl', ${acl("p.proacl")}, 'comment', ${comment("p.oid", "pg_proc")}) as facts
    from pg_proc p where p.pronamespace in (${ours}) and p.prokind <> 'a'`,
  trigger: `select t.tgrelid::regclass::text || '.' || t.tgname as name, jsonb_build_object(
      'definition', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled,
      'comment', ${comment("t.oid", "pg_trigger")}) as facts
    from pg_trigger t join pg_class c on c.oid = t.tgrelid
    where c.relnamespace in (${ours}) and not t.tgisinternal`,
  type: `select t.typname as name, jsonb_build_object('kind', t.typtype, 'base', format_type(t.typbasetype, t.typtypmod),
      'not null', t.typnotnull, 'default', t.typdefault, 'acl', ${acl("t.typacl")},
      'labels', (select array_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid),
      'comment', ${comment("t.oid", "pg_type")}) as facts
    from pg_type t where t.typnamespace in (${ours}) and t.typelem = 0`,
  policy: `select p.schemaname || '.' || p.tablename || '.' || p.policyname as name, to_jsonb(p) as facts
    from pg_policies p where p.schemaname = 'llmq'`,
  statistics: `select s.stxname as name, to_jsonb(pg_get_statisticsobjdef(s.oid)) as facts
    from pg_statistic_ext s where s.stxnamespace in (${ours})`,
  "default acl": `select d.defaclobjtype::text as name, to_jsonb(${acl("d.defaclacl")}) as facts
    from pg_default_acl d where d.defaclnamespace in (${ours})`,
};

/** Reads the schema `llmq`: objects, grants, comments, and the rows it begins with. */
export async function readCatalog(client: pg.Client): Promise<Catalog> {
  await client.query("set search_path = ''");
  const catalog: Catalog = new Map();
  for (const [kind, text] of Object.entries(queries)) {
    const { rows } = await client.query<{ name: string; facts: unknown }>(text);
    for (const { name, facts } of rows) catalog.set(`${kind} ${name}`, JSON.stringify(facts, null, 2));
  }
  const tables = await client.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace in (${ours}) and relkind = 'r' and not relispartition`,
  );
  for (const { name } of tables.rows) {
    const { rows } = await client.query<{ text: string }>(
      `select to_jsonb(t)::text as text from llmq."${name}" t order by 1`,
    );
    const text = rows.map((row) => row.text).join("\n");
    catalog.set(`rows of ${name}`, text.replaceAll(/"\d{4}-\d\d-\d\dT[^"]*"/g, '"a time"'));
  }
  return catalog;
}
