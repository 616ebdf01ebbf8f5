import type { FailedOutcome } from "./queue-types.ts";

/** As `llmq.error_type()` in SQL: what users see for a class of error. */
const ERROR_TYPES: Partial<Record<FailedOutcome["errorClass"], string>> = {
  transient: "provider_unavailable",
  capacity: "provider_unavailable",
  out_of_quota: "provider_unavailable",
  configuration: "provider_unavailable",
  invalid: "malformed_response",
  deadline: "deadline_exceeded",
};

export function errorTypeOf(errorClass: FailedOutcome["errorClass"]): string {
  return ERROR_TYPES[errorClass] ?? errorClass;
}
