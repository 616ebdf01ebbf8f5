/**
 * A provider that keeps count, in a process of its own: what arrived in any rolling minute, by its own clock. Speaks
 * OpenAI's format; prints its port; GET / gives [[milliseconds, input tokens, output tokens], ...]; ends with its parent.
 *
 * Tokens are what it would bill: four characters of prompt each, and as many of answer as the prompt's "words:" says.
 * Three of a hundred calls end with status 500, after their work was done.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const LATENCY_MS = [200, 900] as const;
const FAILING = 0.03;

const arrivals: [at: number, input: number, output: number][] = [];

function answer(body: string) {
  const request = JSON.parse(body) as { messages: { content: string }[]; max_tokens?: number };
  const prompt = request.messages.map((message) => message.content).join(" ");
  const asked = Number(/words: (\d+)/.exec(prompt)?.[1] ?? 10);
  const promptTokens = Math.ceil(prompt.length / 4);
  const completionTokens = Math.min(asked, request.max_tokens ?? asked);
  arrivals.push([Date.now(), promptTokens, completionTokens]);
  return {
    id: "chatcmpl-0",
    object: "chat.completion",
    created: 0,
    model: "counting",
    choices: [{ index: 0, message: { role: "assistant", content: "done" }, finish_reason: "stop" }],
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
    },
  };
}

const server = createServer((request, response) => {
  const send = (status: number, body: unknown) => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  if (request.method === "GET") return send(200, arrivals);
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body = answer(Buffer.concat(chunks).toString("utf8"));
    const latencyMs = LATENCY_MS[0] + Math.random() * (LATENCY_MS[1] - LATENCY_MS[0]);
    const fails = Math.random() < FAILING;
    setTimeout(() => send(fails ? 500 : 200, fails ? { error: { message: "chance" } } : body), latencyMs);
  });
});
server.keepAliveTimeout = 120_000;
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
process.stdin.resume().on("end", () => process.exit(0));
