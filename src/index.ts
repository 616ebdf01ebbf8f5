/** What applications import: `import { createClient } from "llmq"`. */
export type { ToolCallsAnswer, ValidationError } from "./answer/answer.ts";
export type { ClientOptions, LlmqClient, TransactionOptions } from "./client/client.ts";
export { createClient } from "./client/client.ts";
export { ClientClosedError, LlmqError, RequestFailedError, WaitTimeoutError } from "./client/errors.ts";
export { resultChannel } from "./client/result-channels.ts";
export type { ResultHandler } from "./client/subscriptions.ts";
export type {
  Complexity,
  Fallback,
  FullLlmRequest,
  LlmRequest,
  RequestExplanation,
  RequestStatus,
  SubmitRequest,
  ToolResult,
} from "./client/types.ts";
export type { WaitOptions } from "./client/waits.ts";
export type { ChatMessage, ChatPart, ChatSettings, ChatTool, ChatToolCall } from "./providers/provider.ts";
