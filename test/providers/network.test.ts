import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { createProviders } from "../../src/providers/registry.ts";
import {
  asAnswer,
  asError,
  callOnce,
  providerRequest,
  sendJson,
  startConstant,
  startServer,
  type TestServer,
  testProviders,
  WIRE,
} from "./support.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function serve(...args: Parameters<typeof startServer>): Promise<TestServer> {
  const server = await startServer(...args);
  closers.push(() => server.close());
  return server;
}

/** A server below HTTP: gets each socket once the request's first bytes are there. */
async function serveSocket(onRequest: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", () => onRequest(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
}

const FULL = JSON.stringify(WIRE.openai());

describe("what breaks on the wire is transient, and told apart", () => {
  test("a refused connection", async () => {
    const server = await startServer(() => {});
    await server.close();
    const outcome = asError(await callOnce({ baseUrl: server.url }));
    expect(outcome).toMatchObject({
      errorClass: "transient",
      facts: { statusCode: null, firstByteMs: null },
    });
    expect(outcome.message).toMatch(/refused the connection \(ECONNREFUSED\)/);
  });

  test("a name that does not resolve", async () => {
    const outcome = asError(await callOnce({ baseUrl: "http://no-such-host.invalid" }));
    expect(outcome.errorClass).toBe("transient");
    expect(outcome.message).toMatch(/no-such-host\.invalid cannot be resolved/);
  });

  test("a connection reset before the answer", async () => {
    const url = await serveSocket((socket) => socket.resetAndDestroy());
    const outcome = asError(await callOnce({ baseUrl: url }));
    expect(outcome.errorClass).toBe("transient");
    expect(outcome.message).toMatch(/closed the connection before answering/);
  });

  test("a connection closed in the middle of the answer's head", async () => {
    const url = await serveSocket((socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-ty"));
    expect(asError(await callOnce({ baseUrl: url })).errorClass).toBe("transient");
  });

  test.each([
    ["closed", (socket: Socket) => socket.end()],
    ["reset", (socket: Socket) => socket.resetAndDestroy()],
  ])("a body shorter than its content-length, connection %s", async (_name, finish) => {
    const url = await serveSocket((socket) => {
      const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${FULL.length}\r\n\r\n`;
      socket.write(head + FULL.slice(0, 40), () => setImmediate(finish, socket));
    });
    const outcome = asError(await callOnce({ baseUrl: url }));
    expect(outcome.errorClass).toBe("transient");
    expect(outcome.message).toMatch(/broke off in the middle of its answer|closed the connection/);
  });

  test("a chunked body without its end", async () => {
    const server = await serve((response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.write(FULL.slice(0, 40), () => response.destroy());
    });
    const outcome = asError(await callOnce({ baseUrl: server.url }));
    expect(outcome).toMatchObject({ errorClass: "transient", facts: { statusCode: 200 } });
    expect(outcome.message).toMatch(/broke off in the middle of its answer/);
  });

  test.each([
    ["HTML", "<html><body>Please log in</body></html>", /not in the provider's format .*Please log in/],
    ["nothing", "", /empty body/],
    ["half of the JSON", FULL.slice(0, 60), /not in the provider's format/],
    ["JSON of another kind", '{"ok": true}', /not in the provider's format/],
    ["no choices", '{"choices": []}', /not in the provider's format/],
  ])("a 200 with %s", async (_name, body, message) => {
    for (const kind of ["openai", "openai-compatible", "anthropic"] as const) {
      const server = await startConstant(200, body, { "content-type": "text/html" });
      const outcome = asError(await callOnce({ kind, baseUrl: `${server.url}/v1` }));
      await server.close();
      expect(outcome).toMatchObject({ errorClass: "transient", facts: { statusCode: 200 } });
      expect(outcome.message).toMatch(message);
    }
  });
});

describe("a body as proxies send it", () => {
  const compressed = (encoding: string, body: Buffer) =>
    serve((response) => {
      response.writeHead(200, { "content-type": "application/json", "content-encoding": encoding });
      response.end(body);
    });

  test.each([
    ["gzip", gzipSync],
    ["GZIP", gzipSync],
    ["deflate", deflateSync],
    ["br", brotliCompressSync],
  ])("compressed as %s, though nothing asked for it, is an answer", async (encoding, compress) => {
    const server = await compressed(encoding, compress(FULL));
    expect(asAnswer(await callOnce({ baseUrl: server.url })).text).toBe("hi there");
  });

  test("an error that is compressed keeps its words", async () => {
    const server = await serve((response) => {
      response.writeHead(400, { "content-type": "application/json", "content-encoding": "gzip" });
      response.end(gzipSync('{"error": {"message": "no such thing"}}'));
    });
    expect(asError(await callOnce({ baseUrl: server.url }))).toMatchObject({
      errorClass: "bad_request",
      message: "no such thing",
    });
  });

  test("one that is not what its encoding says is told apart from an answer", async () => {
    const server = await compressed("gzip", Buffer.from("plain words"));
    const outcome = asError(await callOnce({ baseUrl: server.url }));
    expect(outcome.errorClass).toBe("transient");
    expect(outcome.message).toContain("plain words");
  });

  const tooMuch = 65 * 1024 * 1024;
  test.each([
    ["", Buffer.alloc(tooMuch, " ")],
    [", once unpacked", gzipSync(Buffer.alloc(tooMuch, " "))],
  ])("more than 64 MiB%s is dropped", async (unpacked, body) => {
    const server = await compressed(unpacked === "" ? "identity" : "gzip", body);
    const outcome = asError(await callOnce({ baseUrl: server.url }));
    expect(outcome.errorClass).toBe("transient");
    expect(outcome.message).toMatch(/sent more than 67108864 bytes/);
  });
});

describe("time limits", () => {
  test("a server that never answers ends at the limit for the first byte", async () => {
    const url = await serveSocket(() => {});
    const outcome = asError(await callOnce({ baseUrl: url, timeouts: { firstByteMs: 50 } }));
    expect(outcome).toMatchObject({ errorClass: "transient", facts: { firstByteMs: null } });
    expect(outcome.message).toMatch(/sent nothing within 50 ms/);
  });

  test("a body that never ends ends at the total limit", async () => {
    const server = await serve((response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.write(FULL.slice(0, 40));
    });
    const outcome = asError(await callOnce({ baseUrl: server.url, timeouts: { totalMs: 2_000 } }));
    expect(outcome).toMatchObject({ errorClass: "transient", facts: { statusCode: 200 } });
    expect(outcome.message).toMatch(/no complete answer within 2000 ms/);
  });

  test("a peer that never shakes hands ends at the limit for connecting", async () => {
    // TLS towards a server that stays silent: the TCP connection stands, the secure one never does.
    const url = (await serveSocket(() => {})).replace("http:", "https:");
    const outcome = asError(await callOnce({ baseUrl: url, timeouts: { connectMs: 50 } }));
    expect(outcome.errorClass).toBe("transient");
    expect(outcome.message).toMatch(/no connection to 127\.0\.0\.1:\d+ within 50 ms/);
  });

  test("a slow head and a slow body inside the limits are an answer", async () => {
    const server = await serve((response) => {
      setTimeout(() => {
        response.writeHead(200, { "content-type": "application/json" });
        response.write(FULL.slice(0, 40));
        setTimeout(() => response.end(FULL.slice(40)), 30);
      }, 30);
    });
    const { facts, text } = asAnswer(await callOnce({ baseUrl: server.url }));
    expect(text).toBe("hi there");
    expect(facts.firstByteMs).toBeGreaterThanOrEqual(25);
    // A process that stalls between the two parts gets both at once.
    expect(facts.firstByteMs).toBeLessThanOrEqual(facts.latencyMs);
    expect(facts.latencyMs).toBeGreaterThanOrEqual(55);
  });
});

describe("aborting", () => {
  test("an abort in mid-call frees the socket: the server sees it close", async () => {
    const abort = new AbortController();
    const closed = Promise.withResolvers<void>();
    const server = await serve((_response, _received, request) => {
      request.socket.once("close", () => closed.resolve());
      abort.abort("cancelled by the agent");
    });
    const outcome = asError(await callOnce({ baseUrl: server.url, signal: abort.signal }));
    expect(outcome.errorClass).toBe("aborted");
    expect(outcome.message).toContain("cancelled by the agent");
    await closed.promise;
  });

  test("an abort in the middle of the body is an abort, not a cut body", async () => {
    const abort = new AbortController();
    const closed = Promise.withResolvers<void>();
    const server = await serve((response, _received, request) => {
      request.socket.once("close", () => closed.resolve());
      response.writeHead(200, { "content-type": "application/json" });
      response.write(FULL.slice(0, 40), () => setTimeout(() => abort.abort(), 20));
    });
    expect(asError(await callOnce({ baseUrl: server.url, signal: abort.signal })).errorClass).toBe("aborted");
    await closed.promise;
  });

  test("an abort while connecting does not wait for the connection", async () => {
    const url = (await serveSocket(() => abort.abort())).replace("http:", "https:");
    const abort = new AbortController();
    expect(asError(await callOnce({ baseUrl: url, signal: abort.signal })).errorClass).toBe("aborted");
  });

  test("a signal that was aborted before sends nothing", async () => {
    const server = await serve((response) => sendJson(response, 200, WIRE.openai()));
    expect(asError(await callOnce({ baseUrl: server.url, signal: AbortSignal.abort() })).errorClass).toBe(
      "aborted",
    );
    expect(server.received).toEqual([]);
  });

  test("close ends calls that still run", async () => {
    const providers = testProviders();
    const url = await serveSocket(() => void providers.close());
    const request = providerRequest({ baseUrl: url });
    expect(asError(await providers.for(request.model).call(request)).errorClass).toBe("transient");
    await providers.close();
  });
});

describe("many calls", () => {
  test("a thousand concurrent calls to a constant responder all succeed", async () => {
    const server = await serve((response) => sendJson(response, 200, WIRE.openai()));
    const providers = testProviders();
    const calls = Array.from({ length: 1_000 }, (_, index) => {
      const request = providerRequest({
        baseUrl: server.url,
        requestId: `r${index}`,
        timeouts: { totalMs: 60_000, connectMs: 60_000, firstByteMs: 60_000 },
      });
      return providers.for(request.model).call(request);
    });
    const outcomes = await Promise.all(calls);
    await providers.close();
    expect(
      outcomes.filter((outcome) => outcome.kind === "answer" && outcome.text === "hi there"),
    ).toHaveLength(1_000);
    expect(server.received).toHaveLength(1_000);
  });

  test("calls one after the other take turns on two connections at most", async () => {
    const ports = new Set<number | undefined>();
    const server = await serve((response, _received, request) => {
      ports.add(request.socket.remotePort);
      sendJson(response, 200, WIRE.openai());
    });
    const providers = testProviders();
    const request = providerRequest({ baseUrl: server.url });
    for (let call = 0; call < 20; call += 1) asAnswer(await providers.for(request.model).call(request));
    await providers.close();
    // The next call may start while the last connection is still tidying up.
    expect(ports.size).toBeLessThanOrEqual(2);
  });
});

describe("the registry", () => {
  test("there is one provider per kind, address and key", () => {
    const providers = testProviders();
    const target = (parts: Parameters<typeof providerRequest>[0]) =>
      providers.for(providerRequest(parts).model);
    expect(target({ model: { name: "a" } })).toBe(target({ model: { name: "b", modelId: "other" } }));
    expect(target({ baseUrl: "http://a.invalid" })).not.toBe(target({ baseUrl: "http://b.invalid" }));
    expect(target({ model: { apiKeyEnv: null } })).not.toBe(target({}));
  });

  test.each([
    ["a missing key names its variable", { model: { apiKeyEnv: "NO_SUCH_KEY" } }, /NO_SUCH_KEY is not set/],
    ["a compatible provider without an address", { kind: "openai-compatible" as const }, /needs a base URL/],
    ["an address that is no URL", { baseUrl: "localhost:1" }, /is not an http or https URL/],
  ])("%s is a configuration error of the call", async (_name, parts, message) => {
    const outcome = asError(await callOnce(parts));
    expect(outcome.errorClass).toBe("configuration");
    expect(outcome.message).toMatch(message);
  });

  test("OPENAI_BASE_URL is the address of an openai provider that has none", async () => {
    const server = await serve((response) => sendJson(response, 200, WIRE.openai()));
    const providers = testProviders({ OPENAI_BASE_URL: `${server.url}/proxy/v1` });
    const request = providerRequest({});
    asAnswer(await providers.for(request.model).call(request));
    await providers.close();
    expect(server.received[0]?.path).toBe("/proxy/v1/chat/completions");
  });

  test("messages that a provider's format cannot hold are a bad request, and nothing is sent", async () => {
    const messages = [
      { role: "user" as const, content: [{ type: "image_url" as const, image_url: { url: "not a url" } }] },
    ];
    const outcome = asError(await callOnce({ baseUrl: "http://127.0.0.1:9", messages }));
    expect(outcome).toMatchObject({ errorClass: "bad_request", facts: { statusCode: null } });
  });

  test("a fetch that was handed in is used instead of the network", async () => {
    const seen: string[] = [];
    const fetch = async (input: string | URL | Request) => {
      seen.push(String(input));
      return Response.json(WIRE.openai(), { headers: { "x-request-id": "mine" } });
    };
    const providers = createProviders({ env: { TEST_KEY: "k-1234" }, fetch });
    const request = providerRequest({ baseUrl: "https://example.invalid/v1" });
    const outcome = asAnswer(await providers.for(request.model).call(request));
    expect(outcome).toMatchObject({
      text: "hi there",
      facts: { providerRequestId: "mine", statusCode: 200 },
    });
    expect(seen).toEqual(["https://example.invalid/v1/chat/completions"]);
    await providers.close();
  });
});
