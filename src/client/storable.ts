/**
 * Postgres refuses U+0000 in text and jsonb, and half of a surrogate pair in jsonb, with messages that name
 * neither the field nor, in a bulk call, the request. So it is found here, before anything is sent.
 */
import { LlmqError } from "./errors.ts";

/** JSON text of `value`. Throws `LlmqError` LQ001 with the path of what cannot be stored. */
export function toStorableJson(value: object): string {
  const json = stringify(value);
  // Both kinds are escaped by JSON.stringify, so two searches of the text spare a walk of the value.
  if (json.includes("\\u0000") || json.includes("\\ud")) refuseUnstorable(JSON.parse(json), "");
  return json;
}

function stringify(value: object): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new LlmqError("LQ001", `the request cannot be written as JSON: ${reason}`, { cause: error });
  }
}

function refuseUnstorable(value: unknown, path: string): void {
  if (typeof value === "string") return refuseText(value, path);
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    refuseText(key, `a key of ${path === "" ? "the request" : path}`);
    refuseUnstorable(item, Array.isArray(value) ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`);
  }
}

function refuseText(text: string, path: string): void {
  if (text.includes("\u0000")) {
    throw new LlmqError("LQ001", `${path} contains the character U+0000, which Postgres cannot store`, {
      detail: `At position ${text.indexOf("\u0000")}.`,
      hint: "Remove it before submitting.",
    });
  }
  if (!text.isWellFormed()) {
    throw new LlmqError("LQ001", `${path} contains half of a surrogate pair, which Postgres cannot store`, {
      hint: "The text was probably cut inside a character; text.toWellFormed() replaces it.",
    });
  }
}
