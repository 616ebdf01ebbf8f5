/**
 * Integers beyond 2^53, such as the ids of some services, in full: JavaScript's numbers round them, jsonb does not.
 */
declare global {
  interface JSON {
    /** https://developer.mozilla.org/en-US/docs/Web/JavaScript/Reference/Global_Objects/JSON/rawJSON */
    rawJSON(text: string): object;
  }
}

const LONG_INTEGER = /(?<![\d.])-?[1-9]\d{15,}(?![\d.eE])/g;
const STRING = /"(?:[^"\\]|\\.)*"/g;

/**
 * `value` as `JSON.stringify` should write it: each integer that was rounded is as it stands in `source`, the text
 * that the value was read from. Equal roundings are told apart by their order.
 */
export function withExactIntegers(value: unknown, source: string): unknown {
  if (source.search(LONG_INTEGER) === -1) return value;
  const outsideStrings = literalsByValue(source.replaceAll(STRING, '""'));
  // JSON inside of a string, as in a call's arguments.
  const anywhere = literalsByValue(source);
  const literalOf = (rounded: number) =>
    outsideStrings.get(rounded)?.shift() ?? anywhere.get(rounded)?.shift();
  return restore(value, literalOf);
}

function literalsByValue(text: string): Map<number, string[]> {
  return Map.groupBy(text.match(LONG_INTEGER) ?? [], Number);
}

function restore(value: unknown, literalOf: (rounded: number) => string | undefined): unknown {
  if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    const literal = literalOf(value);
    return literal === undefined ? value : JSON.rawJSON(literal);
  }
  if (Array.isArray(value)) return value.map((item) => restore(item, literalOf));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, restore(item, literalOf)]));
}
