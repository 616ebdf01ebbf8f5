import { once } from "node:events";
import { expect, test } from "vitest";
import type { ClaimedRequest } from "../../src/database/queue.ts";
import { createInFlight } from "../../src/orchestrator/in-flight.ts";

const call = (claimId: string, startedAt = new Date(), leftMs: number | null = null) =>
  ({
    claimId,
    startedAt,
    deadline: leftMs === null ? null : new Date(startedAt.getTime() + leftMs),
  }) as ClaimedRequest;

test("a call is aborted with the reason given, and only that one", () => {
  const inFlight = createInFlight();
  const [one, two] = [inFlight.add(call("1")), inFlight.add(call("2"))];
  inFlight.abort("1", "cancelled");
  inFlight.abort("no such claim", "cancelled");
  expect([one.reason, two.aborted]).toEqual(["cancelled", false]);
  inFlight.abortAll("shutdown");
  expect([one.reason, two.reason]).toEqual(["cancelled", "shutdown"]);
  inFlight.remove("1");
  expect(inFlight.claimIds()).toEqual(["2"]);
});

test.each(["1970-01-01", "2100-01-01"])(
  "a deadline counts from the claim by the database's clock, here in %s",
  async (day) => {
    const inFlight = createInFlight();
    const later = inFlight.add(call("1", new Date(day), 60_000));
    const soon = inFlight.add(call("2", new Date(day), 5));
    await once(soon, "abort");
    expect([soon.reason, later.aborted]).toEqual(["deadline", false]);
    inFlight.remove("1");
    inFlight.remove("2");
  },
);

test("a deadline that has passed aborts at once, and one in a thousand years does not", () => {
  const inFlight = createInFlight();
  expect(inFlight.add(call("1", new Date(), 0)).reason).toBe("deadline");
  expect(inFlight.add(call("2", new Date(), 31_536_000_000_000)).aborted).toBe(false);
  inFlight.remove("2");
});
