/** A little HTTP server that speaks the chat completions of OpenAI, and remembers who was asked what. */
import type { ServerResponse } from "node:http";
import { type Received, startServer } from "../providers/support.ts";

export type ChatCall = {
  /** What the last message said. */
  said: string;
  response: ServerResponse;
  /** Resolves when the caller hangs up before it has its answer. */
  hungUp: Promise<void>;
  /** Answers with this text. */
  answer(text: string, more?: Record<string, unknown>): void;
  /** Answers with an error. */
  fail(status: number, body?: unknown, headers?: Record<string, string>): void;
};

export type ChatServer = { url: string; calls: ChatCall[]; close(): Promise<void> };

/** `onCall` may answer at once, later, or never. */
export async function startChatServer(onCall: (call: ChatCall) => void): Promise<ChatServer> {
  const calls: ChatCall[] = [];
  const server = await startServer((response, received) => {
    const call = chatCall(response, received);
    calls.push(call);
    onCall(call);
  });
  return { url: server.url, calls, close: server.close };
}

function chatCall(response: ServerResponse, received: Received): ChatCall {
  const messages = received.body.messages as { content: string }[];
  const hungUp = new Promise<void>((resolve) => {
    response.once("close", () => {
      if (!response.writableFinished) resolve();
    });
  });
  const send = (status: number, body: unknown, headers: Record<string, string> = {}) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };
  return {
    said: messages.at(-1)?.content ?? "",
    response,
    hungUp,
    answer: (text, more) => send(200, { ...completion(text), ...more }),
    fail: (status, body = { error: { message: `status ${status}` } }, headers) => send(status, body, headers),
  };
}

function completion(content: string) {
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1,
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
    usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
  };
}
