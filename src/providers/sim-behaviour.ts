/** How a simulated model is told to behave: `model.options.sim`, and over it `settings.provider_options.sim`. */
import { isRecord } from "./error-body.ts";
import type { ErrorClass, FinishReason, ProviderRequest, TokenUsage } from "./provider.ts";

/** All keys are optional; none at all gives the default answer described in `sim.ts`. */
export type SimBehaviour = {
  /** How long the call takes; the default is none. */
  latency_ms?: number;
  /** Up to this much more, always the same for the same request id and call. */
  jitter_ms?: number;
  /** The answer, word for word. */
  text?: string;
  /** The answer as a JSON value. */
  json?: unknown;
  /** Calls to make, unless the conversation ends with tool results. */
  tool_calls?: { name: string; params: unknown }[];
  /** Call the first tool offered, as `tool_choice: "required"` does. */
  call_tools?: boolean;
  error?: SimError;
  /** One behaviour (or text) per call of the same request id; the last one stays. */
  answers?: (SimBehaviour | string)[];
  /** Answer with broken JSON: a text of one's own, or `true` for the answer cut off in the middle. */
  malformed?: boolean | string;
  finish_reason?: FinishReason;
  usage?: Partial<TokenUsage>;
};

export type SimError = {
  /** Goes through the table in `error-classes.ts`, like a real one. */
  status?: number;
  /** Instead of a status. */
  class?: ErrorClass;
  message?: string;
  retry_after_ms?: number;
  /** Only the first calls of each request id fail. */
  times?: number;
};

/**
 * The behaviour of one call.
 * @param callNumber 1 for the first call of this request id.
 */
export function behaviourOf(request: ProviderRequest, callNumber: number): SimBehaviour {
  const fromModel = request.model.options["sim"];
  const fromRequest = request.settings.provider_options?.["sim"];
  const base: SimBehaviour = {
    ...(isRecord(fromModel) && fromModel),
    ...(isRecord(fromRequest) && fromRequest),
  };
  const { answers, ...rest } = base;
  if (!Array.isArray(answers) || answers.length === 0) return base;
  const step = answers[Math.min(callNumber, answers.length) - 1];
  return typeof step === "string" ? { ...rest, text: step } : { ...rest, ...step };
}

/** True when the outcome depends on how often this request was called: only then is it counted. */
export function isCounted(request: ProviderRequest): boolean {
  const behaviour = [request.model.options["sim"], request.settings.provider_options?.["sim"]];
  return behaviour.some((options) => isRecord(options) && ("answers" in options || "error" in options));
}
