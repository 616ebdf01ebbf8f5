-- One number for an agent in a lane and priority: what whoever ranks its requests locks, and what its ranked
-- requests are indexed by. Two agents with the same number would share their turns, and nothing else.
create function llmq.ranking_key(lane int, priority int, agent_id text) returns bigint
language sql immutable parallel safe
as $$ select hashtextextended(agent_id, (lane::bigint << 9) + priority + 100) $$;
comment on function llmq.ranking_key(int, int, text) is 'Internal: the advisory lock of whoever ranks the requests of an agent in a lane and priority, and their place in the index queue_ready_by_agent.';
