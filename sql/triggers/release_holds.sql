-- Who raises a limit or ends a pause, by function or by hand, expects requests to run at once, not when their
-- agent's turn in the sweep comes.
create function llmq.release_agent_holds() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform llmq.release_held((select array_agg(c.agent_id) from changed as c), 10000);
  perform pg_notify('llmq_wake', '');
  return null;
end
$$;
comment on function llmq.release_agent_holds() is 'Trigger: looks again at what is held because of agents whose limits were changed.';

create trigger release_holds_on_insert
after insert on llmq.agents
referencing new table as changed
for each statement execute function llmq.release_agent_holds();

create trigger release_holds_on_update
after update on llmq.agents
referencing old table as changed
for each statement execute function llmq.release_agent_holds();

create trigger release_holds_on_delete
after delete on llmq.agents
referencing old table as changed
for each statement execute function llmq.release_agent_holds();

create function llmq.release_route_holds() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform llmq.release_llm_holds(1, 10000);
  perform pg_notify('llmq_wake', '');
  return null;
end
$$;
comment on function llmq.release_route_holds() is 'Trigger: looks again at what is held because its route was paused.';

create trigger release_holds
after update or delete on llmq.routes
for each statement execute function llmq.release_route_holds();
