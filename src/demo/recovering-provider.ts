/** An OpenAI-compatible server that is down (its port refuses) until `recover()`: a real outage over HTTP. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export type RecoveringProvider = {
  /** Base URL for `llmq.configure_provider(..., 'openai-compatible', ...)`. */
  baseUrl: string;
  recover(): Promise<void>;
  stop(): Promise<void>;
};

export async function createRecoveringProvider(): Promise<RecoveringProvider> {
  const port = await freePort();
  const server = createServer((_request, response) => {
    response.setHeader("content-type", "application/json");
    response.end(
      JSON.stringify({
        id: "chatcmpl-demo",
        object: "chat.completion",
        created: Math.floor(Date.now() / 1000),
        model: "recovering",
        choices: [
          { index: 0, message: { role: "assistant", content: "Yes, I am back." }, finish_reason: "stop" },
        ],
        usage: { prompt_tokens: 12, completion_tokens: 6, total_tokens: 18 },
      }),
    );
  });
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    async recover() {
      server.listen(port, "127.0.0.1");
      await once(server, "listening");
    },
    async stop() {
      if (server.listening) await close(server);
    },
  };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  await close(probe);
  return port;
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
}
