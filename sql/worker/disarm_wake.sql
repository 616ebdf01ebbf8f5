create function llmq.disarm_wake() returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if (select s.last_value from llmq.armed as s) = 1 then
    return false;
  end if;
  perform setval('llmq.armed', 1);
  return true;
end
$$;
comment on function llmq.disarm_wake() is
$$From now on submits do not notify: the orchestrators are busy and look by themselves. True when that was not so before.$$;
