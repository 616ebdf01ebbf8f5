import { expect, it } from "vitest";
import { fitsLimits, MAX_JSON_DEPTH } from "../../src/answer/json-limits.ts";
import { toStorableText, toStorableValue } from "../../src/answer/storable.ts";

it("text loses NUL and lone surrogates only", () => {
  expect(toStorableText("a\u0000b\ud83dc\udc00 😀\uFEFF")).toBe("ab\ufffdc\ufffd 😀\uFEFF");
});

it("values are cleaned at every depth, keys as well, and kept when clean", () => {
  const clean = { a: [1, "😀", null, { b: true }] };
  expect(toStorableValue(clean)).toBe(clean);
  expect(toStorableValue({ "k\u0000": [{ b: "\u0000" }, "\ud800"] })).toEqual({ k: [{ b: "" }, "\ufffd"] });
  const proto: unknown = JSON.parse('{"__proto__": "\\u0000x"}');
  expect(JSON.stringify(toStorableValue(proto))).toBe('{"__proto__":"x"}');
});

it("values deeper than the limit or with endless numbers do not fit", () => {
  const nest = (depth: number): unknown => JSON.parse("[".repeat(depth) + "]".repeat(depth));
  expect(fitsLimits(nest(MAX_JSON_DEPTH))).toBe(true);
  expect(fitsLimits(nest(MAX_JSON_DEPTH + 1))).toBe(false);
  expect(fitsLimits(nest(100_000))).toBe(false);
  expect(fitsLimits(JSON.parse("[1e999]"))).toBe(false);
});
