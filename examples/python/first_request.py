"""A first request from Python, with psycopg 3: DATABASE_URL=... python first_request.py

The README shows the same lines.
"""

import os

url = os.environ["DATABASE_URL"]

import json, psycopg

with psycopg.connect(url, autocommit=True) as db:
    with db.transaction():  # your own writes go here too: all of it commits, or nothing
        request_id = db.execute(
            "select llmq.submit_llm_request(agent_id => 'support', task_type => 'summary', messages => %s)",
            [json.dumps([{"role": "user", "content": "Summarise ticket 7: ..."}])],
        ).fetchone()[0]
    db.execute("call llmq.wait_for_llm_request(%s, '60 s')", [request_id])
    status, answer = db.execute(
        "select status, response from llmq.get_llm_request(%s)", [request_id]
    ).fetchone()

print(status, answer)
