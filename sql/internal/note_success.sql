-- A model that answers is well: its next cool-down starts short again.
create function llmq.note_success(request_ids uuid[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from llmq.model_state as s where s.cooldowns > 0) then
    -- Rows that somebody else holds are skipped: a hint is not worth a deadlock with llmq.cool_down().
    update llmq.model_state as s
    set cooldowns = 0, updated_at = clock_timestamp()
    where s.lane = any (array(
      select w.lane
      from llmq.model_state as w
      where w.cooldowns > 0
        and (w.cooling_until is null or w.cooling_until <= clock_timestamp())
        and w.lane in (
          select m.lane
          from llmq.models as m
          where m.name in (select f.model from llmq.results as f where f.id = any (request_ids))
        )
      for update skip locked
    ));
  end if;
end
$$;
comment on function llmq.note_success(uuid[]) is 'Internal: forgets past cool-downs of the models that answered.';
