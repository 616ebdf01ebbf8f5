import { jsonCandidates } from "../../answer/extract-json.ts";
import type {
  Attempt,
  Content,
  RequestDetail,
  Turn,
  ValidationProblem,
} from "../../http/dashboard/api-request-types.ts";
import type { RequestStatus } from "../../http/dashboard/api-types.ts";
import type { Read } from "../reads.ts";
import { type SummaryRow, toSummary } from "./request-list.ts";

/** Of a conversation, in each direction. */
const MAX_TURNS = 25;

const DETAIL = `
select v.*, v.cost_usd::float8 as cost_usd, (v.input_tokens + v.output_tokens)::float8 as tokens,
  v.input_tokens::float8 as input_tokens, v.output_tokens::float8 as output_tokens,
  v.cached_input_tokens::float8 as cached_input_tokens, v.reasoning_tokens::float8 as reasoning_tokens,
  llmq.explain_llm_request(v.id) as explanation
from llmq.llm_requests as v
where v.id = $1`;

const LEDGER = `
select a.*, a.cost_usd::float8 as cost_usd
from llmq.attempts as a
where a.request_id = $1
order by a.number
limit 200`;

/** Up by parent_id and down by next_request_id: both are looked up by primary key. */
const TURNS = `
with recursive up as (
  select v.id, v.parent_id, 0 as step from llmq.llm_requests as v where v.id = $1
  union all
  select v.id, v.parent_id, up.step + 1
  from up join llmq.llm_requests as v on v.id = up.parent_id
  where up.step < ${MAX_TURNS}
), down as (
  select v.id, v.next_request_id, 0 as step from llmq.llm_requests as v where v.id = $1
  union all
  select v.id, v.next_request_id, down.step + 1
  from down join llmq.llm_requests as v on v.id = down.next_request_id
  where down.step < ${MAX_TURNS}
)
select v.id, v.status, v.created_at,
  jsonb_path_query_array(v.parsed_response, '$.tool_calls[*].tool_name') as calls
from (select id from up union select id from down) as t
join llmq.llm_requests as v on v.id = t.id
order by v.id`;

type DetailRow = SummaryRow & {
  provider: string | null;
  deadline: Date | null;
  updated_at: Date;
  max_attempts: number;
  capacity_waits: number;
  reasks: number;
  crashes: number;
  finish_reason: string | null;
  repairs: string[] | null;
  input_tokens: number | null;
  output_tokens: number | null;
  cached_input_tokens: number | null;
  reasoning_tokens: number | null;
  reply_to: string | null;
  parent_id: string | null;
  next_request_id: string | null;
  messages: unknown;
  context: unknown;
  response_schema: unknown;
  tools: unknown;
  settings: unknown;
  response: string | null;
  parsed_response: unknown;
  validation_errors: Record<string, unknown>[] | null;
  tool_results: unknown;
  explanation: Record<string, unknown>;
};

/** One request, whole; null when there is none. Without its `content` when prompts are hidden. */
export async function readRequestDetail(
  read: Read,
  id: string,
  prompts: "show" | "hide",
): Promise<RequestDetail | null> {
  const [row] = await read<DetailRow>(DETAIL, [id]);
  if (row === undefined) return null;
  const ledger = await read<AttemptRow>(LEDGER, [id]);
  const turns = await read<TurnRow>(TURNS, [id]);
  return {
    ...toSummary(row),
    provider: row.provider,
    deadline: row.deadline?.toISOString() ?? null,
    updatedAt: row.updated_at.toISOString(),
    maxAttempts: row.max_attempts,
    capacityWaits: row.capacity_waits,
    reasks: row.reasks,
    crashes: row.crashes,
    finishReason: row.finish_reason,
    repairs: row.repairs ?? [],
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    cachedInputTokens: row.cached_input_tokens,
    reasoningTokens: row.reasoning_tokens,
    replyTo: row.reply_to,
    parentId: row.parent_id,
    nextRequestId: row.next_request_id,
    problems: (row.validation_errors ?? []).map(toProblem),
    content: prompts === "show" ? contentOf(row) : null,
    ledger: ledger.map(toAttempt),
    turns: turns.length > 1 ? turns.map(toTurn) : [],
    explanation: row.explanation,
  };
}

function contentOf(row: DetailRow): Content {
  const content: Content = {
    messages: row.messages,
    context: row.context,
    responseSchema: row.response_schema,
    tools: row.tools,
    settings: row.settings,
    response: row.response,
    parsedResponse: row.parsed_response,
    toolResults: row.tool_results,
  };
  const refused = row.validation_errors !== null && row.parsed_response === null;
  if (!refused || row.response === null) return content;
  const [candidate] = jsonCandidates(row.response, true);
  return candidate === undefined ? content : { ...content, refusedJson: candidate.value };
}

/** Without `response_preview`: that is a piece of the answer. */
function toProblem(error: Record<string, unknown>): ValidationProblem {
  return {
    type: String(error.type ?? "error"),
    field: typeof error.field === "string" ? error.field : null,
    message: String(error.message ?? error.error ?? ""),
    position: typeof error.position === "number" ? error.position : null,
  };
}

type TurnRow = { id: string; status: RequestStatus; created_at: Date; calls: unknown[] | null };

function toTurn({ id, status, created_at, calls }: TurnRow): Turn {
  return { id, status, createdAt: created_at.toISOString(), calls: (calls ?? []).map(String) };
}

type AttemptRow = {
  number: number;
  model: string | null;
  provider: string | null;
  outcome: string;
  started_at: Date | null;
  finished_at: Date;
  latency_ms: number | null;
  first_byte_ms: number | null;
  status_code: number | null;
  error_message: string | null;
  provider_request_id: string | null;
  finish_reason: string | null;
  output_mode: string | null;
  input_tokens: number | null;
  output_tokens: number | null;
  cached_input_tokens: number | null;
  reasoning_tokens: number | null;
  cost_usd: number | null;
};

function toAttempt(row: AttemptRow): Attempt {
  return {
    number: row.number,
    model: row.model,
    provider: row.provider,
    outcome: row.outcome,
    startedAt: row.started_at?.toISOString() ?? null,
    finishedAt: row.finished_at.toISOString(),
    latencyMs: row.latency_ms,
    firstByteMs: row.first_byte_ms,
    statusCode: row.status_code,
    errorMessage: row.error_message,
    providerRequestId: row.provider_request_id,
    finishReason: row.finish_reason,
    outputMode: row.output_mode,
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    cachedInputTokens: row.cached_input_tokens,
    reasoningTokens: row.reasoning_tokens,
    costUsd: row.cost_usd,
  };
}
