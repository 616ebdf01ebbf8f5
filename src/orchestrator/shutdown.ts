/**
 * The orderly end: listener, claiming, drain, abort, give back. Every step is bounded, so that a database
 * that is away or hangs delays it by seconds; what could not be stored or given back then is recovered by
 * others once this process is given up.
 */
import type { Logger } from "pino";
import type { Listener } from "../database/listener.ts";
import type { Calls } from "./calls.ts";
import type { ClaimLoop } from "./claim-loop.ts";
import type { InFlight } from "./in-flight.ts";
import type { Membership } from "./membership.ts";
import type { OutcomeWriter } from "./outcome-writer.ts";
import { createPeriodic } from "./periodic.ts";
import type { Upkeep } from "./upkeep.ts";
import { within } from "./within.ts";

/** For a step that talks to the database. */
const STEP_MS = 5_000;
const HURRIED_STEP_MS = 1_500;
/** Once a step took too long, the database is not worth waiting for. */
const LOST_STEP_MS = 250;
const CANCELLATIONS_MS = 100;

export type Parts = {
  listener: Listener | null;
  loop: ClaimLoop;
  calls: Calls;
  inFlight: InFlight;
  writer: OutcomeWriter;
  upkeep: Upkeep;
  membership: Membership;
  logger: Logger;
};

/**
 * @param looping resolves when the loop, told to stop, has come to its end.
 * @param graceMs for calls to finish by themselves; over at once when `hurrying` aborts.
 */
export async function shutDown(
  parts: Parts,
  looping: Promise<void>,
  graceMs: number,
  hurrying: AbortSignal,
): Promise<void> {
  const { listener, loop, calls, inFlight, writer, upkeep, membership, logger } = parts;
  let lost = false;
  const step = async (work: Promise<unknown>): Promise<boolean> => {
    const limitMs = lost ? LOST_STEP_MS : hurrying.aborted ? HURRIED_STEP_MS : STEP_MS;
    const ended = await within(limitMs, work);
    lost ||= !ended;
    return ended;
  };

  await listener?.stop();
  await step(looping);
  loop.close();
  await drain(parts, graceMs, hurrying, step);
  inFlight.abortAll("shutdown");
  if (!(await step(calls.idle()))) {
    logger.error(
      { inFlight: inFlight.size, unstored: writer.pending },
      "gave up on what could not be stored",
    );
    writer.abandon();
    await step(calls.idle());
  }
  await step(upkeep.stop());
  const leaving = membership.leave().catch((error: unknown) => {
    logger.warn({ err: error }, "could not sign off, recovery will");
  });
  await step(leaving);
}

/** The loop looks for cancelled calls no more, so somebody else has to. */
async function drain(
  { calls, loop, logger }: Parts,
  graceMs: number,
  hurrying: AbortSignal,
  step: (work: Promise<unknown>) => Promise<boolean>,
): Promise<void> {
  const cancellations = createPeriodic({
    name: "cancellations",
    everyMs: CANCELLATIONS_MS,
    run: loop.abortCancelled,
    logger,
  });
  cancellations.start();
  await within(graceMs, calls.idle(), hurrying);
  await step(cancellations.stop());
}
