import type { Suggestions } from "../../http/dashboard/api-request-types.ts";
import { type Read, tookTooLong } from "../reads.ts";

/** Newest requests that are looked at for names. */
const LOOKED_AT = 5_000;

type Row = { agents: string[] | null; task_types: string[] | null; error_types: string[] | null };

/** Names to fill filters with: of the newest requests, and of the configured models. */
export async function readSuggestions(read: Read): Promise<Suggestions> {
  const models = await read<{ name: string }>("select m.name from llmq.models as m order by 1 limit 500");
  const [row] = await read<Row>(
    `with v as materialized (
       select v.agent_id, v.task_type, v.error_type from llmq.llm_requests as v order by v.id desc limit ${LOOKED_AT}
     )
     select
       (select array_agg(a.agent_id order by a.agent_id) from (select distinct v.agent_id from v limit 200) as a) as agents,
       (select array_agg(t.task_type order by t.task_type) from (select distinct v.task_type from v limit 200) as t) as task_types,
       (select array_agg(e.error_type order by e.error_type) from (select distinct v.error_type from v where v.error_type is not null) as e) as error_types`,
  ).catch((error: unknown) => {
    if (tookTooLong(error)) return [];
    throw error;
  });
  return {
    models: models.map(({ name }) => name),
    agents: row?.agents ?? [],
    taskTypes: row?.task_types ?? [],
    errorTypes: row?.error_types ?? [],
  };
}
