/**
 * Whether a schema keeps OpenAI's rules for `strict: true`; one that does not is refused with 400 there, but
 * taken as guidance with `strict: false`.
 * Source: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
 */
import { isRecord } from "./error-body.ts";

const FORBIDDEN = [
  "allOf",
  "oneOf",
  "not",
  "if",
  "then",
  "else",
  "dependentRequired",
  "dependentSchemas",
  "patternProperties",
];

/** True when the schema can be sent with `strict: true`. */
export function isStrictSchema(schema: unknown): boolean {
  return (
    isRecord(schema) && schema["type"] === "object" && schema["anyOf"] === undefined && isStrictNode(schema)
  );
}

function isStrictNode(node: unknown): boolean {
  if (!isRecord(node) || FORBIDDEN.some((keyword) => keyword in node)) return false;
  const types = [node["type"]].flat();
  if (types.includes("object") && !isClosedObject(node)) return false;
  if (types.includes("array") && !isRecord(node["items"])) return false;
  const says = ["type", "$ref", "anyOf", "enum", "const"].some((keyword) => keyword in node);
  return says && childrenOf(node).every(isStrictNode);
}

/** No other properties, and every property required. */
function isClosedObject(node: Record<string, unknown>): boolean {
  if (node["additionalProperties"] !== false) return false;
  const required = Array.isArray(node["required"]) ? node["required"] : [];
  return Object.keys(isRecord(node["properties"]) ? node["properties"] : {}).every((name) =>
    required.includes(name),
  );
}

function childrenOf(node: Record<string, unknown>): unknown[] {
  const children = ["properties", "$defs", "definitions"].flatMap((keyword) =>
    Object.values(node[keyword] ?? {}),
  );
  const choices = Array.isArray(node["anyOf"]) ? node["anyOf"] : [];
  return [...children, ...choices, ...(node["items"] === undefined ? [] : [node["items"]])];
}
