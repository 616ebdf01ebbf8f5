import { describe, expect, test } from "vitest";
import { createAnswerChecker } from "../../src/answer/answer-checker.ts";
import { createLadderMemory } from "../../src/answer/output-ladder.ts";
import type { ClaimedRequest, CompletedOutcome, RuntimeSettings } from "../../src/database/queue.ts";
import {
  type AbortReason,
  type ProcessDependencies,
  processRequest,
} from "../../src/orchestrator/process-request.ts";
import type {
  CallFacts,
  ChatTool,
  ErrorClass,
  Provider,
  ProviderOutcome,
  ProviderRequest,
} from "../../src/providers/provider.ts";

const facts: CallFacts = {
  startedAt: new Date(0),
  latencyMs: 12,
  firstByteMs: 3,
  statusCode: 200,
  providerRequestId: "req_1",
  usage: { inputTokens: 10, outputTokens: 5, cachedInputTokens: 0, reasoningTokens: 0 },
};
const settings: RuntimeSettings = {
  validationRetries: 1,
  callTimeoutMs: 600_000,
  firstByteTimeoutMs: 300_000,
  connectTimeoutMs: 10_000,
};
const schema = { type: "object", properties: { a: { type: "number" } }, required: ["a"] };
const tool: ChatTool = {
  type: "function",
  function: {
    name: "look",
    parameters: { type: "object", properties: { at: { type: "number" } }, required: ["at"] },
  },
};
const checker = createAnswerChecker();

type Answer = Extract<ProviderOutcome, { kind: "answer" }>;

function answer(text: string, more: Partial<Answer> = {}): Answer {
  return { kind: "answer", text, toolCalls: [], finishReason: "stop", facts, ...more };
}

function failure(
  errorClass: ErrorClass,
  message = "no",
  retryAfterMs: number | null = null,
): ProviderOutcome {
  return { kind: "error", errorClass, message, retryAfterMs, facts };
}

function claimed(more: Partial<ClaimedRequest> = {}): ClaimedRequest {
  return {
    id: "01890a5d-ac96-774b-bcce-b302099a8057",
    claimId: "7",
    agentId: "agent",
    taskType: "task",
    complexity: "medium",
    messages: [{ role: "user", content: "What is a?" }],
    context: {},
    responseSchema: null,
    tools: [],
    settings: {},
    deadline: null,
    createdAt: new Date(),
    startedAt: new Date(),
    attempts: 0,
    maxAttempts: 8,
    concurrencyLimited: false,
    model: {
      name: "m",
      provider: "p",
      kind: "openai",
      modelId: "m-1",
      baseUrl: null,
      apiKeyEnv: null,
      options: {},
      contextWindow: null,
      maxOutputTokens: null,
    },
    ...more,
  };
}

/** Answers one call after the other, and keeps what it was asked. */
function scripted(...outcomes: (ProviderOutcome | ((asked: ProviderRequest) => ProviderOutcome))[]) {
  const asked: ProviderRequest[] = [];
  const provider: Provider = {
    call: async (request) => {
      asked.push(request);
      const outcome = outcomes[asked.length - 1];
      if (outcome === undefined) throw new Error("asked more often than the script says");
      return typeof outcome === "function" ? outcome(request) : outcome;
    },
  };
  return { provider, asked };
}

function run(
  request: ClaimedRequest,
  provider: Provider,
  more: {
    signal?: AbortSignal;
    ladder?: ReturnType<typeof createLadderMemory>;
    noteCalls?: ProcessDependencies["noteCalls"];
  } = {},
) {
  return processRequest(request, more.signal ?? new AbortController().signal, {
    providerFor: () => provider,
    checker,
    ladder: more.ladder ?? createLadderMemory(),
    settings,
    noteCalls: more.noteCalls ?? (async () => true),
  });
}

describe("an answer that fits", () => {
  test("is one call and completed", async () => {
    const { provider, asked } = scripted(answer("Hello"));
    expect(await run(claimed(), provider)).toMatchObject({
      kind: "completed",
      claimId: "7",
      response: "Hello",
      finishReason: "stop",
      repairs: [],
      reasks: 0,
      calls: [{ outcome: "answered", outputMode: null }],
    });
    expect(asked).toHaveLength(1);
    expect(asked[0]?.timeouts).toEqual({ connectMs: 10_000, firstByteMs: 300_000, totalMs: 600_000 });
  });

  test("the request's own timeout, in seconds, goes before the setting", async () => {
    const { provider, asked } = scripted(answer("Hello"));
    await run(claimed({ settings: { timeout: 2 } }), provider);
    expect(asked[0]?.timeouts.totalMs).toBe(2_000);
  });

  test("what cannot be stored is brought into shape in the ledger", async () => {
    const usage = {
      inputTokens: 1e300,
      outputTokens: Number.NaN,
      cachedInputTokens: -4,
      reasoningTokens: 1.5,
    };
    const { provider } = scripted(
      answer("Hello", { facts: { ...facts, usage, providerRequestId: "a\u0000b" } }),
    );
    expect(await run(claimed(), provider)).toMatchObject({
      calls: [
        {
          facts: {
            providerRequestId: "ab",
            usage: { inputTokens: 2 ** 31 - 1, outputTokens: 0, cachedInputTokens: 0, reasoningTokens: 2 },
          },
        },
      ],
    });
  });
});

describe("calls before the last of a claim", () => {
  const threeCalls = () => scripted(answer("no json"), answer("still none"), answer('{"a": 1}'));
  const request = claimed({ responseSchema: schema, settings: { validation_retries: 2 } });

  test("are noted as they are made, and the outcome says which", async () => {
    const noted: string[][] = [];
    const outcome = await run(request, threeCalls().provider, {
      noteCalls: async (_, calls) => noted.push(calls.map((call) => call.outcome)) > 0,
    });
    expect(noted).toEqual([["invalid"], ["invalid"]]);
    expect(outcome).toMatchObject({ kind: "completed", calls: { length: 3 }, notedCalls: 2 });
  });

  test("that could not be noted are tried with the next, and left to the outcome", async () => {
    const tried: number[] = [];
    const outcome = await run(request, threeCalls().provider, {
      noteCalls: async (_, calls) => {
        tried.push(calls.length);
        throw new Error("the database is away");
      },
    });
    expect(tried).toEqual([1, 2]);
    expect(outcome).toMatchObject({ kind: "completed", calls: { length: 3 }, notedCalls: 0 });
  });
});

describe("an answer that does not fit", () => {
  test.each([0, 1, 2])("is asked for again %i times when validation_retries says so", async (retries) => {
    const { provider, asked } = scripted(...Array.from({ length: retries + 1 }, () => answer("no json")));
    const request = claimed({ responseSchema: schema, settings: { validation_retries: retries } });
    expect(await run(request, provider)).toMatchObject({
      kind: "failed",
      errorClass: "invalid",
      response: "no json",
      reasks: retries,
      repairs: retries > 0 ? ["reasked"] : [],
      validationErrors: [{ type: "json_decode_error" }],
    });
    expect(asked).toHaveLength(retries + 1);
  });

  test("without validation_retries the setting counts", async () => {
    const { provider, asked } = scripted(answer("no json"), answer('{"a": 1}'));
    expect(await run(claimed({ responseSchema: schema }), provider)).toMatchObject({
      kind: "completed",
      parsedResponse: { a: 1 },
      reasks: 1,
      repairs: ["reasked"],
      calls: [{ outcome: "invalid" }, { outcome: "answered" }],
    });
    expect(asked).toHaveLength(2);
  });

  test("each new question shows the last answer only, never the ones before", async () => {
    const { provider, asked } = scripted(answer("first try"), answer("second try"), answer('{"a": 1}'));
    const request = claimed({ responseSchema: schema, settings: { validation_retries: 2 } });
    await run(request, provider);
    const third = JSON.stringify(asked[2]?.messages);
    expect(third).toContain("second try");
    expect(third).not.toContain("first try");
    expect(asked.map((one) => one.messages.length)).toEqual([1, 3, 3]);
  });

  test("is not asked for again when the schema itself is at fault", async () => {
    const { provider, asked } = scripted(answer('{"a": 1}'));
    const request = claimed({ responseSchema: { $ref: "#" } });
    expect(await run(request, provider)).toMatchObject({
      errorClass: "invalid",
      reasks: 0,
      validationErrors: [{ type: "invalid_schema" }],
    });
    expect(asked).toHaveLength(1);
  });

  test("an error of the second call is what counts, and both calls are in the ledger", async () => {
    const { provider } = scripted(answer("no json"), failure("capacity", "slow down", 1_500));
    expect(await run(claimed({ responseSchema: schema }), provider)).toMatchObject({
      kind: "failed",
      errorClass: "capacity",
      retryAfterMs: 1_500,
      calls: [{ outcome: "invalid" }, { outcome: "capacity" }],
    });
  });
});

describe("tool calls", () => {
  const call = (params: unknown) => ({
    id: "c1",
    toolName: "look",
    params,
    rawArguments: JSON.stringify(params),
  });

  test("are completed in the one shape, and no shape of answer is asked for while tools are offered", async () => {
    const { provider, asked } = scripted(
      answer("", { toolCalls: [call({ at: 3 })], finishReason: "tool_calls" }),
    );
    expect(await run(claimed({ tools: [tool], responseSchema: schema }), provider)).toMatchObject({
      kind: "completed",
      parsedResponse: {
        tool_calls: [{ id: "c1", tool_name: "look", params: { at: 3 } }],
        final_response: null,
      },
      finishReason: "tool_calls",
    });
    expect(asked[0]?.output).toEqual({ kind: "text" });
    expect(asked[0]?.tools).toEqual([tool]);
  });

  test("that do not fit are shown to the model as the JSON of the calls", async () => {
    const { provider, asked } = scripted(
      answer("", { toolCalls: [call({ at: "nowhere" })] }),
      answer("", { toolCalls: [call({ at: 4 })] }),
    );
    expect(await run(claimed({ tools: [tool] }), provider)).toMatchObject({ kind: "completed", reasks: 1 });
    const shown = asked[1]?.messages[1];
    expect(shown?.role).toBe("assistant");
    expect(JSON.parse(String(shown?.content))).toEqual({
      tool_calls: [{ id: "c1", tool_name: "look", params: { at: "nowhere" } }],
      final_response: null,
    });
  });
});

describe("an answer cut off by the token limit", () => {
  const cut = (text = '{"a": ') => answer(text, { finishReason: "length" });

  test("is asked for once more with twice the tokens", async () => {
    const { provider, asked } = scripted(cut(), answer('{"a": 1}'));
    const request = claimed({ responseSchema: schema, settings: { max_tokens: 100 } });
    expect(await run(request, provider)).toMatchObject({
      kind: "completed",
      repairs: ["larger_max_tokens"],
      reasks: 0,
      calls: [{ outcome: "truncated" }, { outcome: "answered" }],
    });
    expect(asked.map((one) => one.settings.max_tokens)).toEqual([100, 200]);
    expect(asked[1]?.messages).toEqual(request.messages);
  });

  test("fails as truncated when the second is cut off as well", async () => {
    const { provider, asked } = scripted(cut(), cut('{"a": 12'));
    const request = claimed({ responseSchema: schema, settings: { max_tokens: 100 } });
    expect(await run(request, provider)).toMatchObject({
      errorClass: "truncated",
      response: '{"a": 12',
      errorMessage: expect.stringContaining("200 tokens"),
    });
    expect(asked).toHaveLength(2);
  });

  test("fails at once when the model goes no further", async () => {
    const base = claimed();
    const { provider, asked } = scripted(cut());
    const request = claimed({
      responseSchema: schema,
      settings: { max_tokens: 100 },
      model: { ...base.model, maxOutputTokens: 100 },
    });
    expect(await run(request, provider)).toMatchObject({ errorClass: "truncated" });
    expect(asked).toHaveLength(1);
  });

  test("is not taken for whole because its JSON could be closed by repair", async () => {
    const { provider, asked } = scripted(
      cut('{"a": 1, "list": [1, 2'),
      answer('{"a": 1, "list": [1, 2, 3]}'),
    );
    expect(await run(claimed({ responseSchema: schema }), provider)).toMatchObject({
      parsedResponse: { a: 1, list: [1, 2, 3] },
    });
    expect(asked).toHaveLength(2);
  });

  test("keeps its failure when the provider refuses that many tokens", async () => {
    const { provider } = scripted(cut(), failure("bad_request", "max_tokens is too large"));
    expect(await run(claimed({ responseSchema: schema }), provider)).toMatchObject({
      errorClass: "truncated",
      response: '{"a": ',
      calls: [{ outcome: "truncated" }, { outcome: "bad_request" }],
    });
  });

  test("completes when it is plain text: nothing says it had to go on", async () => {
    const { provider } = scripted(cut("Once upon a time"));
    expect(await run(claimed(), provider)).toMatchObject({ kind: "completed", finishReason: "length" });
  });

  test("complete JSON is complete, whatever the finish reason says", async () => {
    const { provider } = scripted(cut('{"a": 1}'));
    expect(await run(claimed({ responseSchema: schema }), provider)).toMatchObject({ kind: "completed" });
  });
});

describe("the ladder of ways to ask for JSON", () => {
  test("goes one step down when the model rejects one, and remembers it for the next request", async () => {
    const ladder = createLadderMemory();
    const first = scripted(failure("mode"), answer('{"a": 1}'));
    expect(await run(claimed({ responseSchema: schema }), first.provider, { ladder })).toMatchObject({
      kind: "completed",
      calls: [
        { outcome: "mode", outputMode: "json_schema" },
        { outcome: "answered", outputMode: "tool" },
      ],
    });
    const second = scripted(answer('{"a": 2}'));
    await run(claimed({ responseSchema: schema }), second.provider, { ladder });
    expect(second.asked[0]?.output).toMatchObject({ mode: "tool" });
  });

  test("puts the schema into the prompt on its last step, and fails behind it", async () => {
    const { provider, asked } = scripted(
      failure("mode"),
      failure("mode"),
      failure("mode"),
      failure("mode", "not that either"),
    );
    expect(await run(claimed({ responseSchema: schema }), provider)).toMatchObject({
      errorClass: "bad_request",
      errorMessage: "not that either",
    });
    expect(asked.map((one) => (one.output.kind === "json" ? one.output.mode : "text"))).toEqual([
      "json_schema",
      "tool",
      "json",
      "prompt",
    ]);
    expect(JSON.stringify(asked[3]?.messages[0])).toContain("JSON Schema");
  });
});

describe("a schema that no answer could be checked against", () => {
  const broken = { type: "object", properties: { a: { pattern: "(" } } };
  test.each([
    ["response_schema", { responseSchema: broken }],
    ["response_schema", { responseSchema: { $ref: "#/$defs/missing" } }],
    [
      "tools[1].function.parameters",
      { tools: [tool, { type: "function" as const, function: { name: "b", parameters: broken } }] },
    ],
  ])("fails the request before a call is paid for (%s)", async (field, given) => {
    const { provider, asked } = scripted(answer("{}"));
    const outcome = await run(claimed(given), provider);
    expect(outcome).toMatchObject({ kind: "failed", errorClass: "bad_request", calls: [] });
    expect((outcome as { errorMessage: string }).errorMessage).toMatch(
      new RegExp(`^${field.replaceAll(/[[\]]/g, "\\$&")} cannot be used: `),
    );
    expect(asked).toEqual([]);
  });
});

describe("errors", () => {
  test.each([
    "transient",
    "capacity",
    "out_of_quota",
    "configuration",
    "too_long",
    "refused",
    "bad_request",
  ] as const)("%s is handed on, without another call", async (errorClass) => {
    const { provider, asked } = scripted(failure(errorClass, "because\u0000"));
    expect(await run(claimed(), provider)).toMatchObject({
      kind: "failed",
      errorClass,
      errorMessage: "because",
      calls: [{ outcome: errorClass }],
    });
    expect(asked).toHaveLength(1);
  });

  test("a provider that throws is an exception, and earlier calls stay in the ledger", async () => {
    const { provider } = scripted(answer("no json"), () => {
      throw new TypeError("a bug");
    });
    expect(await run(claimed({ responseSchema: schema }), provider)).toMatchObject({
      errorClass: "exception",
      errorMessage: "TypeError: a bug",
      calls: [{ outcome: "invalid" }, { outcome: "exception" }],
    });
  });

  test("a call aborted by nobody here is an exception", async () => {
    const { provider } = scripted(failure("aborted"));
    expect(await run(claimed(), provider)).toMatchObject({ errorClass: "exception" });
  });
});

describe("an abort", () => {
  const abortedBy = (reason: AbortReason, outcome: ProviderOutcome) => {
    const controller = new AbortController();
    const { provider } = scripted(() => {
      controller.abort(reason);
      return outcome;
    });
    return run(claimed({ responseSchema: schema }), provider, { signal: controller.signal });
  };

  test.each(["cancelled", "shutdown", "lost"] as const)("%s leaves nothing to report", async (reason) => {
    expect(await abortedBy(reason, failure("aborted"))).toEqual({ kind: "dropped", reason, calls: [] });
  });

  test("deadline is a failure with its calls", async () => {
    expect(await abortedBy("deadline", failure("aborted"))).toMatchObject({
      kind: "failed",
      errorClass: "deadline",
      calls: [{ outcome: "deadline" }],
    });
  });

  test("an answer that came before the shutdown is kept", async () => {
    expect(await abortedBy("shutdown", answer('{"a": 1}'))).toMatchObject({ kind: "completed" });
  });

  test("an answer that would have to be asked for again is not, during a shutdown", async () => {
    expect(await abortedBy("shutdown", answer("no json"))).toMatchObject({
      kind: "dropped",
      reason: "shutdown",
      calls: [{ outcome: "invalid" }],
    });
  });

  test.each(["cancelled", "lost"] as const)("an answer after %s has nobody to go to", async (reason) => {
    expect(await abortedBy(reason, answer('{"a": 1}'))).toEqual({ kind: "dropped", reason, calls: [] });
  });
});

test("the ledger has the database's time, however wrong the clock of this machine is", async () => {
  const hour = 3_600_000;
  for (const aheadMs of [26 * hour, -26 * hour]) {
    const databaseNow = Date.now() - aheadMs;
    const provider = { call: async () => answer("Hello", { facts: { ...facts, startedAt: new Date() } }) };
    const outcome = await run(claimed({ startedAt: new Date(databaseNow) }), provider);
    const [call] = (outcome as CompletedOutcome).calls;
    const sinceClaimMs = (call?.facts.startedAt.getTime() ?? 0) - databaseNow;
    expect(sinceClaimMs).toBeGreaterThanOrEqual(0);
    expect(sinceClaimMs).toBeLessThan(hour);
  }
});
