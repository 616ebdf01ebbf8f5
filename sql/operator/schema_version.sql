create function llmq.schema_version() returns int
language sql immutable parallel safe
as $$ select 1 $$;
comment on function llmq.schema_version() is
$$Version of this schema. Orchestrators start only on the version they were written for.$$;
