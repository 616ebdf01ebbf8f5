/**
 * Deeper values are refused: ajv and JSON.stringify are recursive, and jsonb gives up at its
 * `max_stack_depth` (about 6,500 levels at the default of 2 MB).
 */
export const MAX_JSON_DEPTH = 512;

/**
 * Whether a JSON value can be checked and stored: at most `MAX_JSON_DEPTH` levels, and every number finite
 * (`1e999` parses to Infinity, which would be stored as null). Walks without recursion.
 */
export function fitsLimits(value: unknown): boolean {
  const waiting: [unknown, number][] = [[value, 1]];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [item, depth] = next;
    if (typeof item === "number" && !Number.isFinite(item)) return false;
    if (typeof item !== "object" || item === null) continue;
    if (depth > MAX_JSON_DEPTH) return false;
    for (const child of Object.values(item)) waiting.push([child, depth + 1]);
  }
  return true;
}
