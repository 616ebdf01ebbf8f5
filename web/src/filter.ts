import type { RequestFilter } from "../../src/http/dashboard/api-request-types.ts";

const NAMES = ["status", "agent", "taskType", "model", "errorType", "text", "from", "to"] as const;

/** The filter in an address. */
export function filterOf(parameters: URLSearchParams): RequestFilter {
  const given = NAMES.flatMap((name) => {
    const value = parameters.get(name);
    return value === null || value === "" ? [] : [[name, value]];
  });
  return Object.fromEntries(given) as RequestFilter;
}
