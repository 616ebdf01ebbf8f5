import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configureModels, queryable, submit } from "../../sql/support.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { type Served, type ServeOptions, serveDashboard } from "./support.ts";

const TOKEN = "s3cret-token";
const ACTION = { "x-llmq-action": "1" };
let database: TestDatabase;
const open: Served[] = [];

async function serve(options: ServeOptions = {}): Promise<Served> {
  const served = await serveDashboard(database, options);
  open.push(served);
  return served;
}

beforeAll(async () => {
  database = await createTestDatabase();
  await configureModels(database);
});
afterAll(async () => {
  await Promise.all(open.map((served) => served.stop()));
  await database.drop();
});

describe("with a token", () => {
  test("the API wants it: as bearer, or as the cookie of a login", async () => {
    const served = await serve({ token: TOKEN });
    expect((await served.get("/api/session")).body).toMatchObject({ access: "login", version: "" });
    for (const path of [
      "/api/overview",
      "/api/requests",
      "/api/models",
      "/api/agents",
      "/api/queues",
      "/api/events",
    ]) {
      expect((await served.get(path)).status, path).toBe(401);
    }
    expect((await served.post("/api/models/pause", { name: "first", paused: true })).status).toBe(401);
    expect((await served.get("/api/models", { authorization: `Bearer ${TOKEN}` })).status).toBe(200);

    const { status, headers } = await served.post("/api/session", { token: TOKEN });
    expect(status).toBe(200);
    const cookie = headers.get("set-cookie") ?? "";
    expect(cookie).toMatch(/; HttpOnly; SameSite=Strict$/);
    expect(cookie).not.toContain(TOKEN);
    const session = { cookie: cookie.split(";")[0] ?? "" };
    expect((await served.get("/api/models", session)).status).toBe(200);
    expect((await served.get("/api/session", session)).body).toMatchObject({
      access: "open",
      usesToken: true,
    });
    expect(
      (await served.post("/api/models/pause", { name: "first", paused: false }, { ...session, ...ACTION }))
        .status,
    ).toBe(200);
    expect((await fetch(`${served.url}/metrics`, { headers: session })).status).toBe(200);
  });

  test("a wrong token, a forged or expired cookie, and one of another token open nothing", async () => {
    const served = await serve({ token: TOKEN });
    for (const token of ["wrong", "", null, 7]) {
      expect((await served.post("/api/session", { token })).status).toBe(401);
    }
    const other = await serve({ token: "another-token" });
    const foreign =
      (await other.post("/api/session", { token: "another-token" })).headers.get("set-cookie") ?? "";
    const own = (await served.post("/api/session", { token: TOKEN })).headers.get("set-cookie") ?? "";
    const [expires = "", signature = ""] = (own.split(";")[0] ?? "").replace("llmq_session=", "").split(".");
    for (const value of [
      foreign.split(";")[0],
      `llmq_session=${Number(expires) + 1}.${signature}`,
      `llmq_session=1.${signature}`,
      `llmq_session=${expires}.`,
      "llmq_session=",
    ]) {
      expect((await served.get("/api/models", { cookie: value ?? "" })).status, value).toBe(401);
    }
  });

  test("logging out takes the cookie away", async () => {
    const served = await serve({ token: TOKEN });
    const response = await fetch(`${served.url}/api/session`, { method: "DELETE" });
    expect(response.headers.get("set-cookie")).toContain("Max-Age=0");
  });

  test("behind a proxy that ends TLS the cookie is for TLS alone", async () => {
    const served = await serve({ token: TOKEN });
    const { headers } = await served.post(
      "/api/session",
      { token: TOKEN },
      { ...ACTION, "x-forwarded-proto": "https" },
    );
    expect(headers.get("set-cookie")).toContain("; Secure");
  });
});

describe("without a token", () => {
  test("a loopback address is open", async () => {
    const served = await serve();
    expect((await served.get("/api/session")).body).toMatchObject({ access: "open", usesToken: false });
    expect((await served.get("/api/models")).status).toBe(200);
  });

  test("an address that others can reach is closed, and says what to do", async () => {
    const served = await serve({ host: "0.0.0.0" });
    expect((await served.get("/api/session")).body).toMatchObject({ access: "closed" });
    const { status, body } = await served.get("/api/models");
    expect([status, body.hint]).toEqual([403, expect.stringContaining("LLMQ_HTTP_TOKEN")]);
    expect((await served.get("/api/events")).status).toBe(403);
    expect((await served.post("/api/models/pause", { name: "first", paused: true })).status).toBe(403);
  });
});

describe("other sites", () => {
  test("can neither act nor read, whatever the browser sends along", async () => {
    const served = await serve();
    const id = await submit(queryable(database));
    const act = (headers: Record<string, string>) => served.post(`/api/requests/${id}/cancel`, {}, headers);
    expect((await act({})).status, "a form has no header of its own").toBe(403);
    expect((await act({ ...ACTION, origin: "https://evil.example" })).status).toBe(403);
    expect((await act({ ...ACTION, origin: "null" })).status).toBe(403);
    const port = new URL(served.url).port;
    // fetch() does not let a program set these.
    expect(
      await statusOf(port, `/api/requests/${id}/cancel`, { ...ACTION, "sec-fetch-site": "cross-site" }),
    ).toBe(403);
    expect(
      await statusOf(port, `/api/requests/${id}/cancel`, { ...ACTION, "sec-fetch-site": "same-site" }),
    ).toBe(403);
    expect(await statusOf(port, "/api/models", { "sec-fetch-site": "cross-site" }, "GET")).toBe(403);
    expect(await statusOf(port, "/api/models", { host: "attacker.example" }, "GET")).toBe(421);
    expect((await act({ ...ACTION, origin: served.url })).body).toEqual({ changed: true });
  });

  test("a body that is too long, or no object, is refused", async () => {
    const served = await serve();
    const send = (body: string) =>
      fetch(`${served.url}/api/models/pause`, { method: "POST", headers: ACTION, body });
    expect((await send("x".repeat(20_000))).status).toBe(413);
    expect((await send("[1]")).status).toBe(400);
    expect((await send("{")).status).toBe(400);
  });
});

describe("the page", () => {
  test("that was not built is said to be missing, with the command", async () => {
    const assetsDirectory = await mkdtemp(join(tmpdir(), "llmq-page-"));
    try {
      const served = await serve({ assetsDirectory });
      const response = await fetch(served.url);
      expect([response.status, await response.text()]).toEqual([
        503,
        expect.stringContaining("npm run build:web"),
      ]);
    } finally {
      await rm(assetsDirectory, { recursive: true });
    }
  });

  test("paths that are none, and files outside, are 404", async () => {
    const served = await serve();
    for (const path of [
      "/nowhere",
      "/api/nowhere",
      "/assets/../../../package.json",
      "/assets/%2e%2e%2fpackage.json",
      "//",
    ]) {
      const { port } = new URL(served.url);
      expect(await statusOf(port, path, {}, "GET"), path).toBe(404);
    }
    expect((await fetch(`${served.url}/requests`, { method: "POST" })).status).toBe(404);
    expect((await served.post("/api/overview")).status).toBe(405);
  });
});

test("a role that may not is told so, and what to do", async ({ skip }) => {
  if (!database.hasRoles) skip("this server has no roles of llmq");
  await database.query("select llmq.grant_roles()");
  const url = new URL(database.url);
  url.searchParams.set("options", "-c search_path= -c role=llmq_reader");
  const served = await serve({ poolConfig: { connectionString: url.href.replaceAll("+", "%20") } });
  expect((await served.get("/api/overview")).status).toBe(200);
  expect((await served.get("/api/requests")).status).toBe(200);
  expect((await served.get("/api/models")).status).toBe(200);
  const { status, body } = await served.post("/api/models/pause", { name: "first", paused: true });
  expect([status, body.hint]).toEqual([403, expect.stringContaining("LLMQ_DASHBOARD_DATABASE_URL")]);
});

function statusOf(
  port: string,
  path: string,
  headers: Record<string, string>,
  method = "POST",
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path, method, headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
}
