/** The page in a real browser. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { call, callOne, configureModels, queryable, submit } from "../../sql/support.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { buildPage, findBrowser, launch, type Visit, visit } from "./browser.ts";
import { createOutcomes, type Served, type ServeOptions, serveDashboard } from "./support.ts";

const executable = await findBrowser();
if (executable === null) console.warn("no Chromium found: the dashboard's page is not tested");

describe.skipIf(executable === null)("the dashboard in Chromium", () => {
  let database: TestDatabase;
  let built: Awaited<ReturnType<typeof buildPage>>;
  let browser: Browser;
  let served: Served;
  const visits: Visit[] = [];
  const on = () => queryable(database);

  beforeAll(async () => {
    [database, built, browser] = await Promise.all([
      createTestDatabase(),
      buildPage(),
      launch(executable ?? ""),
    ]);
    await configureModels(database);
    served = await serve();
    ({ fail } = createOutcomes(database));
  });
  afterAll(async () => {
    await browser?.close();
    await served?.stop();
    await built?.remove();
    await database?.drop();
  });
  beforeEach(async () => {
    await database.query("truncate llmq.queue, llmq.in_flight, llmq.results");
  });
  afterEach(async () => {
    const complaints = visits.flatMap((one) => one.complaints);
    await Promise.all(visits.splice(0).map((one) => one.close()));
    expect(complaints, "no other host, no error, nothing against the policy").toEqual([]);
  });

  const serve = (options: ServeOptions = {}) =>
    serveDashboard(database, { assetsDirectory: built.directory, ...options });

  async function open(path = "/", options: Parameters<typeof visit>[2] = {}, at = served): Promise<Page> {
    const made = await visit(browser, at.url + path, options);
    visits.push(made);
    return made.page;
  }

  let fail: ReturnType<typeof createOutcomes>["fail"];
  async function complete(over: Record<string, unknown> = {}): Promise<string> {
    const id = await createOutcomes(database).complete(over, "the answer");
    served.nudge();
    return id;
  }

  const rows = (page: Page) => page.locator("tbody tr");
  const tile = (page: Page, name: string) => page.locator(".tile", { hasText: name }).locator(".tile-value");
  const statusOf = (id: string) => callOne<string>(on(), "status_of", { request_id: id });
  const becomes = (id: string, status: string) => eventually(async () => (await statusOf(id)) === status);

  test("the overview counts, draws, and changes by itself, without being loaded again", async () => {
    const page = await open("/");
    await page.locator(".chart canvas").first().waitFor();
    expect(await page.locator(".chart canvas").count()).toBe(4);
    await page.evaluate("document.body.dataset.loaded = 'once'");
    const waiting = await submit(on(), { agent_id: "ada" });
    await complete({ agent_id: "ada" });
    await tile(page, "Waiting").getByText("1", { exact: true }).waitFor();
    await page.getByRole("rowheader", { name: "ada" }).waitFor();
    await call(on(), "cancel_llm_request", { request_id: waiting });
    await tile(page, "Waiting").getByText("0", { exact: true }).waitFor();
    expect(await page.locator("body").getAttribute("data-loaded")).toBe("once");
    await page.getByLabel("By agent").check();
    await page.locator(".legend").first().getByText("ada").waitFor();
  });

  test("the list is filtered, the filter is in the address, and the browser's back button leads out of a request", async () => {
    await complete({ agent_id: "ada", task_type: "chat" });
    const failed = await fail(
      { agent_id: "bob", task_type: "extract" },
      { error_message: "the moon is away" },
    );
    const page = await open("/requests");
    await expect.poll(() => rows(page).count()).toBe(2);
    await page.getByLabel("Status").selectOption("failed");
    await expect.poll(() => rows(page).count()).toBe(1);
    expect(new URL(page.url()).search).toBe("?status=failed");
    await page.getByLabel("Text of the error").fill("MOON");
    await expect.poll(() => new URL(page.url()).search).toBe("?status=failed&text=MOON");
    await rows(page).getByText("the moon is away").waitFor();
    await page.getByLabel("Text of the error").fill("sun");
    await page.getByText("No request matches this filter").waitFor();
    await page.getByLabel("Text of the error").fill("");
    await rows(page).getByRole("link").click();
    await page.getByText(failed).waitFor();
    await page.goBack();
    await expect.poll(() => rows(page).count()).toBe(1);
    await page.getByRole("link", { name: "Clear" }).click();
    await expect.poll(() => rows(page).count()).toBe(2);
  });

  test("pages lead backwards in time", async () => {
    for (let n = 0; n < 60; n++) await submit(on(), { agent_id: `agent ${n}` });
    const page = await open("/requests");
    await page.getByRole("link", { name: "Older" }).click();
    await expect.poll(() => rows(page).count()).toBe(10);
    await page.getByRole("link", { name: "Newest" }).click();
    await expect.poll(() => rows(page).count()).toBe(50);
  });

  test("a broken answer is marked where it breaks its schema", async () => {
    const id = await fail(
      { response_schema: { type: "object" } },
      {
        error_type: "malformed_response",
        response: '{"vendor": "ACME", "lines": [{"amount": "31"}]}',
        validation_errors: JSON.stringify([
          { type: "schema_violation", field: "lines[0].amount", message: "must be number" },
          { type: "schema_violation", field: "lines[0].text", message: "must have required property 'text'" },
        ]),
      },
    );
    const page = await open(`/requests/${id}`);
    const wrong = page.locator(".code-line.wrong");
    await expect.poll(() => wrong.count()).toBe(2);
    expect(await wrong.first().textContent()).toContain('"amount": "31"must be number');
    expect(await wrong.last().textContent()).toContain('"text": absent');
    await page.getByRole("link", { name: "lines[0].amount" }).click();
    expect(new URL(page.url()).hash).toBe("#problem-0");
  });

  test("text that is no JSON is marked where reading it failed", async () => {
    const response = '{"vendor": "ACME" "total": 4}';
    const position = response.indexOf('"total"');
    const id = await fail(
      {},
      {
        error_type: "malformed_response",
        response,
        validation_errors: JSON.stringify([
          { type: "json_decode_error", error: "Expected ','", position, response_preview: response },
        ]),
      },
    );
    const page = await open(`/requests/${id}`);
    await page.getByText("line 1, column 19").waitFor();
    const before = await page.locator("pre.code").evaluate((pre) => pre.firstChild?.textContent);
    expect(before).toBe(response.slice(0, position));
  });

  test("a waiting request says why, is cancelled after a question, and is retried", async () => {
    const id = await submit(on(), { run_at: new Date(Date.now() + 3_600_000).toISOString() });
    const page = await open(`/requests/${id}`);
    await page.getByText("It is not due before").waitFor();
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(await statusOf(id)).toBe("pending");
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel it" }).click();
    await page.getByText("It is cancelled.").waitFor();
    await becomes(id, "cancelled");
    await page.getByRole("button", { name: "Retry" }).click();
    await becomes(id, "pending");
    await page.getByText("It is waiting again.").waitFor();
  });

  test("all that a filter shows are retried, after saying how many", async () => {
    const failed = [await fail({ agent_id: "ada" }), await fail({ agent_id: "ada" })];
    const other = await fail({ agent_id: "bob" });
    const page = await open("/requests?status=failed&agent=ada");
    await page.getByRole("button", { name: "Retry all" }).click();
    await page.getByText("2 failed or cancelled requests match the filter.").waitFor();
    await page.getByRole("button", { name: "Retry 2" }).click();
    await page.getByText("Retried 2 of 2.").waitFor();
    for (const id of failed) await becomes(id, "pending");
    expect(await statusOf(other)).toBe("failed");
    await page.getByText("No request matches this filter").waitFor();
  });

  test("a model and an agent are paused and go on", async () => {
    await complete({ agent_id: "ada" });
    const page = await open("/models");
    await page.getByRole("button", { name: "Pause first" }).click();
    await page.getByText("first is paused").waitFor();
    await page.getByRole("button", { name: "Resume first" }).click();
    await page.getByRole("button", { name: "Pause first" }).waitFor();
    await page.getByRole("link", { name: "Agents" }).click();
    await page.getByRole("button", { name: "Pause ada" }).click();
    await page.getByRole("button", { name: "Resume ada" }).waitFor();
    const paused = await database.query("select paused from llmq.agents where agent_id = 'ada'");
    expect(paused).toEqual([{ paused: true }]);
    await database.query("delete from llmq.agents");
  });

  test("everything is reached with the keyboard", async () => {
    const id = await fail({ agent_id: "ada" });
    const page = await open("/");
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    const focused = () => page.evaluate<string>("document.activeElement?.textContent ?? ''");
    const tabTo = async (text: string) => {
      for (let presses = 0; presses < 40; presses++) {
        await page.keyboard.press("Tab");
        if ((await focused()).includes(text)) return;
      }
      throw new Error(`${text} is not reached`);
    };
    await tabTo("Skip to content");
    expect(
      await page.locator(".skip-link").evaluate((link) => link.getBoundingClientRect().top),
    ).toBeGreaterThanOrEqual(0);
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement.id")).toBe("main");
    await page.reload();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await tabTo("Requests");
    const outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle");
    expect(outline).toBe("solid");
    await page.keyboard.press("Enter");
    await expect.poll(focused).toBe("Requests");
    await rows(page).first().waitFor();
    await tabTo(id.slice(-12));
    await page.keyboard.press("Enter");
    await page.getByText(id).waitFor();
    await tabTo("Retry");
    await page.keyboard.press("Enter");
    await becomes(id, "pending");
  });

  test("neither on a phone nor on a small screen does anything scroll sideways", async () => {
    const id = await fail(
      {
        agent_id: "an-agent-with-quite-a-long-name-without-any-space",
        messages: [{ role: "user", content: "x".repeat(300) }],
      },
      { response: `{"a": "${"y".repeat(300)}"}`, error_message: `refused: ${"z".repeat(200)}` },
    );
    for (const path of ["/", "/requests", `/requests/${id}`, "/models", "/agents", "/queues"]) {
      const page = await open(path, { viewport: { width: 360, height: 740 } });
      await page.locator(".panel, tbody tr").first().waitFor();
      for (const width of [360, 1280]) {
        await page.setViewportSize({ width, height: 740 });
        expect(await page.evaluate("document.documentElement.scrollWidth"), `${path} at ${width}`).toBe(
          width,
        );
        const hidden = await page.evaluate(
          "Array.from(document.querySelectorAll('.table-frame'), (frame) => frame.scrollWidth - frame.clientWidth)",
        );
        expect(hidden, `tables of ${path} at ${width}`).toEqual((hidden as number[]).map(() => 0));
      }
    }
  });

  test("it is dark where the system is", async () => {
    /** How much red there is in what the page stands on. */
    const ground = async (page: Page) =>
      Number(/\d+/.exec(await page.evaluate<string>("getComputedStyle(document.body).backgroundColor"))?.[0]);
    const light = await open("/", { colorScheme: "light" });
    const dark = await open("/", { colorScheme: "dark" });
    await Promise.all([light, dark].map((page) => page.locator("h1").waitFor()));
    expect(await ground(light)).toBeGreaterThan(200);
    expect(await ground(dark)).toBeLessThan(60);
  });

  test("prompts and answers that are hidden never reach the browser", async () => {
    const secret = "the secret of the prompt";
    const id = await complete({ messages: [{ role: "user", content: secret }] });
    const hiding = await serve({ prompts: "hide" });
    try {
      const bodies: string[] = [];
      const page = await open("/", {}, hiding);
      page.on("response", (response) => {
        if (response.url().endsWith("/events")) return;
        // One of the page before may be gone.
        response.text().then(
          (text) => bodies.push(text),
          () => undefined,
        );
      });
      await page.goto(`${hiding.url}/requests/${id}`);
      await page.getByText("Prompts and answers are hidden").waitFor();
      expect(bodies.join("")).toContain(id);
      expect(bodies.join("")).not.toContain(secret);
      expect(bodies.join("")).not.toContain("the answer");
    } finally {
      await hiding.stop();
    }
  });

  test("with a token it asks for it, once", async () => {
    const guarded = await serve({ token: "s3cret" });
    try {
      const page = await open("/models", {}, guarded);
      await page.getByLabel("Token").fill("wrong");
      await page.getByRole("button", { name: "Log in" }).click();
      await page.getByText("this is not the token").waitFor();
      await page.getByLabel("Token").fill("s3cret");
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Models", exact: true }).waitFor();
      await page.reload();
      await page.getByRole("heading", { name: "Models", exact: true }).waitFor();
      await page.getByRole("button", { name: "Log out" }).click();
      await page.getByLabel("Token").waitFor();
    } finally {
      await guarded.stop();
    }
  });

  test("an orchestrator that goes away is missed, and found again", async () => {
    const first = await serve();
    const page = await open("/", {}, first);
    await page.getByRole("button", { name: "Live" }).waitFor();
    // The browser says so in its console, too.
    const own = visits.at(-1);
    await first.stop();
    await page.getByText("The orchestrator does not answer").waitFor();
    const second = await serve({ port: Number(new URL(first.url).port) });
    try {
      await page.getByRole("button", { name: "Live" }).waitFor();
      own?.complaints.splice(0);
    } finally {
      await second.stop();
    }
  });

  test("what is marked as code in a prompt stays text", async () => {
    const id = await complete({
      messages: [{ role: "user", content: "<img src=x onerror=alert(1)><b>bold</b>" }],
    });
    const page = await open(`/requests/${id}`);
    await page.getByText("<b>bold</b>").waitFor();
    expect(await page.locator("main img").count()).toBe(0);
  });
});
