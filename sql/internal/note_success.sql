-- A model that answers is well: its next cool-down starts short again.
create function llmq.note_success(request_ids uuid[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from llmq.model_state as s where s.cooldowns > 0) then
    update llmq.model_state as s
    set cooldowns = 0, updated_at = clock_timestamp()
    where s.cooldowns > 0
      and (s.cooling_until is null or s.cooling_until <= clock_timestamp())
      and s.lane in (
        select m.lane
        from llmq.models as m
        where m.name in (select f.model from llmq.results as f where f.id = any (request_ids))
      );
  end if;
end
$$;
comment on function llmq.note_success(uuid[]) is 'Internal: forgets past cool-downs of the models that answered.';
