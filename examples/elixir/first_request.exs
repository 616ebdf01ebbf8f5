# A first request from Elixir, with Postgrex: DATABASE_URL=... elixir first_request.exs
# The README shows the same lines.

Mix.install([{:postgrex, "~> 0.19"}, {:jason, "~> 1.4"}])

uri = URI.parse(System.fetch_env!("DATABASE_URL"))
[username | password] = String.split(uri.userinfo || "postgres", ":", parts: 2)

{:ok, db} =
  Postgrex.start_link(
    hostname: uri.host,
    port: uri.port || 5432,
    username: URI.decode(username),
    password: password |> List.first("") |> URI.decode(),
    database: String.trim_leading(uri.path, "/")
  )

messages = [%{role: "user", content: "Summarise ticket 7: ..."}]

%{rows: [[id]]} =
  Postgrex.query!(db,
    "select llmq.submit_llm_request(agent_id => $1, task_type => $2, messages => $3)",
    ["support", "summary", messages])

# Postgrex gives up after 15 s if it is not told otherwise.
Postgrex.query!(db, "call llmq.wait_for_llm_request($1, '60 s')", [id], timeout: 65_000)
%{rows: [[status, answer]]} =
  Postgrex.query!(db, "select status, response from llmq.get_llm_request($1)", [id])

IO.puts(status)
IO.puts(answer || "(no answer)")
