/** The request of about 1.2 KB and the answer of 300 bytes that every benchmark uses. */

const WORDS =
  "invoice customer delivery please summary the order of contract and review was note late with account " +
  "email sent under meeting quarter report product from refund asked for change team before price list";

/** Text of exactly `length` characters that differs with `seed` and does not compress to nothing. */
function text(length: number, seed: number): string {
  const words = WORDS.split(" ");
  let state = seed * 7919 + 17;
  let result = "";
  while (result.length < length) {
    state = (state * 1103515245 + 12345) % 2147483648;
    result += `${words[(state >> 8) % words.length]} `;
  }
  return result.slice(0, length);
}

/** Whose requests they are: ten agents, so that ranking and notifications have something to do. */
export const AGENTS = Array.from({ length: 10 }, (_, index) => `agent-${index}`);

export type Payload = { agent_id: string; task_type: string; messages: { role: string; content: string }[] };

/** The parameters of `llmq.submit_llm_request`, and the message that the peer's queue gets. */
export function payload(index: number): Payload {
  return {
    agent_id: AGENTS[index % AGENTS.length] as string,
    task_type: "summary",
    messages: [
      { role: "system", content: text(250, index % 10) },
      { role: "user", content: text(800, index) },
    ],
  };
}

export const answerText = text(300, 4711);

/** The ledger row of a call that went well. */
const call = {
  outcome: "answered",
  latency_ms: 812,
  first_byte_ms: 790,
  status_code: 200,
  provider_request_id: "req_0123456789abcdef",
  finish_reason: "stop",
  input_tokens: 290,
  output_tokens: 70,
};

/** An element of the argument of `llmq.complete_llm_requests`. */
export function outcome(requestId: string, claimId: string) {
  return {
    request_id: requestId,
    claim_id: claimId,
    response: answerText,
    finish_reason: "stop",
    reasks: 0,
    repairs: [],
    calls: [call],
  };
}
