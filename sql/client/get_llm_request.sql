create function llmq.get_llm_request(request_id uuid) returns llmq.llm_requests
language plpgsql stable security definer
set search_path = ''
as $$
declare
  v_row llmq.llm_requests;
begin
  select v.* into v_row from llmq.llm_requests as v where v.id = request_id;
  if not found then
    perform llmq.raise_not_found(request_id);
  end if;
  return v_row;
end
$$;
comment on function llmq.get_llm_request(uuid) is 'One request with its answer: select * from llmq.get_llm_request(id). Error: LQ002 unknown (or another role''s).';
