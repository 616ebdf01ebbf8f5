/**
 * Postgres text and jsonb hold neither U+0000 nor half of a surrogate pair. What a model sends may hold
 * both, so everything that will be stored passes through here first.
 */

/** `text` without NUL characters, and with each lone surrogate replaced by U+FFFD. */
export function toStorableText(text: string): string {
  const withoutNul = text.includes("\u0000") ? text.replaceAll("\u0000", "") : text;
  return withoutNul.toWellFormed();
}

/**
 * The same for every string and key inside a JSON value. Returns the value itself when there is nothing to
 * change. Recursive: call it with values inside `fitsLimits` (json-limits.ts).
 */
export function toStorableValue(value: unknown): unknown {
  if (typeof value === "string") return toStorableText(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map(toStorableValue);
    return items.every((item, index) => Object.is(item, value[index])) ? value : items;
  }
  const entries = Object.entries(value);
  const storable = entries.map(([key, item]) => [toStorableText(key), toStorableValue(item)] as const);
  const unchanged = storable.every(
    ([key, item], index) => key === entries[index]?.[0] && Object.is(item, entries[index]?.[1]),
  );
  return unchanged ? value : Object.fromEntries(storable);
}
