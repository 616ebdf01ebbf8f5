/**
 * Up to which time everything that finished has been seen.
 *
 * A request may become visible after others that finished later: its transaction took the time, and committed
 * after theirs. So every look reads again from the horizon, and whoever looks remembers from there on what was
 * told already. Each look takes a transaction number. When all numbers below that of an earlier look have ended,
 * the horizon moves to the time of that look: `finished_at` is read after its transaction got a number
 * (llmq.finish_requests), so whatever finished before that time is visible by now. That holds for any length of
 * transaction and for subtransactions (a finish notifies, so it cannot be prepared); it asks of the server's clock
 * that it is not set back.
 * The highest number of a snapshot would not do: those in progress may be above it.
 */

/** A look at everything that finished from the horizon on, by one statement. */
export type Look<Time> = {
  /** `statement_timestamp()` */
  at: Time;
  /** `pg_current_xact_id()`: given later than `at`. Not on a standby, which gives no numbers. */
  xid: string;
  /** `pg_snapshot_xmin(pg_current_snapshot())`: all below it have ended, and were seen. */
  xmin: string;
};

export type Horizon<Time> = {
  readonly at: Time;
  /** All that this look saw has been told. */
  passed(look: Look<Time>): void;
  /** The next look goes back to there. */
  setBack(at: Time): void;
};

export function createHorizon<Time>(start: Time): Horizon<Time> {
  let at = start;
  let marks: { at: Time; xid: bigint }[] = [];
  return {
    get at() {
      return at;
    },
    passed(look) {
      marks.push({ at: look.at, xid: BigInt(look.xid) });
      const last = marks.findLastIndex((mark) => mark.xid <= BigInt(look.xmin));
      if (last < 0) return;
      at = marks[last]?.at ?? at;
      marks = marks.slice(last + 1);
    },
    setBack(to) {
      at = to;
    },
  };
}
