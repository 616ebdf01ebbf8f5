/**
 * What becomes of a model's answer. `checkAnswer` (check-answer.ts) turns a provider's answer into one of
 * these verdicts; it is pure and knows neither the database nor the network.
 */
import type { OutputMode } from "../providers/provider.ts";

/** One entry of `validation_errors`. */
export type ValidationError =
  | { type: "json_decode_error"; error: string; position: number; response_preview: string }
  | { type: "schema_violation"; field: string; message: string }
  | { type: "invalid_schema"; field: string; message: string };

/** What was mended on the way, in order: stored in `llmq.results.repairs`. */
export type Repair =
  | "think_block"
  | "code_fence"
  | "extracted_json"
  | "repaired_json"
  | "coerced"
  | "reasked"
  | "larger_max_tokens";

/** The shape of `parsed_response` for tool calls, whether native or through a response schema. */
export type ToolCallsAnswer = {
  tool_calls: { id: string; tool_name: string; params: unknown }[];
  final_response: string | null;
};

export type AnswerVerdict =
  | { kind: "text"; response: string }
  | { kind: "parsed"; response: string; parsedResponse: unknown; repairs: Repair[] }
  | {
      kind: "invalid";
      /** Starts with `Malformed or invalid LLM response`. */
      errorMessage: string;
      response: string;
      /** The best reading so far, when it parsed but broke the schema. */
      parsedResponse: unknown;
      validationErrors: ValidationError[];
      repairs: Repair[];
    };

export type { OutputMode };
