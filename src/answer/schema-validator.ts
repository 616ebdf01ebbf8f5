/**
 * JSON Schema checks by ajv: compiled once per schema, kept by content hash.
 *
 * Drafts: 2020-12, or 06/07 when `$schema` says so. `format` is checked where the format is known and ignored
 * where it is not; so are unknown keywords (`discriminator`, OpenAPI's own). References may point inside the
 * schema only: nothing is ever fetched, and no schema sees another's `$id`.
 *
 * How long a check takes is up to the schema: see answer-checker.ts.
 */
import { hash } from "node:crypto";
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { LRUCache } from "lru-cache";
import { pointerToField } from "./violations.ts";

export type SchemaCheck =
  | { kind: "valid" }
  /** ajv's own errors, all of them; `describeViolations` puts them into our words. */
  | { kind: "violations"; errors: ErrorObject[] }
  /** The check itself could not be made: endless recursion. */
  | { kind: "invalid_schema"; field: string; message: string };

export type CompiledSchema =
  | { kind: "compiled"; check: (value: unknown) => SchemaCheck }
  | { kind: "invalid_schema"; field: string; message: string };

export type SchemaValidator = {
  /** Never throws. Anything but an object or a boolean is an invalid schema. */
  compile(schema: unknown): CompiledSchema;
};

export type SchemaValidatorOptions = {
  /** How many compiled schemas are kept. */
  maxSchemas?: number;
};

type Draft = { meta: Ajv; metaId: string; create: (over: Options) => Ajv };

const OPTIONS = {
  allErrors: true,
  strict: false,
  logger: false,
  meta: false,
  validateSchema: false,
} as const;
const META_2020 = "https://json-schema.org/draft/2020-12/schema";
const META_07 = "http://json-schema.org/draft-07/schema#";

export function createSchemaValidator(options: SchemaValidatorOptions = {}): SchemaValidator {
  const { maxSchemas = 500 } = options;
  const compiled = new LRUCache<string, CompiledSchema>({ max: maxSchemas });
  const drafts = {
    "2020-12": {
      meta: new Ajv2020({ strict: false, logger: false }),
      metaId: META_2020,
      create: (over) => formats.default(new Ajv2020({ ...OPTIONS, ...over })),
    },
    "07": {
      meta: new Ajv({ strict: false, logger: false }),
      metaId: META_07,
      create: (over) => formats.default(new Ajv({ ...OPTIONS, ...over })),
    },
  } satisfies Record<string, Draft>;

  return {
    compile(schema) {
      const text = schemaText(schema);
      if (text === null) return invalidSchema("must be an object or a boolean");
      const key = hash("sha256", text);
      const known = compiled.get(key);
      if (known !== undefined) return known;
      const fresh = compileText(text, drafts);
      compiled.set(key, fresh);
      return fresh;
    },
  };
}

/** Content hash of a schema, stable for the same JSON text; null when it is no schema at all. */
export function schemaHash(schema: unknown): string | null {
  const text = schemaText(schema);
  return text === null ? null : hash("sha256", text);
}

function schemaText(schema: unknown): string | null {
  try {
    const text = JSON.stringify(schema);
    return text === "true" || text === "false" || text?.startsWith("{") ? text : null;
  } catch {
    return null;
  }
}

function compileText(text: string, drafts: Record<"2020-12" | "07", Draft>): CompiledSchema {
  try {
    const schema = JSON.parse(text) as boolean | Record<string, unknown>;
    const draft = drafts[draftOf(schema)];
    // A new instance each time, since ajv registers every inner `$id` for the schemas that follow.
    const validate = draft.meta.getSchema(draft.metaId);
    if (validate !== undefined && validate(schema) === false) return fromMetaErrors(validate.errors, schema);
    const check = compileWith(draft, schema);
    if ("$async" in check) return invalidSchema("$async is not supported");
    return { kind: "compiled", check: guarded(check) };
  } catch (error) {
    return invalidSchema(error instanceof Error ? error.message : String(error));
  }
}

/** With `u` a regular expression knows code points, and refuses needless escapes (`\\-`) that many patterns have. */
function compileWith({ create }: Draft, schema: boolean | Record<string, unknown>) {
  try {
    return create({}).compile(schema);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return create({ unicodeRegExp: false }).compile(schema);
  }
}

function guarded(check: ValidateFunction) {
  return (value: unknown): SchemaCheck => {
    try {
      return check(value) ? { kind: "valid" } : { kind: "violations", errors: check.errors ?? [] };
    } catch (error) {
      return invalidSchema(`cannot be checked: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
}

function draftOf(schema: boolean | Record<string, unknown>): "2020-12" | "07" {
  const declared = typeof schema === "object" ? schema.$schema : undefined;
  return typeof declared === "string" && /draft-0[67]/.test(declared) ? "07" : "2020-12";
}

function fromMetaErrors(errors: ErrorObject[] | null | undefined, schema: unknown): CompiledSchema {
  const first = errors?.[0];
  if (first === undefined) return invalidSchema("is not a JSON Schema");
  return {
    kind: "invalid_schema",
    field: pointerToField(first.instancePath, schema),
    message: first.message ?? "is not valid",
  };
}

function invalidSchema(message: string): { kind: "invalid_schema"; field: string; message: string } {
  return { kind: "invalid_schema", field: "$", message };
}
