/** What an error says about the outcomes that were being stored: the one place that reads SQLSTATEs for it. */

/**
 * - `away`: the server or the way to it; the same outcomes will do later.
 * - `refused`: the data; they never will.
 * - `blocked`: somebody else's transaction holds what it needs; what it does not hold can be stored.
 * - `slow`: a time limit; fewer at once may do, and a lone one will when what holds it up is over.
 * - `unclear`: it may be the data or the server, so it is tried a few times.
 */
export type StorageErrorKind = "away" | "refused" | "blocked" | "slow" | "unclear";

/** Data exceptions, constraints, program limits, llmq's own checks, and what triggers raise. */
const REFUSED = /^(22|23|54|LQ|P0)/;

/** Connection, authorization, resources, operator intervention, rollbacks, read-only while failing over. */
const AWAY = /^(08|25|28|3D|40|42501|53|55|57)/;

/** Classifies what `pool.query` rejected with. See https://www.postgresql.org/docs/current/errcodes-appendix.html */
export function storageErrorKind(error: unknown): StorageErrorKind {
  // JSON.stringify: the text would be longer than a string can be.
  if (error instanceof RangeError || error instanceof TypeError) return "refused";
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (REFUSED.test(code)) return "refused";
  if (code === "55P03") return "blocked";
  // Time limits of node-postgres have no code; those of sockets are words, such as ECONNREFUSED.
  if (code === "57014" || /read timeout/i.test(String(error))) return "slow";
  if (AWAY.test(code) || !/^[0-9A-Z]{5}$/.test(code)) return "away";
  return "unclear";
}
