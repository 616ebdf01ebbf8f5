/** A provider that always gives the same answer, in a process of its own: prints its port, ends with its parent. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const content = JSON.stringify({ answer: "the same as ever ".repeat(16), score: 1 });
const body = JSON.stringify({
  id: "chatcmpl-0",
  object: "chat.completion",
  created: 0,
  model: "constant",
  choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
  usage: { prompt_tokens: 300, completion_tokens: 75, total_tokens: 375 },
});
const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };

const server = createServer((request, response) => {
  request.resume().on("end", () => response.writeHead(200, headers).end(body));
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
process.stdin.resume().on("end", () => process.exit(0));
