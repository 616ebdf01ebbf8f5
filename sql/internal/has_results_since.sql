create function llmq.has_results_since(suffix text, since timestamptz) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_found boolean;
begin
  execute format('select exists (select from llmq.%I as f where f.finished_at >= $1)', 'results_' || suffix) into v_found using since;
  return v_found;
end
$$;
comment on function llmq.has_results_since(text, timestamptz) is 'Internal: whether a weekly partition holds requests that finished after a moment.';
