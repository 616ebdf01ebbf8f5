import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  await database?.drop();
});

type Refusal = { code: string; message: string; detail: string; hint: string };

/** `undefined` is SQL's null, `null` is JSON's. */
async function call(name: string, value: unknown): Promise<Refusal | null> {
  const json = value === undefined ? null : JSON.stringify(value);
  try {
    await database.query(`select llmq.${name}($1::jsonb)`, [json]);
    return null;
  } catch (error) {
    const { code, message, detail, hint } = error as Refusal;
    return { code, message, detail, hint };
  }
}

type Case = [value: unknown, message: string];

/** Each case is refused with this message, and detail and hint say more. */
function refuses(name: string, cases: Case[]) {
  it.each(cases)(`${name} refuses %j`, async (value, message) => {
    const refusal = await call(name, value);
    expect(refusal).toMatchObject({ code: "LQ001", message });
    expect(refusal?.detail).toMatch(/\.$/);
    expect(refusal?.hint).not.toBe("");
  });
}

function accepts(name: string, values: unknown[]) {
  it.each(values.map((value) => [value]))(`${name} accepts %j`, async (value) => {
    expect(await call(name, value)).toBeNull();
  });
}

const user = { role: "user", content: "Hello" };
const toolCall = { id: "call_1", type: "function", function: { name: "get_weather", arguments: "{}" } };
const calling = { role: "assistant", content: null, tool_calls: [toolCall] };
const callingWith = (changed: object) => [user, { ...calling, tool_calls: [{ ...toolCall, ...changed }] }];
const parts = (...content: unknown[]) => [{ role: "user", content }];

describe("messages", () => {
  accepts("check_messages", [
    [user],
    [{ role: "system", content: "Be brief." }, { role: "developer", content: "" }, user],
    [{ ...user, name: "ada", anything: { else: [1] } }],
    [user, { role: "assistant", content: "Hi", tool_calls: null, refusal: null }],
    [user, { role: "assistant", content: "Hi", tool_calls: [] }],
    [user, calling, { role: "tool", tool_call_id: "call_1", content: "21" }, user],
    [user, { ...calling, content: "Let me see." }],
    [user, { ...calling, content: [] }],
    [user, { role: "assistant", tool_calls: [toolCall, { ...toolCall, id: "call_2" }] }],
    [calling, { role: "tool", tool_call_id: "call_1", content: [{ type: "text", text: "21" }] }, calling],
    parts({ type: "text", text: "" }, { type: "image_url", image_url: { url: "data:,x", detail: "low" } }),
    parts({ type: "file", file: { file_id: "f" } }, { type: "file", file: { file_data: "data:,x" } }),
    parts({ type: "input_audio", input_audio: { data: "", format: "wav" } }),
    Array.from({ length: 10_000 }, () => user),
  ]);

  refuses("check_messages", [
    [undefined, "messages must be an array"],
    [null, "messages must be an array"],
    [user, "messages must be an array"],
    ["Hello", "messages must be an array"],
    [[], "messages must not be empty"],
    [["Hello"], "messages[0] must be an object"],
    [[[user]], "messages[0] must be an object"],
    [[user, null], "messages[1] must be an object"],
    [[{ content: "Hello" }], "messages[0].role must be system, developer, user, assistant or tool"],
    [
      [user, { role: "function", content: "" }],
      "messages[1].role must be system, developer, user, assistant or tool",
    ],
    [
      [{ role: ["user"], content: "" }],
      "messages[0].role must be system, developer, user, assistant or tool",
    ],
    [[{ role: 1, content: "" }], "messages[0].role must be system, developer, user, assistant or tool"],
    ...[undefined, null, 5, {}, []].map(
      (content): Case => [
        [user, { role: "user", content }],
        "messages[1].content must be a string or a non-empty array of parts",
      ],
    ),
    ...[undefined, null, []].map(
      (calls): Case => [
        [{ role: "assistant", content: null, tool_calls: calls }],
        "messages[0].content must be a string or a non-empty array of parts",
      ],
    ),
    [
      [{ role: "tool", tool_call_id: "call_1", content: null }],
      "messages[0].content must be a string or a non-empty array of parts",
    ],
    [parts("Hello"), "messages[0].content[0] must be an object"],
    [
      parts({ type: "text", text: "" }, { text: "" }),
      "messages[0].content[1].type must be text, image_url, file or input_audio",
    ],
    [parts({ type: "video" }), "messages[0].content[0].type must be text, image_url, file or input_audio"],
    [parts({ type: "text", text: 5 }), "messages[0].content[0].text must be a string"],
    [
      parts({ type: "image_url", image_url: "data:,x" }),
      "messages[0].content[0].image_url must be an object",
    ],
    [
      parts({ type: "image_url", image_url: { url: "" } }),
      "messages[0].content[0].image_url.url must be a non-empty string",
    ],
    [parts({ type: "file" }), "messages[0].content[0].file must be an object"],
    [
      parts({ type: "file", file: { filename: "a.pdf" } }),
      "messages[0].content[0].file must have file_data or file_id, a string",
    ],
    [
      parts({ type: "input_audio", input_audio: "x" }),
      "messages[0].content[0].input_audio must be an object",
    ],
    [[user, { ...calling, content: "x", tool_calls: toolCall }], "messages[1].tool_calls must be an array"],
    [[user, { ...calling, tool_calls: ["call_1"] }], "messages[1].tool_calls[0] must be an object"],
    [callingWith({ id: 1 }), "messages[1].tool_calls[0].id must be a non-empty string"],
    [callingWith({ id: "" }), "messages[1].tool_calls[0].id must be a non-empty string"],
    [callingWith({ type: "custom" }), "messages[1].tool_calls[0].type must be 'function'"],
    [callingWith({ function: undefined }), "messages[1].tool_calls[0].function must be an object"],
    [
      callingWith({ function: { name: "", arguments: "{}" } }),
      "messages[1].tool_calls[0].function.name must be a non-empty string",
    ],
    [
      [user, user, { ...calling, tool_calls: [{ ...toolCall, function: { name: "f", arguments: {} } }] }],
      "messages[2].tool_calls[0].function.arguments must be JSON text",
    ],
    [[user, calling, { role: "tool", content: "21" }], "messages[2].tool_call_id must be a string"],
    [
      [user, calling, { role: "tool", tool_call_id: "call_2", content: "21" }],
      "messages[2].tool_call_id must be the id of an earlier tool call",
    ],
    [
      [user, { role: "tool", tool_call_id: "call_1", content: "21" }, calling],
      "messages[1].tool_call_id must be the id of an earlier tool call",
    ],
    [
      [
        { ...calling, role: "user", content: "x" },
        { role: "tool", tool_call_id: "call_1", content: "21" },
      ],
      "messages[1].tool_call_id must be the id of an earlier tool call",
    ],
  ]);

  it("more than 10,000 messages are refused", async () => {
    const refusal = await call(
      "check_messages",
      Array.from({ length: 10_001 }, () => user),
    );
    expect(refusal).toMatchObject({ code: "LQ001", message: "messages must have at most 10000 elements" });
  });

  it("the error shows a glimpse of a wrong value, not all of it", async () => {
    const refusal = await call("check_messages", [{ role: "x".repeat(10_000), content: "" }]);
    expect(refusal?.detail).toHaveLength("It is ....".length + 60);
  });
});

const tool = { type: "function", function: { name: "get_weather" } };
const toolWith = (changed: object) => [{ ...tool, function: { ...tool.function, ...changed } }];
const badName = "tools[0].function.name must be 1 to 64 letters, digits, dots, dashes or underscores";

describe("tools", () => {
  accepts("check_tools", [
    undefined,
    null,
    [],
    [tool],
    toolWith({ description: "The weather", parameters: { type: "object" }, strict: true }),
    toolWith({ name: "a".repeat(64) }),
    Array.from({ length: 128 }, (_, at) => ({ ...tool, function: { name: `Tool.${at}_-` } })),
  ]);

  refuses("check_tools", [
    [tool, "tools must be null or an array"],
    [false, "tools must be null or an array"],
    [[tool, "get_weather"], "tools[1] must be an object"],
    [[{ ...tool, type: "retrieval" }], "tools[0].type must be 'function'"],
    [[{ type: "function", name: "get_weather" }], "tools[0].function must be an object"],
    [toolWith({ name: undefined }), badName],
    [toolWith({ name: 5 }), badName],
    [toolWith({ name: "" }), badName],
    [toolWith({ name: "get weather" }), badName],
    [toolWith({ name: "get_weather\n" }), badName],
    [toolWith({ name: "é" }), badName],
    [toolWith({ name: "a".repeat(65) }), badName],
    [toolWith({ description: null }), "tools[0].function.description must be a string"],
    [toolWith({ parameters: "{}" }), "tools[0].function.parameters must be an object"],
    [[tool, ...toolWith({ name: "b" }), tool], "tools[2].function.name must differ from the other names"],
  ]);

  it("more than 128 tools are refused", async () => {
    const refusal = await call(
      "check_tools",
      Array.from({ length: 129 }, () => tool),
    );
    expect(refusal).toMatchObject({ code: "LQ001", message: "tools must have at most 128 elements" });
  });
});

describe("settings", () => {
  accepts("check_settings", [
    undefined,
    {},
    { temperature: 0, top_p: 1, top_k: 1, seed: -7, max_tokens: 100, timeout: 0.5 },
    { temperature: 2, presence_penalty: -2, frequency_penalty: 2, validation_retries: 0 },
    { validation_retries: 10, timeout: 86_400, seed: Number.MAX_SAFE_INTEGER, stop: "END" },
    { stop: Array.from({ length: 16 }, () => "x"), provider_options: { openai: { store: false } } },
    { tool_choice: { type: "function", function: { name: "get_weather" } }, provider_options: {} },
    ...["auto", "none", "required"].map((choice) => ({ tool_choice: choice })),
    ...["none", "minimal", "low", "medium", "high", "xhigh"].map((effort) => ({ reasoning_effort: effort })),
  ]);

  const temperature = "settings.temperature must be a number from 0 to 2";
  const stop = "settings.stop must be a string or an array of up to 16 strings";
  const choice =
    'settings.tool_choice must be auto, none, required or {"type": "function", "function": {"name": ...}}';
  refuses("check_settings", [
    [null, "settings must be an object"],
    [[{ temperature: 1 }], "settings must be an object"],
    ["{}", "settings must be an object"],
    [{ maxTokens: 5 }, "settings has an unknown key 'maxTokens'"],
    [{ temperature: -0.1 }, temperature],
    [{ temperature: 2.1 }, temperature],
    [{ temperature: "1" }, temperature],
    [{ temperature: [1] }, temperature],
    [{ temperature: null }, temperature],
    [{ max_tokens: 0 }, "settings.max_tokens must be an integer from 1 to 2147483647"],
    [{ max_tokens: 1.5 }, "settings.max_tokens must be an integer from 1 to 2147483647"],
    [{ top_p: 1.01 }, "settings.top_p must be a number from 0 to 1"],
    [{ top_k: 0 }, "settings.top_k must be an integer from 1 to 2147483647"],
    [{ seed: 0.5 }, "settings.seed must be an integer from -9007199254740991 to 9007199254740991"],
    [{ seed: 1e300 }, "settings.seed must be an integer from -9007199254740991 to 9007199254740991"],
    [{ stop: 5 }, stop],
    [{ stop: ["a", 5] }, stop],
    [{ stop: Array.from({ length: 17 }, () => "x") }, stop],
    [{ presence_penalty: 3 }, "settings.presence_penalty must be a number from -2 to 2"],
    [{ frequency_penalty: -3 }, "settings.frequency_penalty must be a number from -2 to 2"],
    [{ tool_choice: "get_weather" }, choice],
    [{ tool_choice: { type: "function" } }, choice],
    [{ tool_choice: { type: "function", function: { name: "" } } }, choice],
    [
      { reasoning_effort: "extreme" },
      "settings.reasoning_effort must be none, minimal, low, medium, high or xhigh",
    ],
    [
      { provider_options: { openai: true } },
      "settings.provider_options must be an object with one object per provider",
    ],
    [{ provider_options: [] }, "settings.provider_options must be an object with one object per provider"],
    [{ validation_retries: 11 }, "settings.validation_retries must be an integer from 0 to 10"],
    [{ timeout: 0 }, "settings.timeout must be more than 0 seconds"],
    [{ timeout: 86_401 }, "settings.timeout must be a number from 0 to 86400"],
  ]);

  it("an unknown key is answered with the known ones", async () => {
    const refusal = await call("check_settings", { temperatur: 1 });
    expect(refusal?.hint).toContain(
      "temperature, max_tokens, top_p, top_k, seed, stop, presence_penalty, frequency_penalty, tool_choice, " +
        "reasoning_effort, provider_options, validation_retries, timeout",
    );
  });
});

const nested = (levels: number): unknown => (levels === 0 ? {} : { not: nested(levels - 1) });

describe("response_schema", () => {
  accepts("check_response_schema", [
    undefined,
    null,
    true,
    false,
    {},
    { type: "object", properties: { a: { type: ["string", "null"] }, b: true }, required: ["a"] },
    { not: 5, prefixItems: ["a"], additionalProperties: "a", definitions: { a: 1 } },
    // Properties and values that only look like keywords.
    { properties: { type: { type: "string" }, required: { type: "boolean" }, $ref: {}, properties: {} } },
    { enum: [{ type: "dog", required: true, $ref: 5 }], const: { properties: [] }, default: { type: 7 } },
    { $defs: { a: { type: "integer" } }, items: { $ref: "#/$defs/a" }, allOf: [{ $ref: "#" }] },
    { items: [{ type: "string" }, true], additionalProperties: false },
    nested(64),
    { description: "x".repeat(262_144 - 19) },
  ]);

  const type = "must be a type's name or an array of them";
  refuses("check_response_schema", [
    ["{}", "response_schema must be an object, true or false"],
    [[], "response_schema must be an object, true or false"],
    [5, "response_schema must be an object, true or false"],
    [nested(65), "response_schema must be at most 64 levels deep"],
    [{ type: "text" }, `response_schema.type ${type}`],
    [{ type: [] }, `response_schema.type ${type}`],
    [{ type: ["string", 5] }, `response_schema.type ${type}`],
    [{ type: {} }, `response_schema.type ${type}`],
    [{ type: "object", properties: { a: { type: "int" } } }, `response_schema.properties.a.type ${type}`],
    [{ properties: { type: { type: "dog" } } }, `response_schema.properties.type.type ${type}`],
    [{ items: { anyOf: [{}, { type: "str" }] } }, `response_schema.items.anyOf[1].type ${type}`],
    [{ $defs: { a: { oneOf: [{ type: 1 }] } } }, `response_schema.$defs.a.oneOf[0].type ${type}`],
    [{ allOf: [{ items: [{ type: "x" }] }] }, `response_schema.allOf[0].items[0].type ${type}`],
    [{ $ref: "https://example.com/a.json" }, "response_schema.$ref must be text that starts with #"],
    [{ properties: { a: { $ref: 5 } } }, "response_schema.properties.a.$ref must be text that starts with #"],
    [{ not: { if: { prefixItems: [{ type: "x" }] } } }, `response_schema.not.if.prefixItems[0].type ${type}`],
    [{ definitions: { a: { type: "x" } } }, `response_schema.definitions.a.type ${type}`],
    [{ properties: [] }, "response_schema.properties must be an object"],
    [{ properties: { a: "string" } }, "response_schema.properties.a must be an object, true or false"],
    [{ required: true }, "response_schema.required must be an array of strings"],
    [{ items: { required: ["a", 1] } }, "response_schema.items.required must be an array of strings"],
    [{ items: "string" }, "response_schema.items must be an object, true or false"],
    [{ anyOf: {} }, "response_schema.anyOf must be a non-empty array"],
    [{ oneOf: [] }, "response_schema.oneOf must be a non-empty array"],
    [{ $defs: [] }, "response_schema.$defs must be an object"],
  ]);

  it("one of more than 256 kB is refused, also when it comes compressed from a table", async () => {
    const schema = { description: "x".repeat(262_144) };
    const message = "response_schema must be at most 256 kB";
    expect(await call("check_response_schema", schema)).toMatchObject({ code: "LQ001", message });
    await database.query("create table public.stored (value jsonb)");
    await database.query("insert into public.stored values ($1)", [schema]);
    await expect(
      database.query("select llmq.check_response_schema(value) from public.stored"),
    ).rejects.toMatchObject({ code: "LQ001", message });
  });
});

describe("context", () => {
  accepts("check_context", [undefined, {}, { executor: "external", traceparent: "00-1-2-01", mine: [1] }]);
  refuses("check_context", [
    [null, "context must be an object"],
    [["executor"], "context must be an object"],
    ["executor", "context must be an object"],
    [{ executor: "internal" }, "context.executor must be 'external'"],
    [{ executor: null }, "context.executor must be 'external'"],
    [{ traceparent: 5 }, "context.traceparent must be a string"],
  ]);
});

describe("names", () => {
  const check = (value: string | null, max?: number | null) =>
    max === undefined
      ? database.query("select llmq.check_name($1, 'agent_id')", [value])
      : database.query("select llmq.check_name($1, 'agent_id', $2)", [value, max]);

  it.each([["a"], [" with spaces "], ["Zoë 🦊 日本"], ["x".repeat(200)]])(
    "check_name accepts %j",
    async (value) => {
      await check(value);
    },
  );

  it.each([
    [null, "agent_id must not be null"],
    ["", "agent_id must not be empty"],
    ["   ", "agent_id must not be empty"],
    ["a\nb", "agent_id must not contain control characters"],
    ["\t", "agent_id must not contain control characters"],
    ["a\u007f", "agent_id must not contain control characters"],
    ["a\u009bm", "agent_id must not contain control characters"],
    ["x".repeat(201), "agent_id must be at most 200 characters long"],
  ])("check_name refuses %j", async (value, message) => {
    await expect(check(value)).rejects.toMatchObject({ code: "LQ001", message });
  });

  it("the limit can be given, and null means the default", async () => {
    await expect(check("abcd", 3)).rejects.toMatchObject({
      message: "agent_id must be at most 3 characters long",
      detail: "It has 4.",
    });
    await check("x".repeat(200), null);
  });

  it("says which control character it found and where", async () => {
    await expect(check("ab\u001bc")).rejects.toMatchObject({ detail: "Character 3 is U+001B." });
  });
});

/** Random values in which the words and shapes that the checks look for are frequent. */
function nearly(words: string[]): fc.Arbitrary<unknown> {
  const word = fc.constantFrom(...words);
  const number = fc.constantFrom(-3, -1, 0, 0.5, 1, 2, 10, 11, 86_400, 1e30, 1e300);
  return fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 7, withCrossShrink: true }, word, tie("object"), tie("list"), number, scalar),
    object: fc.dictionary(word, tie("value"), { maxKeys: 5 }),
    list: fc.array(tie("value"), { maxLength: 4 }),
  })).value;
}

const scalar = fc.oneof(fc.boolean(), fc.constant(null), fc.string({ maxLength: 5 }).map(storable));

/** PostgreSQL stores neither NUL nor half a surrogate pair. */
function storable(text: string): string {
  return text.replaceAll("\u0000", "").toWellFormed();
}

const call1 = fc.record(
  {
    id: fc.constantFrom<unknown>("a", "b", "", 1),
    type: fc.constantFrom("function", "x"),
    function: fc.record({ name: fc.constantFrom("f", ""), arguments: fc.constantFrom<unknown>("{}", {}) }),
  },
  { requiredKeys: ["type"] },
);
const mostly = <T>(usual: T, other: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 8, arbitrary: fc.constant<unknown>(usual) }, { weight: 1, arbitrary: other });
const message = fc.record(
  {
    role: fc.constantFrom("user", "assistant", "assistant", "tool", "tool", "system", "developer", "x"),
    content: fc.constantFrom<unknown>("x", "x", "x", null, [], [{ type: "text", text: "" }], [{ type: "a" }]),
    tool_calls: fc.oneof(fc.array(call1, { maxLength: 2 }), mostly([{ ...toolCall, id: "a" }], scalar)),
    tool_call_id: fc.constantFrom<unknown>("a", "a", "b", 1),
  },
  { requiredKeys: ["role", "content"] },
);

const toolWords = ["function", "type", "name", "parameters", "description", "a b", "a"];
const messageWords = ["role", "user", "assistant", "tool", "content", "text", "type", "tool_calls"];
const moreWords = [
  "id",
  "function",
  "name",
  "arguments",
  "tool_call_id",
  "image_url",
  "url",
  "file",
  "file_id",
];
const settingWords = [
  "temperature",
  "max_tokens",
  "top_p",
  "seed",
  "stop",
  "tool_choice",
  "timeout",
  "share",
];
const moreSettings = ["top_k", "provider_options", "type", "function", "name", "auto", "validation_retries"];
const schemaWords = [
  "type",
  "properties",
  "items",
  "anyOf",
  "required",
  "$ref",
  "#/$defs/a",
  "$defs",
  "object",
];
const moreSchema = ["string", "not", "enum", "oneOf", "allOf", "definitions", "if", "prefixItems", "null"];
const someTool = fc.record({
  type: mostly("function", scalar),
  function: fc.record(
    {
      name: fc.constantFrom<unknown>("a", "b", "c", "a b", 1),
      description: mostly("x", scalar),
      parameters: mostly({}, scalar),
    },
    { requiredKeys: ["name"] },
  ),
});
const someSettings = fc.dictionary(
  fc.constantFrom(...settingWords, ...moreSettings.slice(0, 2), "cache_seconds", "reasoning_effort"),
  fc.oneof(nearly(["low", "auto", "type", "function", "name"]), fc.constantFrom(0, 1, 2, 10)),
  { maxKeys: 3 },
);
const generators: [name: string, exact: string, value: fc.Arbitrary<unknown>][] = [
  [
    "check_messages",
    "refuse_messages",
    fc.oneof(
      nearly([...messageWords, ...moreWords]),
      fc.array(message, { minLength: 1, maxLength: 4 }),
      fc.array(message, { minLength: 1, maxLength: 4 }),
    ),
  ],
  ["check_tools", "refuse_tools", fc.oneof(nearly(toolWords), fc.array(someTool, { maxLength: 3 }))],
  ["check_settings", "refuse_settings", fc.oneof(nearly([...settingWords, ...moreSettings]), someSettings)],
  ["check_response_schema", "refuse_response_schema", nearly([...schemaWords, ...moreSchema])],
];

describe("whatever comes in", () => {
  /** What each function says to each value, in one round trip. */
  async function verdicts(functions: string[], values: unknown[]): Promise<(Refusal | null)[][]> {
    const rows = await database.query<{ said: (Refusal | null)[] }>(
      `select array(select public.verdict(f.name, v.value) from unnest($1::text[]) with ordinality as f (name, place)
         order by f.place)::jsonb[] as said
       from jsonb_array_elements($2) with ordinality as v (value, place) order by v.place`,
      [functions, JSON.stringify(values)],
    );
    return rows.map((row) => row.said);
  }

  beforeAll(async () => {
    await database.query(`
      create function public.verdict(name text, value jsonb) returns jsonb language plpgsql as $$
      declare
        v_code text; v_message text; v_detail text; v_hint text;
      begin
        execute format(case name when 'check_name' then 'select llmq.%I($1 #>> ''{}'', ''x'')' else 'select llmq.%I($1)' end, name)
          using value;
        return null;
      exception when others then
        get stacked diagnostics v_code = returned_sqlstate, v_message = message_text, v_detail = pg_exception_detail,
          v_hint = pg_exception_hint;
        return jsonb_build_object('code', v_code, 'message', v_message, 'detail', v_detail, 'hint', v_hint);
      end $$`);
  });

  it.each(generators)("%s passes or raises LQ001, as %s alone would", async (name, exact, value) => {
    let passed = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 50, maxLength: 50 }), async (values) => {
        for (const [index, [quick, slow]] of (await verdicts([name, exact], values)).entries()) {
          expect(quick?.code ?? "LQ001").toBe("LQ001");
          const isNoTools = name === "check_tools" && values[index] === null;
          expect(quick).toEqual(isNoTools ? null : slow);
          if (quick === null) passed++;
          else refused++;
        }
      }),
      { numRuns: 40 },
    );
    expect(refused).toBeGreaterThan(0);
    expect(passed).toBeGreaterThan(0);
  });

  it("any JSON and any text passes or raises LQ001", async () => {
    const checks = ["messages", "tools", "settings", "response_schema", "context", "name"].map(
      (of) => `check_${of}`,
    );
    const json = fc.jsonValue({ maxDepth: 4 }).map((value) => {
      const escapes = /\\u(0000|d[89a-f]..)/gi;
      return JSON.parse(storable(JSON.stringify(value).replaceAll(escapes, ""))) as unknown;
    });
    const any = fc.oneof(json, fc.string({ unit: "binary" }).map(storable));
    await fc.assert(
      fc.asyncProperty(fc.array(any, { minLength: 50, maxLength: 50 }), async (values) => {
        const said = (await verdicts(checks, values)).flat();
        expect(said.filter((one) => one !== null && one.code !== "LQ001")).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });
});
