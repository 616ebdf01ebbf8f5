/**
 * The one shape of tool calls, `{"tool_calls": [{"id", "tool_name", "params"}], "final_response"}`, from the
 * two ways they arrive: natively, or written by the model as JSON.
 */
import type { ChatTool } from "../providers/provider.ts";
import type { Repair, ToolCallsAnswer, ValidationError } from "./answer.ts";
import { checkValue } from "./check-value.ts";
import { jsonCandidates } from "./extract-json.ts";
import { fitsLimits } from "./json-limits.ts";
import type { SchemaValidator } from "./schema-validator.ts";
import { toStorableText, toStorableValue } from "./storable.ts";

/** As in `ProviderOutcome`: `params` is parsed; what is no JSON object is kept in `rawArguments`. */
export type NativeToolCall = { id: string; toolName: string; params: unknown; rawArguments: string };

export type ReadToolCalls = { answer: ToolCallsAnswer; errors: ValidationError[]; repairs: Repair[] };

/** `final_response` is what a response schema made of it; the other fields are the schema's as well. */
export type NormalisedToolCalls = {
  tool_calls: ToolCall[];
  final_response: unknown;
  [field: string]: unknown;
};

type ToolCall = ToolCallsAnswer["tool_calls"][number];

/** Reads native calls, mends their arguments where that is safe, and checks them against the tools offered. */
export function readNativeToolCalls(
  calls: NativeToolCall[],
  text: string,
  toolsOffered: ChatTool[],
  validator: SchemaValidator,
): ReadToolCalls {
  const ids = uniqueIds(calls.map((call) => call.id));
  const repairs: Repair[] = [];
  const toolCalls = calls.map((call, index) => {
    const read = readParams(call);
    repairs.push(...read.repairs);
    return { id: ids[index] as string, tool_name: toStorableText(call.toolName), params: read.params };
  });
  const checked = checkToolCalls(toolCalls, toolsOffered, validator);
  const final_response = text.trim() === "" ? null : text;
  return {
    answer: { tool_calls: checked.toolCalls, final_response },
    errors: checked.errors,
    repairs: [...new Set([...repairs, ...checked.repairs])],
  };
}

/**
 * Each call's tool must be among those offered (when any were) and its `params` an object that fits the tool's
 * `parameters`. Returns the calls with gently coerced params.
 */
export function checkToolCalls(
  toolCalls: ToolCall[],
  toolsOffered: ChatTool[],
  validator: SchemaValidator,
): { toolCalls: ToolCall[]; errors: ValidationError[]; repairs: Repair[] } {
  const errors: ValidationError[] = [];
  const repairs = new Set<Repair>();
  const checked = toolCalls.map((call, index) => {
    const field = `tool_calls[${index}]`;
    if (!isObject(call.params)) {
      errors.push({ type: "schema_violation", field: `${field}.params`, message: "must be object" });
      return call;
    }
    if (toolsOffered.length === 0) return call;
    const tool = toolsOffered.find((offered) => offered.function.name === call.tool_name);
    if (tool === undefined) {
      const names = toolsOffered.map((offered) => offered.function.name).join(", ");
      const message = `must be one of the tools offered: ${names}`;
      errors.push({ type: "schema_violation", field: `${field}.tool_name`, message });
      return call;
    }
    const schema = tool.function.parameters ?? true;
    const result = checkValue(call.params, validator.compile(schema), `${field}.params`);
    for (const repair of result.repairs) repairs.add(repair);
    errors.push(...result.errors);
    return { ...call, params: result.value };
  });
  return { toolCalls: checked, errors, repairs: [...repairs] };
}

/**
 * Why `tool_calls` that a model wrote are none: each entry is an object that names its tool. Empty for what says
 * nothing of tool calls, and where `normaliseToolCalls` can read them.
 */
export function malformedToolCalls(value: unknown): ValidationError[] {
  if (!isObject(value) || !Array.isArray(value.tool_calls)) return [];
  return value.tool_calls.flatMap((call, index): ValidationError[] => {
    if (splitCall(call) !== null) return [];
    const at = `tool_calls[${index}]`;
    return isObject(call)
      ? [
          {
            type: "schema_violation",
            field: `${at}.tool_name`,
            message: "must have required property 'tool_name'",
          },
        ]
      : [{ type: "schema_violation", field: at, message: "must be object" }];
  });
}

/**
 * `value` in the one shape when it is an object whose `tool_calls` are all objects with a name, else null.
 * Accepts `tool_name`, `name` or `function`, and `params`, `arguments` or `input` (JSON text too); all other
 * fields stay.
 */
export function normaliseToolCalls(value: unknown): NormalisedToolCalls | null {
  if (!isObject(value) || !Array.isArray(value.tool_calls)) return null;
  const parts = value.tool_calls.map(splitCall);
  if (!parts.every((part) => part !== null)) return null;
  const ids = uniqueIds(parts.map((part) => part.id));
  const tool_calls = parts.map(({ rest, tool_name, params }, index) => ({
    ...rest,
    id: ids[index] as string,
    tool_name,
    params,
  }));
  return { ...value, tool_calls, final_response: value.final_response ?? null };
}

function splitCall(call: unknown) {
  if (!isObject(call)) return null;
  // OpenAI's own shape nests name and arguments under `function`.
  const flat = isObject(call.function) ? { ...without(call, ["function", "type"]), ...call.function } : call;
  const nameKey = ["tool_name", "name", "function"].find((key) => typeof flat[key] === "string");
  if (nameKey === undefined) return null;
  const paramsKey = ["params", "arguments", "input"].find((key) => flat[key] !== undefined);
  const given = paramsKey === undefined ? {} : flat[paramsKey];
  const decoded = typeof given === "string" ? readObject(given) : null;
  const id = typeof flat.id === "string" || typeof flat.id === "number" ? String(flat.id) : "";
  return {
    id,
    tool_name: flat[nameKey] as string,
    params: decoded?.value ?? given,
    rest: without(flat, paramsKey === undefined ? ["id", nameKey] : ["id", nameKey, paramsKey]),
  };
}

function readParams(call: NativeToolCall): { params: unknown; repairs: Repair[] } {
  if (isObject(call.params) && fitsLimits(call.params)) {
    return { params: toStorableValue(call.params), repairs: [] };
  }
  const raw = toStorableText(call.rawArguments);
  // A call without arguments comes as empty text from several providers.
  if (raw.trim() === "") return { params: {}, repairs: [] };
  const read = readObject(raw);
  return read === null ? { params: raw, repairs: [] } : { params: read.value, repairs: read.repairs };
}

function readObject(text: string): { value: Record<string, unknown>; repairs: Repair[] } | null {
  for (const { value, repairs } of jsonCandidates(text, true)) {
    if (isObject(value)) return { value, repairs };
  }
  return null;
}

/** Missing and repeated ids become `call_<index>`: the results are matched to their calls by id. */
function uniqueIds(ids: string[]): string[] {
  const taken = new Set(ids.map(toStorableText));
  const seen = new Set<string>();
  return ids.map((given, index) => {
    let id = toStorableText(given);
    if (id === "" || seen.has(id)) {
      id = `call_${index}`;
      for (let copy = 2; taken.has(id); copy++) id = `call_${index}_${copy}`;
      taken.add(id);
    }
    seen.add(id);
    return id;
  });
}

function without(value: Record<string, unknown>, keys: string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
