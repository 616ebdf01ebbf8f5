-- A worker that lost a request and claimed it again may report both claims in one batch, and a report may be
-- sent twice. Claim numbers grow, so only the newest of a request can still hold it; 0 stands for none given.
create function llmq.newest_claims(reports jsonb)
returns table (place bigint, report jsonb, request_id uuid, claim_id bigint, newest boolean)
language sql immutable
as $$
  select
    r.place, r.report, r.request_id, r.claim_id,
    row_number() over (partition by r.request_id order by r.claim_id desc, r.place) = 1
  from (
    select
      e.place, e.report, (e.report ->> 'request_id')::uuid as request_id,
      coalesce((e.report ->> 'claim_id')::bigint, 0) as claim_id
    from jsonb_array_elements(reports) with ordinality as e (report, place)
  ) as r
$$;
comment on function llmq.newest_claims(jsonb) is 'Internal: the elements of a batch of outcomes; newest marks the one report of each request that may change it.';
