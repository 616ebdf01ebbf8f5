/**
 * How the shape of an answer is asked for. Models differ, so there is a ladder: json_schema, tool, json,
 * prompt. A mode a model rejects (error class `mode`) is remembered per model and schema for the life of the
 * process; ajv checks the answer whatever was asked.
 */
import { LRUCache } from "lru-cache";
import type {
  ChatMessage,
  ChatSettings,
  ChatTool,
  ModelTarget,
  OutputFormat,
  OutputMode,
  ProviderKind,
} from "../providers/provider.ts";
import { schemaHash } from "./schema-validator.ts";

const LADDERS: Record<ProviderKind, OutputMode[]> = {
  openai: ["json_schema", "tool", "json", "prompt"],
  // There is no bare JSON mode.
  anthropic: ["json_schema", "tool", "prompt"],
  google: ["json_schema", "json", "prompt"],
  // Servers that lack json_schema rarely force one tool either, but many have the JSON mode.
  "openai-compatible": ["json_schema", "json", "prompt"],
  sim: ["json_schema", "tool", "json", "prompt"],
};

const MODES: ReadonlySet<unknown> = new Set<OutputMode>(["json_schema", "tool", "json", "prompt"]);

export type LadderMemory = {
  /** The first mode of `ladder` that this model has not rejected for this schema. */
  firstMode(model: ModelTarget, schemaHash: string, ladder?: OutputMode[]): OutputMode;
  /** Remembers the rejection; the mode to try now, or null when there is none left. */
  nextMode(model: ModelTarget, schemaHash: string, rejectedMode: OutputMode): OutputMode | null;
};

export function createLadderMemory(options: { maxEntries?: number } = {}): LadderMemory {
  const known = new LRUCache<string, { ladder: OutputMode[]; first: number }>({
    max: options.maxEntries ?? 10_000,
  });
  const keyOf = (model: ModelTarget, hash: string) => JSON.stringify([model.name, hash]);
  const modeAt = (ladder: OutputMode[], index: number) =>
    ladder[Math.min(index, ladder.length - 1)] ?? "prompt";
  return {
    firstMode(model, hash, ladder = outputModesOf(model)) {
      const key = keyOf(model, hash);
      const entry = known.get(key);
      // An operator may have pinned other modes meanwhile.
      if (entry !== undefined && entry.ladder.join() === ladder.join()) return modeAt(ladder, entry.first);
      known.set(key, { ladder, first: 0 });
      return modeAt(ladder, 0);
    },
    nextMode(model, hash, rejectedMode) {
      const key = keyOf(model, hash);
      const { ladder, first } = known.get(key) ?? { ladder: outputModesOf(model), first: 0 };
      // Calls run concurrently: a late rejection of an upper step must not undo what was learned since.
      const next = Math.max(first, ladder.indexOf(rejectedMode) + 1);
      if (next >= ladder.length) return null;
      known.set(key, { ladder, first: next });
      return modeAt(ladder, next);
    },
  };
}

/**
 * The ladder of a model: what its options pin (`{"structured_output": ["json", "prompt"]}`, or one mode as a
 * string), else what its kind has.
 */
export function outputModesOf(model: ModelTarget): OutputMode[] {
  const pinned = [model.options.structured_output ?? []].flat().filter(isMode);
  return pinned.length > 0 ? pinned : LADDERS[model.kind];
}

/**
 * What to ask of `model`. Plain text without a schema, and while tools are offered: providers refuse both
 * together or stop calling tools. With `tool_choice: "none"` the tools do not count.
 */
export function outputFormatFor(request: {
  responseSchema: unknown;
  tools: ChatTool[];
  settings: ChatSettings;
  model: ModelTarget;
  memory: LadderMemory;
}): OutputFormat {
  const { responseSchema: schema, tools, settings, model, memory } = request;
  const hash = schemaHash(schema);
  if (hash === null || !isSchema(schema)) return { kind: "text" };
  if (tools.length > 0 && settings.tool_choice !== "none") return { kind: "text" };
  const ladder = outputModesOf(model).filter(
    (mode) => canExpress(mode, schema, model.kind) && !(mode === "tool" && tools.length > 0),
  );
  return {
    kind: "json",
    mode: memory.firstMode(model, hash, ladder.length > 0 ? ladder : ["prompt"]),
    schema,
  };
}

/** For the modes `json` and `prompt`: the conversation with the schema in its system message. */
export function withSchemaInPrompt(
  messages: ChatMessage[],
  schema: Record<string, unknown> | boolean,
): ChatMessage[] {
  const instruction =
    "Answer with JSON only: no explanation, no code fence. " +
    `The JSON must match this JSON Schema:\n${JSON.stringify(schema)}`;
  const [first, ...rest] = messages;
  // Into the message that is there: some chat templates allow one system message only.
  if (first === undefined || (first.role !== "system" && first.role !== "developer"))
    return [{ role: "system", content: instruction }, ...messages];
  const content = Array.isArray(first.content)
    ? [...first.content, { type: "text" as const, text: instruction }]
    : [first.content, instruction].filter(Boolean).join("\n\n");
  return [{ ...first, content }, ...rest];
}

/** Tools and JSON modes produce objects; asking them for another root costs a call that is rejected. */
function canExpress(
  mode: OutputMode,
  schema: Record<string, unknown> | boolean,
  kind: ProviderKind,
): boolean {
  if (mode === "prompt" || kind === "sim") return true;
  if (typeof schema === "boolean") return mode === "json";
  const root = schema.type;
  if (root === undefined || root === "object") return true;
  return mode === "json_schema" && kind !== "openai" && kind !== "anthropic";
}

function isMode(value: unknown): value is OutputMode {
  return MODES.has(value);
}

function isSchema(schema: unknown): schema is Record<string, unknown> | boolean {
  return typeof schema === "boolean" || (typeof schema === "object" && schema !== null);
}
