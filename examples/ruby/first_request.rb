# A first request from Ruby, with the gem pg: DATABASE_URL=... ruby first_request.rb
# It waits by LISTEN: nothing holds a query open meanwhile.

require "json"
require "pg"

db = PG.connect(ENV.fetch("DATABASE_URL"))
db.exec('listen "llmq_result:support"') # llmq.result_channel('support')

messages = [{ role: "user", content: "Summarise ticket 7: ..." }]
id = db.transaction do # your own writes go here too: all of it commits, or nothing
  db.exec_params(
    "select llmq.submit_llm_request(agent_id => 'support', task_type => 'summary', messages => $1)",
    [messages.to_json]
  ).getvalue(0, 0)
end

# A notification is a hint: it is the status that counts, so it is looked at every few seconds all the same.
give_up_at = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 60
until %w[completed failed cancelled].include?(db.exec_params("select llmq.status_of($1)", [id]).getvalue(0, 0))
  abort "no answer within 60 s" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > give_up_at
  db.wait_for_notify(5)
end

row = db.exec_params("select status, response from llmq.get_llm_request($1)", [id]).first
puts row["status"]
puts row["response"] || "(no answer)"
