/**
 * What the demo submits: one request per outcome that llmq knows. Each is the arguments of
 * `llmq.submit_llm_request`; `sim` tells the simulated model how to behave, everything after it is real.
 */
export type Scenario = {
  title: string;
  /** Named arguments of llmq.submit_llm_request. */
  submit: Record<string, unknown>;
  /** Asked of a real provider when there is a key. */
  realToo?: boolean;
  /** Given back for each tool call; the next turn is submitted with llmq.submit_tool_results. */
  toolResult?: unknown;
  /** Cancelled when it has run for so long. */
  cancelAfterMs?: number;
  /** How it must end; null: as the real model pleases. */
  expect: { status: "completed" | "failed" | "cancelled"; errorType?: string } | null;
};

const WEATHER_TOOL = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Current weather of a city",
    parameters: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    },
  },
};

const INVOICE_SCHEMA = {
  type: "object",
  properties: {
    vendor: { type: "string" },
    total: { type: "number" },
    paid: { type: "boolean" },
  },
  required: ["vendor", "total", "paid"],
  additionalProperties: false,
};

const TOOL_CALLS_SCHEMA = {
  type: "object",
  properties: {
    tool_calls: {
      type: "array",
      items: {
        type: "object",
        properties: {
          id: { type: "string" },
          tool_name: { type: "string", enum: ["get_weather"] },
          params: {
            type: "object",
            properties: { city: { type: "string" } },
            required: ["city"],
            additionalProperties: false,
          },
        },
        required: ["id", "tool_name", "params"],
        additionalProperties: false,
      },
    },
    final_response: { type: ["string", "null"] },
  },
  required: ["tool_calls", "final_response"],
  additionalProperties: false,
};

const user = (content: string) => [{ role: "user", content }];
const sim = (behaviour: object, more: object = {}) => ({ ...more, provider_options: { sim: behaviour } });

export const SCENARIOS: Scenario[] = [
  {
    title: "plain text",
    realToo: true,
    submit: {
      task_type: "chat",
      complexity: "simple",
      messages: user("Say hello in one short sentence."),
      settings: sim({ text: "Hello! How can I help you today?", latency_ms: 120 }),
    },
    expect: { status: "completed" },
  },
  {
    title: "structured answer",
    realToo: true,
    submit: {
      task_type: "extract",
      messages: user("Extract the invoice: ACME, 42.50 EUR, already paid. Answer as JSON."),
      response_schema: INVOICE_SCHEMA,
      settings: sim({ json: { vendor: "ACME", total: 42.5, paid: true }, latency_ms: 200 }),
    },
    expect: { status: "completed" },
  },
  {
    title: "native tool calls, two turns",
    realToo: true,
    submit: {
      task_type: "agent",
      complexity: "complex",
      messages: user("What is the weather in Lisbon? Use the tool, then answer in one sentence."),
      tools: [WEATHER_TOOL],
      settings: sim({
        tool_calls: [{ name: "get_weather", params: { city: "Lisbon" } }],
        text: "It is sunny in Lisbon, 21 degrees.",
        latency_ms: 150,
      }),
    },
    toolResult: { temperature: 21, sky: "sunny" },
    expect: { status: "completed" },
  },
  {
    title: "tool calls through a schema",
    realToo: true,
    submit: {
      task_type: "agent",
      messages: user(
        "You can call get_weather(city). Ask for the weather in Porto. Answer as JSON with tool_calls and final_response (null).",
      ),
      response_schema: TOOL_CALLS_SCHEMA,
      settings: sim({
        json: {
          tool_calls: [{ id: "call_1", tool_name: "get_weather", params: { city: "Porto" } }],
          final_response: null,
        },
        latency_ms: 150,
      }),
    },
    expect: { status: "completed" },
  },
  {
    title: "answer that needs repair",
    submit: {
      task_type: "extract",
      messages: user("Extract the invoice: Globex, 17 EUR, open."),
      response_schema: INVOICE_SCHEMA,
      settings: sim({
        text: '<think>the user wants JSON</think>Here it is:\n```json\n{\'vendor\': \'Globex\', "total": "17", "paid": false,}\n```',
        latency_ms: 100,
      }),
    },
    expect: { status: "completed" },
  },
  {
    title: "wrong answer, asked again",
    submit: {
      task_type: "extract",
      messages: user("Extract the invoice: Initech, 99 EUR, paid."),
      response_schema: INVOICE_SCHEMA,
      settings: sim(
        {
          answers: [{ json: { vendor: "Initech" } }, { json: { vendor: "Initech", total: 99, paid: true } }],
          latency_ms: 100,
        },
        { validation_retries: 1 },
      ),
    },
    expect: { status: "completed" },
  },
  {
    title: "broken JSON",
    submit: {
      task_type: "extract",
      messages: user("Extract the invoice."),
      response_schema: INVOICE_SCHEMA,
      settings: sim(
        { text: '{"vendor": "ACME", "total": 42.5, "pa', latency_ms: 80 },
        { validation_retries: 0 },
      ),
    },
    expect: { status: "failed", errorType: "malformed_response" },
  },
  {
    title: "schema violation",
    submit: {
      task_type: "agent",
      messages: user("Ask for the weather in Porto."),
      response_schema: TOOL_CALLS_SCHEMA,
      settings: sim(
        {
          json: {
            tool_calls: [{ id: "call_1", tool_name: "get_weather", params: "Porto" }],
            final_response: null,
          },
          latency_ms: 80,
        },
        { validation_retries: 0 },
      ),
    },
    expect: { status: "failed", errorType: "malformed_response" },
  },
  {
    title: "provider down, then back",
    submit: { task_type: "chat", model: "recovering", messages: user("Are you there?") },
    expect: { status: "completed" },
  },
  {
    title: "cancelled while running",
    cancelAfterMs: 300,
    submit: {
      task_type: "chat",
      messages: user("Think for a minute."),
      settings: sim({ latency_ms: 60_000, text: "too late" }),
    },
    expect: { status: "cancelled" },
  },
];
