create function llmq.uuid_v7_time(id uuid) returns timestamptz
language sql immutable strict parallel safe
as $$
  select to_timestamp(('x' || lpad(substr(replace(id::text, '-', ''), 1, 12), 16, '0'))::bit(64)::bigint / 1000.0)
$$;
comment on function llmq.uuid_v7_time(uuid) is 'When a UUIDv7 was made, to the millisecond.';
