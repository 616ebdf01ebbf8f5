-- "I am going to sleep: notify me." A submitter that read the flag before this and commits later is not
-- heard, so look again a few times within the first milliseconds; beyond that it costs one poll.
create function llmq.arm_wake() returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if (select s.last_value from llmq.armed as s) = 2 then
    return false;
  end if;
  perform setval('llmq.armed', 2);
  return true;
end
$$;
comment on function llmq.arm_wake() is
$$From now on a submit sends NOTIFY llmq_wake. True when that was not so before: then look once more, a submit may have slipped in.$$;
