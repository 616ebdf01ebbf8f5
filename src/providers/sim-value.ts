/** The smallest value that a JSON schema allows, as far as can be told without searching. */
import { isRecord } from "./error-body.ts";

const FORMATS: Record<string, string> = {
  date: "2026-01-01",
  "date-time": "2026-01-01T00:00:00Z",
  time: "00:00:00Z",
  email: "sim@example.com",
  uri: "https://example.com/",
  uuid: "00000000-0000-4000-8000-000000000000",
  ipv4: "192.0.2.1",
  hostname: "example.com",
};
/** Deeper than any sensible schema: ends recursive ones that require themselves. */
const MAX_DEPTH = 32;

/**
 * A minimal value for the schema: required properties only, first of an enum, shortest string. The same
 * schema always gives the same value. `pattern`, `not` and `if` are not solved.
 */
export function minimalValue(schema: unknown, root: unknown = schema, depth = 0): unknown {
  if (!isRecord(schema) || depth > MAX_DEPTH) return {};
  if ("const" in schema) return schema["const"];
  if ("default" in schema) return schema["default"];
  if (Array.isArray(schema["enum"])) return schema["enum"][0];
  if (typeof schema["$ref"] === "string") return minimalValue(resolve(schema["$ref"], root), root, depth + 1);
  const choice = [schema["anyOf"], schema["oneOf"]].find((list) => Array.isArray(list) && list.length > 0);
  const parts = [
    ...(Array.isArray(schema["allOf"]) ? schema["allOf"] : []),
    ...(isArray(choice) ? [choice[0]] : []),
  ];
  if (parts.length > 0) return combined(schema, parts, root, depth);
  return plainValue(schema, root, depth);
}

function combined(schema: Record<string, unknown>, parts: unknown[], root: unknown, depth: number): unknown {
  const { allOf: _allOf, anyOf: _anyOf, oneOf: _oneOf, ...own } = schema;
  const values = parts.map((part) => minimalValue(part, root, depth + 1));
  if (!values.every(isRecord)) return values[0];
  const ownValue = minimalValue(own, root, depth + 1);
  return Object.assign({}, isRecord(ownValue) ? ownValue : {}, ...values);
}

function plainValue(schema: Record<string, unknown>, root: unknown, depth: number): unknown {
  switch ([schema["type"]].flat()[0] ?? guessType(schema)) {
    case "string":
      return stringValue(schema);
    case "integer":
    case "number":
      return numberValue(schema);
    case "boolean":
      return false;
    case "null":
      return null;
    case "array":
      return arrayValue(schema, root, depth);
    default:
      return objectValue(schema, root, depth);
  }
}

function guessType(schema: Record<string, unknown>): string {
  if ("items" in schema || "minItems" in schema || "prefixItems" in schema) return "array";
  if ("minLength" in schema || "maxLength" in schema || "format" in schema || "pattern" in schema)
    return "string";
  return "minimum" in schema || "maximum" in schema || "multipleOf" in schema ? "number" : "object";
}

function stringValue(schema: Record<string, unknown>): string {
  const value = FORMATS[String(schema["format"])] ?? "sim";
  const padded = value.padEnd(numberOr(schema["minLength"], 0), "x");
  return padded.slice(0, numberOr(schema["maxLength"], padded.length));
}

function numberValue(schema: Record<string, unknown>): number {
  const step = numberOr(schema["multipleOf"], 1);
  const low = numberOr(schema["minimum"], numberOr(schema["exclusiveMinimum"], Number.NEGATIVE_INFINITY));
  const high = numberOr(schema["maximum"], numberOr(schema["exclusiveMaximum"], Number.POSITIVE_INFINITY));
  let value = low > 0 ? Math.ceil(low / step) * step : high < 0 ? Math.floor(high / step) * step : 0;
  if (value === schema["exclusiveMinimum"]) value += step;
  if (value === schema["exclusiveMaximum"]) value -= step;
  const isOutside = value > high || value < low || value === schema["exclusiveMaximum"];
  return isOutside && schema["type"] !== "integer" ? (low + high) / 2 : value;
}

function arrayValue(schema: Record<string, unknown>, root: unknown, depth: number): unknown[] {
  const first = isArray(schema["prefixItems"]) ? schema["prefixItems"] : [];
  const length = Math.max(numberOr(schema["minItems"], 0), 0);
  return Array.from({ length }, (_, index) => minimalValue(first[index] ?? schema["items"], root, depth + 1));
}

function objectValue(schema: Record<string, unknown>, root: unknown, depth: number): Record<string, unknown> {
  const properties = isRecord(schema["properties"]) ? schema["properties"] : {};
  const required = isArray(schema["required"]) ? schema["required"].map(String) : [];
  return Object.fromEntries(
    required.map((name) => [name, minimalValue(properties[name] ?? {}, root, depth + 1)]),
  );
}

/** Only references inside the schema: `#`, `#/$defs/name`. */
function resolve(reference: string, root: unknown): unknown {
  const steps = reference.split("/").slice(1);
  return steps.reduce<unknown>((node, step) => {
    const name = decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
    return isRecord(node) || isArray(node) ? (node as Record<string, unknown>)[name] : undefined;
  }, root);
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === "number" ? value : otherwise;
}

function isArray(value: unknown): value is unknown[] {
  return Array.isArray(value);
}
