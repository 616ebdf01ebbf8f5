-- Inside a SECURITY DEFINER function current_user is the owner; the role a connection chose by SET ROLE, or
-- else logged in with, is who asks.
create function llmq.caller() returns name
language sql stable parallel safe
as $$ select coalesce(nullif(current_setting('role', true), 'none'), session_user::text)::name $$;
comment on function llmq.caller() is 'The role that called, also inside SECURITY DEFINER functions.';
