import { signal } from "@preact/signals";
import type { Session } from "../../src/http/dashboard/api-types.ts";

/** Null: not asked yet. */
export const session = signal<Session | null>(null);
