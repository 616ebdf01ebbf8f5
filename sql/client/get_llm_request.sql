create function llmq.get_llm_request(request_id uuid) returns llmq.llm_requests
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_row llmq.llm_requests;
begin
  select v.* into v_row from llmq.all_llm_requests as v where v.id = request_id;
  if not found or not llmq.may_use_agent(v_row.agent_id) then
    perform llmq.raise_not_found(request_id);
  end if;
  return v_row;
end
$$;
comment on function llmq.get_llm_request(uuid) is
$$One request with its answer, as a row of the view llmq.llm_requests.
request_id: what the submit returned.
Errors: LQ002 unknown, removed by the retention, or another role's agent's.
Example: select status, response, parsed_response, error_message from llmq.get_llm_request('01890a5d-ac96-774b-bcce-b302099a8057');$$;
