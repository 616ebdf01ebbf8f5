import { describe, expect, it } from "vitest";
import {
  createLadderMemory,
  outputFormatFor,
  outputModesOf,
  withSchemaInPrompt,
} from "../../src/answer/output-ladder.ts";
import { schemaHash } from "../../src/answer/schema-validator.ts";
import type { ChatTool, ModelTarget } from "../../src/providers/provider.ts";

const schema = { type: "object", properties: { a: { type: "string" } } };
const tool: ChatTool = { type: "function", function: { name: "f" } };

function model(given: Partial<ModelTarget> = {}): ModelTarget {
  return {
    name: "m",
    provider: "p",
    kind: "openai",
    modelId: "m-1",
    baseUrl: null,
    apiKeyEnv: null,
    options: {},
    contextWindow: null,
    maxOutputTokens: null,
    ...given,
  };
}

function format(given: Partial<Parameters<typeof outputFormatFor>[0]> = {}) {
  const memory = createLadderMemory();
  return outputFormatFor({
    responseSchema: schema,
    tools: [],
    settings: {},
    model: model(),
    memory,
    ...given,
  });
}

describe("the ladder of output modes", () => {
  it("is what the kind has, unless the model's options pin it", () => {
    expect(outputModesOf(model())).toEqual(["json_schema", "tool", "json", "prompt"]);
    expect(outputModesOf(model({ kind: "anthropic" }))).toEqual(["json_schema", "tool", "prompt"]);
    const pinned = (structured_output: unknown) => outputModesOf(model({ options: { structured_output } }));
    expect(pinned(["json", "prompt"])).toEqual(["json", "prompt"]);
    expect(pinned("prompt")).toEqual(["prompt"]);
    expect(pinned(["no such mode"])).toEqual(["json_schema", "tool", "json", "prompt"]);
  });

  it("remembers a rejection per model and schema", () => {
    const memory = createLadderMemory();
    expect(memory.firstMode(model(), "h")).toBe("json_schema");
    expect(memory.nextMode(model(), "h", "json_schema")).toBe("tool");
    expect(memory.firstMode(model(), "h")).toBe("tool");
    expect(memory.firstMode(model(), "other")).toBe("json_schema");
    expect(memory.firstMode(model({ name: "other" }), "h")).toBe("json_schema");
  });

  it("a late rejection of an upper step does not undo what was learned", () => {
    const memory = createLadderMemory();
    expect(memory.nextMode(model(), "h", "json_schema")).toBe("tool");
    expect(memory.nextMode(model(), "h", "tool")).toBe("json");
    expect(memory.nextMode(model(), "h", "json_schema")).toBe("json");
    expect(memory.nextMode(model(), "h", "json")).toBe("prompt");
    expect(memory.nextMode(model(), "h", "prompt")).toBeNull();
    expect(memory.firstMode(model(), "h")).toBe("prompt");
  });

  it("starts again when other modes are pinned", () => {
    const memory = createLadderMemory();
    memory.firstMode(model(), "h");
    memory.nextMode(model(), "h", "json_schema");
    const pinned = model({ options: { structured_output: ["json_schema", "prompt"] } });
    expect(memory.firstMode(pinned, "h")).toBe("json_schema");
  });
});

describe("what is asked of a model", () => {
  it("is nothing without a schema, and nothing while tools are offered", () => {
    expect(format({ responseSchema: null })).toEqual({ kind: "text" });
    expect(format({ responseSchema: 7 })).toEqual({ kind: "text" });
    expect(format({ tools: [tool] })).toEqual({ kind: "text" });
    expect(format({ tools: [tool], settings: { tool_choice: "none" } })).toMatchObject({
      mode: "json_schema",
    });
  });

  it("starts with the best mode the model did not reject", () => {
    const memory = createLadderMemory();
    expect(format({ memory })).toEqual({ kind: "json", mode: "json_schema", schema });
    expect(memory.nextMode(model(), schemaHash(schema) ?? "", "json_schema")).toBe("tool");
    expect(format({ memory })).toMatchObject({ mode: "tool" });
  });

  it("skips modes that can only produce objects when the root is none", () => {
    const responseSchema = { type: "array" };
    const google = model({ kind: "google" });
    expect(format({ responseSchema })).toMatchObject({ mode: "prompt" });
    expect(format({ responseSchema, model: google })).toMatchObject({ mode: "json_schema" });
    expect(format({ responseSchema: true, model: google })).toMatchObject({ mode: "json" });
    const memory = createLadderMemory();
    const compatible = model({ kind: "openai-compatible" });
    expect(format({ responseSchema, memory, model: compatible })).toMatchObject({ mode: "json_schema" });
    expect(memory.nextMode(compatible, schemaHash(responseSchema) ?? "", "json_schema")).toBe("prompt");
  });

  it("in the prompt joins the system message, or becomes one", () => {
    const user = { role: "user" as const, content: "Hi" };
    const [added, same] = withSchemaInPrompt([user], schema);
    expect(added).toMatchObject({ role: "system", content: expect.stringContaining(JSON.stringify(schema)) });
    expect(same).toBe(user);
    const joined = withSchemaInPrompt([{ role: "system", content: "Be kind." }, user], schema);
    expect(joined).toHaveLength(2);
    expect(joined[0]?.content).toMatch(/^Be kind\.\n\nAnswer with JSON only/);
    const parts = withSchemaInPrompt(
      [{ role: "system", content: [{ type: "text", text: "Be kind." }] }, user],
      schema,
    );
    expect(parts[0]?.content).toHaveLength(2);
  });
});
