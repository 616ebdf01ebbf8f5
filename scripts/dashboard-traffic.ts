/** Traffic for the dashboard's pictures: a few agents and simulated models, with everything that can go wrong. */
import type { Pool } from "pg";

const AGENTS: [name: string, perSecond: number][] = [
  ["support-triage", 2.2],
  ["invoice-reader", 1.4],
  ["research", 0.5],
  ["nightly-summaries", 0.9],
];

const INVOICE = {
  type: "object",
  properties: {
    vendor: { type: "string" },
    total: { type: "number" },
    currency: { enum: ["EUR", "USD"] },
    lines: {
      type: "array",
      items: {
        type: "object",
        properties: { text: { type: "string" }, amount: { type: "number" } },
        required: ["text", "amount"],
      },
    },
  },
  required: ["vendor", "total", "currency", "lines"],
};

const TOOL = {
  type: "function",
  function: {
    name: "search_documents",
    description: "Search the handbook",
    parameters: { type: "object", properties: { query: { type: "string" } }, required: ["query"] },
  },
};

/** Models and routes of the simulated provider. */
export async function configureTraffic(pool: Pool): Promise<void> {
  await pool.query(`
    select llmq.configure_provider('sim', 'sim');
    select llmq.configure_model('small', 'sim', 'sim-small-2', requests_per_minute => 240, max_concurrency => 8);
    select llmq.configure_model('large', 'sim', 'sim-large-1', requests_per_minute => 300, input_tokens_per_minute => 400000, max_concurrency => 6);
    select llmq.configure_model('reasoning', 'sim', 'sim-think-1', max_concurrency => 5);
    select llmq.configure_model('batch', 'sim', 'sim-small-2-batch');
    select llmq.configure_price('small', 0.15, 0.6), llmq.configure_price('large', 1.2, 6), llmq.configure_price('reasoning', 2, 10), llmq.configure_price('batch', 0.1, 0.4);
    select llmq.configure_route('simple', array['small', 'large']);
    select llmq.configure_route('medium', array['large', 'small']);
    select llmq.configure_route('complex', array['reasoning', 'large']);
    select llmq.configure_agent('support-triage', weight => 3, daily_budget_usd => 5);
    select llmq.configure_agent('research', daily_budget_usd => 20, monthly_budget_usd => 400);
    select llmq.configure_agent('nightly-summaries', weight => 0.5, max_concurrency => 4);
    update llmq.settings set value = '"400 milliseconds"' where name = 'retry_base'`);
}

/** Submits until it is told to stop. */
export async function feed(pool: Pool, signal: AbortSignal): Promise<void> {
  for (let tick = 0; !signal.aborted; tick++) {
    const wave = 1 + 0.6 * Math.sin(tick / 70);
    for (const [agent, perSecond] of AGENTS) {
      if (Math.random() < (perSecond * wave) / 5) await submit(pool, agent).catch(ignoreWhen(signal));
    }
    if (tick % 25 === 0) await takeToolTurns(pool).catch(ignoreWhen(signal));
    await new Promise((wake) => setTimeout(wake, 200));
  }
}

const ignoreWhen = (signal: AbortSignal) => (error: unknown) => {
  if (!signal.aborted) throw error;
};

async function submit(pool: Pool, agent: string): Promise<void> {
  const request = requestOf(agent);
  const names = Object.keys(request);
  const values = Object.values(request).map((value) =>
    typeof value === "object" ? JSON.stringify(value) : value,
  );
  const list = names.map((name, index) => `${name} => $${index + 2}`).join(", ");
  await pool.query(`select llmq.submit_llm_request(agent_id => $1, ${list})`, [agent, ...values]);
}

const pick = <T>(...items: T[]): T => items[Math.floor(Math.random() * items.length)] as T;
const user = (content: string) => [{ role: "user", content }];
const sim = (behaviour: object, more: object = {}) => ({ provider_options: { sim: behaviour }, ...more });
const usage = (inputTokens: number, outputTokens: number) => ({
  usage: {
    inputTokens: Math.round(inputTokens * (0.5 + Math.random())),
    outputTokens: Math.round(outputTokens * (0.5 + Math.random())),
  },
});
const latency = (ms: number) => ({ latency_ms: ms, jitter_ms: ms * 2 });

function requestOf(agent: string): Record<string, unknown> {
  if (agent === "invoice-reader") return invoice();
  if (agent === "research") {
    return {
      task_type: "answer",
      complexity: "complex",
      messages: [
        { role: "system", content: "Answer from the handbook. Search before you answer." },
        ...user(pick("How long may a contractor keep a laptop?", "Who approves a trip to a conference?")),
      ],
      tools: [TOOL],
      settings: sim({
        tool_calls: [{ name: "search_documents", params: { query: "laptop return contractor" } }],
        text: "Until the last day of the contract; the office manager takes it back (handbook, 4.2).",
        ...latency(2_200),
        ...usage(3_800, 420),
      }),
    };
  }
  if (agent === "nightly-summaries") {
    return {
      task_type: "summary",
      complexity: "simple",
      ...(Math.random() < 0.1 ? { model: "batch" } : {}),
      messages: user("Summarise yesterday's tickets of the region north."),
      settings: sim(
        Math.random() < 0.04
          ? { error: { status: 500, message: "internal error at the provider", times: 3 } }
          : {
              text: "Twelve tickets, two of them still open: a refund and a late parcel.",
              ...latency(700),
              ...usage(5_200, 180),
            },
      ),
      max_attempts: 3,
    };
  }
  return {
    task_type: "triage",
    complexity: pick("simple", "simple", "medium"),
    priority: pick(0, 0, 10),
    messages: user(
      pick(
        "My parcel came late and the box is torn.",
        "I was charged twice in March.",
        "Where do I change my address?",
      ),
    ),
    settings: sim({ text: pick("delivery", "billing", "account"), ...latency(350), ...usage(420, 12) }),
  };
}

function invoice(): Record<string, unknown> {
  const good = {
    vendor: "Globex",
    total: 118.9,
    currency: "EUR",
    lines: [
      { text: "Paper, A4", amount: 18.9 },
      { text: "Toner", amount: 100 },
    ],
  };
  const broken =
    '{"vendor": "Initech", "total": 64.2, "currency": "EUR", "lines": [{"text": "Stapler" "amount": 64.2}]}';
  const wrong = {
    vendor: "ACME",
    total: "42,50",
    currency: "CHF",
    lines: [{ text: "Rope, 20 m" }, { text: "Anvil", amount: "31" }],
  };
  const chance = Math.random();
  const answer = chance < 0.05 ? { text: broken } : chance < 0.12 ? { json: wrong } : { json: good };
  return {
    task_type: "extract",
    complexity: "medium",
    messages: user(
      "Extract the invoice below as JSON.\n\nGlobex GmbH\nPaper, A4 ........ 18.90\nToner ........... 100.00\nTotal EUR ....... 118.90",
    ),
    response_schema: INVOICE,
    settings: sim(
      { ...answer, ...latency(900), ...usage(1_900, 240) },
      { validation_retries: chance < 0.12 && chance > 0.09 ? 1 : 0 },
    ),
  };
}

/** As an agent would: runs the tools it was asked for, and hands their results back. */
async function takeToolTurns(pool: Pool): Promise<void> {
  await pool.query(
    `select llmq.submit_tool_results(r.id, (
       select jsonb_agg(jsonb_build_object('id', c ->> 'id', 'result', '{"found": ["handbook 4.2: equipment goes back on the last day"]}'::jsonb))
       from jsonb_array_elements(r.parsed_response -> 'tool_calls') as c
     ))
     from llmq.llm_requests as r
     where r.status = 'completed' and r.agent_id = 'research' and r.next_request_id is null
       and jsonb_array_length(r.parsed_response -> 'tool_calls') > 0
     limit 20`,
  );
}
