/** What `llmq migrate` and a DBA have set up: schema, migrations, partitions, roles, pgmq. */
import { readdir, readFile } from "node:fs/promises";
import { readHistory } from "../../database/migration-history.ts";
import { schemaVersion } from "../../database/schema-version.ts";
import { counted } from "../format.ts";
import { type Check, fail, ok, oneRow, type Result, skip, warn } from "./finding.ts";

const schema: Check = {
  name: "schema",
  needsSchema: true,
  async run({ client }) {
    const { version } = await oneRow<{ version: number }>(client, "select llmq.schema_version() as version");
    if (version === schemaVersion) return ok(`version ${version}`);
    return fail(
      `version ${version}, this program needs ${schemaVersion}`,
      version < schemaVersion
        ? "Run: llmq migrate"
        : "Upgrade llmq to the version that migrated this database.",
    );
  },
};

const committed = new URL("../../../migrations/committed/", import.meta.url);

const migrations: Check = {
  name: "migrations",
  needsSchema: true,
  async run({ client }) {
    const hashes = await committedHashes();
    const history = await readHistory(client);
    if (history === undefined || history.length === 0) {
      return skip(
        "installed without graphile-migrate (dist/llmq.sql): only the schema's version was checked",
      );
    }
    if (history.some((row, index) => hashes[index] !== undefined && row.hash !== hashes[index])) {
      return fail("graphile-migrate's history here is not llmq's", "Run llmq migrate: it says more.");
    }
    const pending = hashes.length - history.length;
    if (pending > 0) return fail(`${counted(pending, "migration")} not applied yet`, "Run: llmq migrate");
    if (pending < 0) return fail("the database has migrations this program does not know", "Upgrade llmq.");
    return ok(`all ${history.length} applied`);
  },
};

/** graphile-migrate writes the hash into each file's header. */
async function committedHashes(): Promise<string[]> {
  const names = (await readdir(committed)).filter((name) => name.endsWith(".sql")).sort();
  const texts = await Promise.all(names.map((name) => readFile(new URL(name, committed), "utf8")));
  return texts.map((text) => /^--! Hash: (\S+)/m.exec(text)?.[1] ?? "");
}

type Partitions = { this_week: number; next_week: number };

const PARTITIONS = `
select count(*) filter (where w.n = 0 and w.name is not null)::int as this_week,
  count(*) filter (where w.n = 1 and w.name is not null)::int as next_week
from (
  select n, to_regclass(format('llmq.%I', p || '_' || to_char(date_trunc('week', now() at time zone 'UTC') + n * interval '7 days', 'YYYYMMDD'))) as name
  from unnest(array['requests', 'results', 'attempts']) as p, unnest(array[0, 1]) as n
) as w`;

const partitions: Check = {
  name: "partitions",
  needsSchema: true,
  async run({ client }) {
    const todo = "select llmq.ensure_partitions(); orchestrators and llmq migrate do it too.";
    const found = await oneRow<Partitions>(client, PARTITIONS);
    if (found.this_week < 3) return fail("this week's partitions are missing", todo);
    if (found.next_week < 3) return warn("next week's partitions are missing", todo);
    const { strays } = await oneRow<{ strays: string[] }>(
      client,
      "select array_remove(array[" +
        "case when exists (select from llmq.requests_default) then 'llmq.requests_default' end, " +
        "case when exists (select from llmq.results_default) then 'llmq.results_default' end, " +
        "case when exists (select from llmq.attempts_default) then 'llmq.attempts_default' end], null) as strays",
    );
    if (strays.length === 0) return ok("made ahead; the default partitions are empty");
    return warn(
      `there are rows in ${strays.join(", ")}`,
      "They came while a week's partition was missing. They work where they are; select llmq.ensure_partitions() moves those of coming weeks.",
    );
  },
};

type Roles = { name: string; granted: boolean }[];

/** One privilege stands for each role's grants; a role that does not exist is left out. */
const ROLES = `
select r.rolname::text as name, bool_and(coalesce(
  case r.rolname
    when 'llmq_reader' then has_table_privilege(r.oid, 'llmq.queue_depth', 'select')
    else has_function_privilege(r.oid, (
      select p.oid from pg_catalog.pg_proc as p join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
      where n.nspname = 'llmq' and p.proname = case r.rolname
        when 'llmq_client' then 'submit_llm_request' when 'llmq_worker' then 'claim_pending_llm_requests' else 'configure_provider' end
    ), 'execute')
  end, false)) as granted
from pg_catalog.pg_roles as r
where r.rolname in ('llmq_client', 'llmq_worker', 'llmq_reader', 'llmq_admin')
group by r.rolname
order by r.rolname`;

const roles: Check = {
  name: "roles",
  needsSchema: true,
  async run({ client }) {
    const { rows } = await client.query<Roles[number]>(ROLES);
    const without = rows.filter((role) => !role.granted).map((role) => role.name);
    const own = await oneRow<{ name: string; claims: boolean }>(
      client,
      "select current_user::text as name, bool_and(has_function_privilege(p.oid, 'execute')) as claims " +
        "from pg_catalog.pg_proc as p join pg_catalog.pg_namespace as n on n.oid = p.pronamespace " +
        "where n.nspname = 'llmq' and p.proname = 'claim_pending_llm_requests'",
    );
    const findings: Result[] = [];
    if (without.length > 0) {
      findings.push(
        warn(
          `${without.join(", ")} lack their grants`,
          "As the owner of the schema: select llmq.grant_roles();",
        ),
      );
    } else if (rows.length === 0) {
      findings.push(
        skip("none of llmq_client, llmq_worker, llmq_reader, llmq_admin exists: only the owner uses llmq"),
      );
    } else {
      findings.push(ok(`granted: ${rows.map((role) => role.name).join(", ")}`));
    }
    if (!own.claims) {
      findings.push(
        warn(
          `${own.name} may not run an orchestrator`,
          `To let it: grant llmq_worker to "${own.name}"; select llmq.grant_roles();`,
        ),
      );
    }
    return findings;
  },
};

type Pgmq = {
  available: boolean;
  installed: boolean;
  enabled: boolean;
  missing: string[];
  set_aside: number;
};

const PGMQ = `
select exists (select from pg_catalog.pg_available_extensions as e where e.name = 'pgmq') as available,
  exists (select from pg_catalog.pg_extension as e where e.extname = 'pgmq') as installed,
  coalesce((select s.value = 'true' from llmq.settings as s where s.name = 'pgmq'), false) as enabled,
  array(
    select q from unnest(array['llm_requests', 'llm_results', 'job_results', 'approval_responses', 'question_responses']) as q
    where not exists (
      select from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
      where n.nspname = 'pgmq' and c.relname = 'q_' || q
    )
  ) as missing,
  (select count(*) from llmq.set_aside)::int as set_aside`;

const pgmq: Check = {
  name: "pgmq",
  needsSchema: true,
  async run({ client }) {
    const found = await oneRow<Pgmq>(client, PGMQ);
    const findings = [pgmqFinding(found)];
    if (found.set_aside > 0) {
      findings.push(
        warn(
          `${counted(found.set_aside, "message")} could not be handled`,
          "select * from llmq.set_aside; mend the cause, send them again, delete the rows.",
        ),
      );
    }
    return findings;
  },
};

function pgmqFinding({ available, installed, enabled, missing }: Pgmq): Result {
  if (!installed && enabled) {
    return fail(
      "the copy is on and the extension is gone",
      "create extension pgmq; or: update llmq.settings set value = 'false' where name = 'pgmq';",
    );
  }
  if (!installed) {
    return skip(
      available
        ? "available, not used (create extension pgmq; then llmq migrate)"
        : "not available on this server; all else works",
    );
  }
  if (!enabled) return warn("installed, and the copy is off", "To use it: select llmq.enable_pgmq();");
  if (missing.length > 0)
    return fail(`queues are missing: ${missing.join(", ")}`, "select llmq.enable_pgmq();");
  return ok("installed, enabled, all queues there");
}

export const schemaChecks: Check[] = [schema, migrations, partitions, roles, pgmq];
