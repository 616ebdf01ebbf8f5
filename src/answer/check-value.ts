import type { Repair, ValidationError } from "./answer.ts";
import { coerceToSchema } from "./coerce.ts";
import type { CompiledSchema } from "./schema-validator.ts";
import { describeViolations } from "./violations.ts";

/** `value` is coerced when that makes it valid (`repairs` says so), and as it was given otherwise. */
export type CheckedValue = { value: unknown; errors: ValidationError[]; repairs: Repair[] };

/** Checks a JSON value, and tries gentle coercion only after that failed. `field` is its path for the errors. */
export function checkValue(value: unknown, schema: CompiledSchema, field = "$"): CheckedValue {
  if (schema.kind === "invalid_schema") return { value, errors: [invalid(schema)], repairs: [] };
  const result = schema.check(value);
  if (result.kind === "valid") return { value, errors: [], repairs: [] };
  if (result.kind === "invalid_schema") return { value, errors: [invalid(result)], repairs: [] };
  const coerced = coerceToSchema(value, result.errors, schema.check);
  if (coerced !== null) return { value: coerced.value, errors: [], repairs: ["coerced"] };
  const errors = describeViolations(result.errors, value, field);
  return { value, errors, repairs: [] };
}

function invalid(schema: { field: string; message: string }): ValidationError {
  return { type: "invalid_schema", field: schema.field, message: schema.message };
}
