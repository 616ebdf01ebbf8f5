/** Can requests be answered? Models, routes, keys, orchestrators. */
import type { Environment } from "../../config.ts";
import { count, counted } from "../format.ts";
import { type Check, fail, ok, oneRow, type Result, warn } from "./finding.ts";

type Model = { name: string; provider: string; paused: boolean; cooling: string | null };

const MODELS = `
select m.name, m.provider, m.paused or p.paused as paused,
  (select s.reason from llmq.model_state as s where s.lane = m.lane and s.cooling_until > clock_timestamp()) as cooling
from llmq.models as m join llmq.providers as p on p.name = m.provider
where p.kind <> 'external'
order by m.name`;

const models: Check = {
  name: "models",
  needsSchema: true,
  async run({ client }) {
    const { rows } = await client.query<Model>(MODELS);
    if (rows.length === 0) {
      return fail(
        "none is configured",
        "Set a provider's key and run llmq start, or: select llmq.configure_provider(...), llmq.configure_model(...);",
      );
    }
    const paused = rows.filter((model) => model.paused).map((model) => model.name);
    const cooling = rows.filter((model) => model.cooling !== null);
    return [
      paused.length === rows.length
        ? warn("all are paused", "select llmq.configure_model('...', paused => false);")
        : ok(`${rows.length}: ${rows.map((model) => model.name).join(", ")}`),
      ...cooling.map((model) =>
        warn(`${model.name} cools down: ${model.cooling}`, "llmq status shows until when."),
      ),
    ];
  },
};

const prices: Check = {
  name: "prices",
  needsSchema: true,
  async run({ client }) {
    const { rows } = await client.query<{ model: string; priced: boolean }>(
      "select distinct model, source is not null as priced from llmq.current_prices " +
        "where provider_kind not in ('sim', 'external') order by model",
    );
    if (rows.length === 0) return ok("no model costs anything");
    const without = rows.filter((row) => !row.priced).map((row) => row.model);
    if (without.length === 0) return ok("every model has one");
    return warn(
      `none for ${without.join(", ")}: such calls have no cost, and budgets do not count them`,
      `llmq prices --import looks once more, else: select llmq.configure_price('${without[0]}', input, output);`,
    );
  },
};

type Routes = { uncovered: string[]; unknown: string[] };

const ROUTES = `
select array(
    select c from unnest(array['simple', 'medium', 'complex']) as c
    where not exists (select from llmq.routes as r where r.task_type = '*' and r.complexity in (c, '*'))
  ) as uncovered,
  array(
    select distinct m from llmq.routes as r, unnest(r.models) as m
    where not exists (select from llmq.models as o where o.name = m) order by 1
  ) as unknown`;

const routes: Check = {
  name: "routes",
  needsSchema: true,
  async run({ client }) {
    const { uncovered, unknown } = await oneRow<Routes>(client, ROUTES);
    const findings: Result[] = [];
    if (uncovered.length > 0) {
      findings.push(
        warn(
          `no route for every task type of complexity ${uncovered.join(", ")}: such requests are refused (LQ003)`,
          `select llmq.configure_route('${uncovered[0]}', array['my-model']);`,
        ),
      );
    }
    if (unknown.length > 0) {
      findings.push(
        warn(
          `routes name models that do not exist: ${unknown.join(", ")}`,
          "Add them with llmq.configure_model(), or change the route.",
        ),
      );
    }
    return findings.length > 0 ? findings : ok("every complexity has one");
  },
};

type Provider = { name: string; variable: string };

const keys: Check = {
  name: "keys",
  needsSchema: true,
  async run({ client, env }) {
    const { rows } = await client.query<Provider>(
      "select p.name, p.api_key_env as variable from llmq.providers as p " +
        "where p.api_key_env is not null and not p.paused " +
        "and exists (select from llmq.models as m where m.provider = p.name) order by p.name",
    );
    if (rows.length === 0) return ok("no provider needs one");
    return rows.map((provider) => keyFinding(provider, env));
  },
};

function keyFinding({ name, variable }: Provider, env: Environment): Result {
  if ((env[variable]?.trim() ?? "") !== "") return ok(`${variable} is set (provider ${name})`);
  return fail(
    `${variable} is not set in this environment (provider ${name})`,
    "Set it wherever orchestrators run: keys are never in the database.",
  );
}

type Workers = { alive: number; lost: number; pending: number; versions: string[] };

const WORKERS = `
select count(*) filter (where w.heartbeat_at > clock_timestamp() - w.lost_after and not w.stopping)::int as alive,
  count(*) filter (where w.heartbeat_at <= clock_timestamp() - w.lost_after)::int as lost,
  (select coalesce(sum(d.requests), 0)::float8 from llmq.queue_depth as d where d.status = 'pending') as pending
from llmq.workers as w`;

const workers: Check = {
  name: "orchestrators",
  needsSchema: true,
  async run({ client }) {
    const { alive, lost, pending } = await oneRow<Workers>(client, WORKERS);
    const findings: Result[] = [];
    if (alive > 0) findings.push(ok(`${alive} alive`));
    else if (pending > 0) findings.push(fail(`none is alive, and ${count(pending)} wait`, "Run: llmq start"));
    else findings.push(warn("none is alive", "Run: llmq start"));
    if (lost > 0) {
      findings.push(
        warn(
          `${counted(lost, "orchestrator")} stopped without signing off`,
          "What they held is given back by the next one that runs, or by select llmq.recover_lost_llm_requests();",
        ),
      );
    }
    return findings;
  },
};

export const workChecks: Check[] = [models, routes, keys, prices, workers];
