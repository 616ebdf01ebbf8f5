-- The smallest UUIDv7 of a moment: bounds of partitions, and "older than" without reading a time column.
create function llmq.uuid_v7_floor(at timestamptz) returns uuid
language sql immutable strict parallel safe
as $$
  select (
    lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7000' || '8000' || '000000000000'
  )::uuid
$$;
comment on function llmq.uuid_v7_floor(timestamptz) is
  'The smallest UUIDv7 whose time is the given one (to the millisecond): id >= llmq.uuid_v7_floor(now() - interval ''1 hour'').';
