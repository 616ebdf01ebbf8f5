import type { ErrorObject } from "ajv";
import type { ValidationError } from "./answer.ts";

/** So many violations are kept per answer: enough to mend it, little enough to store and to send back. */
export const MAX_VIOLATIONS = 50;

/**
 * ajv's errors as `validation_errors`, without duplicates: `{"type": "schema_violation", "field":
 * "tool_calls[0].params", "message": "must be object"}`. `prefix` is the path of the value that was checked.
 */
export function describeViolations(errors: ErrorObject[], value: unknown, prefix = "$"): ValidationError[] {
  const described = new Map<string, ValidationError>();
  for (const error of errors) {
    const violation: ValidationError = {
      type: "schema_violation",
      field: fieldOf(error, value, prefix),
      message: messageOf(error),
    };
    described.set(JSON.stringify([violation.field, violation.message]), violation);
    if (described.size === MAX_VIOLATIONS) break;
  }
  return [...described.values()];
}

/**
 * `/tool_calls/0/params` of `value` as `tool_calls[0].params`; the root is `$`. Keys that are no plain names
 * come as `["a key"]`, so that an array's index and an object's key `0` differ.
 */
export function pointerToField(pointer: string, value: unknown, prefix = "$"): string {
  let field = prefix;
  let current = value;
  for (const segment of pointerSegments(pointer)) {
    field = Array.isArray(current) ? `${field}[${segment}]` : appendKey(field, segment);
    current = childOf(current, segment);
  }
  return field;
}

/** The keys of a JSON pointer (RFC 6901). */
export function pointerSegments(pointer: string): string[] {
  const segments = pointer.split("/").slice(1);
  return segments.map((segment) => segment.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** The own property or item of a JSON value; undefined when there is none. */
export function childOf(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<string, unknown>)[key];
}

function appendKey(field: string, key: string): string {
  if (!/^[\p{ID_Start}$_][\p{ID_Continue}$-]*$/u.test(key)) return `${field}[${JSON.stringify(key)}]`;
  return field === "$" ? key : `${field}.${key}`;
}

/** Errors about a property that is missing or too many name that property, not the object around it. */
function fieldOf(error: ErrorObject, value: unknown, prefix: string): string {
  const field = pointerToField(error.instancePath, value, prefix);
  const { missingProperty, additionalProperty, unevaluatedProperty, propertyName } = error.params;
  const property = missingProperty ?? additionalProperty ?? unevaluatedProperty ?? propertyName;
  return typeof property === "string" ? appendKey(field, property) : field;
}

function messageOf(error: ErrorObject): string {
  const message = error.message ?? `breaks "${error.keyword}"`;
  const allowed: unknown = error.keyword === "enum" ? error.params.allowedValues : error.params.allowedValue;
  if (allowed === undefined) return message;
  const list = (Array.isArray(allowed) && error.keyword === "enum" ? allowed : [allowed])
    .map((item) => JSON.stringify(item))
    .join(", ");
  return list.length > 300 ? message : `${message}: ${list}`;
}
