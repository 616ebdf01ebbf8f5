import { randomBytes } from "node:crypto";
import pg from "pg";
import { maskPassword } from "../../config.ts";
import { duration } from "../format.ts";
import { type Check, fail, ok, type Patient, type Result, skip, warn } from "./finding.ts";

const TIME_LIMIT_MS = 2_000;

/**
 * Does a notification sent on one connection reach a listener on another that does nothing else? A transaction
 * pooler in between loses it: its idle clients have no server connection that could get one.
 */
export const listenerCheck: Check = {
  name: "LISTEN",
  needsSchema: false,
  async run(patient) {
    if (!patient.config.notify) return skip("notifications are off (LLMQ_NOTIFY): polling alone");
    const listener = new pg.Client({
      connectionString: patient.listenUrl,
      application_name: "llmq doctor",
      connectionTimeoutMillis: 10_000,
    });
    listener.on("error", () => undefined);
    try {
      await listener.connect();
      return await listenAndNotify(listener, patient);
    } catch (error) {
      return fail(
        `no connection to ${maskPassword(patient.listenUrl)}: ${(error as Error).message}`,
        "Check LLMQ_LISTEN_URL: it must reach the server itself, past any pooler.",
      );
    } finally {
      await listener.end().catch(() => undefined);
    }
  },
};

async function listenAndNotify(listener: pg.Client, { client }: Patient): Promise<Result> {
  const channel = `llmq_doctor_${randomBytes(8).toString("hex")}`;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  listener.on("notification", (message) => {
    if (message.channel === channel) resolve(true);
  });
  await listener.query(`listen ${channel}`);
  const startedAt = performance.now();
  await client.query("select pg_notify($1, '')", [channel]);
  const timer = setTimeout(() => resolve(false), TIME_LIMIT_MS);
  const arrived = await promise;
  clearTimeout(timer);
  if (arrived) return ok(`a notification arrived after ${duration(performance.now() - startedAt)}`);
  return warn(
    `a notification did not arrive within ${duration(TIME_LIMIT_MS)}: everything works by polling, a little later`,
    "A pooler in transaction mode is probably in between: set LLMQ_LISTEN_URL to the server itself, same database.",
  );
}
