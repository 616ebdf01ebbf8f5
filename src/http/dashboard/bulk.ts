import type { DashboardActions } from "../../database/dashboard/actions.ts";
import { readMatchingIds } from "../../database/dashboard/request-list.ts";
import type { Read } from "../../database/reads.ts";
import type { BulkAction, BulkOutcome } from "./api-request-types.ts";
import type { RequestStatus } from "./api-types.ts";

/** Requests that one action on a filter changes at most. */
export const BULK_LIMIT = 1_000;
const REASONS = 3;

/** Requests that can be retried or cancelled. */
const AFFECTED: Record<"retry" | "cancel", readonly RequestStatus[]> = {
  retry: ["failed", "cancelled"],
  cancel: ["pending", "processing"],
};

/** Each request in a transaction of its own: one that is refused keeps no other from being changed. */
export async function runBulk(
  read: Read,
  actions: DashboardActions,
  kind: "retry" | "cancel",
  { filter, dryRun }: BulkAction,
): Promise<BulkOutcome> {
  const { ids, more } = await readMatchingIds(read, filter, AFFECTED[kind], BULK_LIMIT);
  const outcome: BulkOutcome = {
    matched: ids.length,
    changed: 0,
    more,
    limit: BULK_LIMIT,
    refused: 0,
    reasons: [],
  };
  if (dryRun) return outcome;
  const reasons = new Set<string>();
  for (const id of ids) {
    try {
      if (await actions[kind](id)) outcome.changed += 1;
    } catch (error) {
      // Of llmq's own kind: about this request. Anything else would be the same for the next one.
      if (!/^LQ/.test((error as { code?: string }).code ?? "")) throw error;
      outcome.refused += 1;
      if (reasons.size < REASONS) reasons.add((error as Error).message);
    }
  }
  return { ...outcome, reasons: [...reasons] };
}
