import { describe, expect, test } from "vitest";
import type { AppliedOutcome, CompletedOutcome, FailedOutcome } from "../../src/database/queue.ts";
import { createOutcomeWriter } from "../../src/orchestrator/outcome-writer.ts";
import { storageErrorKind } from "../../src/orchestrator/storage-error.ts";
import { memoryLogger } from "./support.ts";

function answer(number: number, response = `answer ${number}`): CompletedOutcome {
  return {
    kind: "completed",
    requestId: `request ${number}`,
    claimId: String(number),
    response,
    repairs: [],
    finishReason: "stop",
    reasks: 0,
    calls: [],
    notedCalls: 0,
  };
}

const sqlError = (code: string) => Object.assign(new Error(`error ${code}`), { code });

/** A database whose answers the test gives. */
function fakeDatabase(refuse: (outcomes: (CompletedOutcome | FailedOutcome)[]) => Error | null) {
  const batches: (CompletedOutcome | FailedOutcome)[][] = [];
  const store = async (outcomes: (CompletedOutcome | FailedOutcome)[]): Promise<AppliedOutcome[]> => {
    batches.push(outcomes);
    const error = refuse(outcomes);
    if (error !== null) throw error;
    return outcomes.map(({ requestId, kind }) => ({ requestId, applied: true, status: kind, runAt: null }));
  };
  return { batches, complete: store, fail: store, busyClaims: async () => [] as string[] };
}

describe("the writer", () => {
  test("writes the first outcome at once and what gathers meanwhile together", async () => {
    const database = fakeDatabase(() => null);
    const writer = createOutcomeWriter(database, memoryLogger().logger);
    const all = await Promise.all([1, 2, 3, 4].map((number) => writer.write(answer(number))));
    expect(all.map((applied) => applied?.requestId)).toEqual([
      "request 1",
      "request 2",
      "request 3",
      "request 4",
    ]);
    expect(database.batches.map((batch) => batch.length)).toEqual([1, 3]);
    expect(writer.pending).toBe(0);
  });

  test("never puts more than 500 outcomes or 8 million characters into one batch", async () => {
    const database = fakeDatabase(() => null);
    const writer = createOutcomeWriter(database, memoryLogger().logger);
    await Promise.all(Array.from({ length: 1_102 }, (_, index) => writer.write(answer(index))));
    expect(database.batches.map((batch) => batch.length)).toEqual([1, 500, 500, 101]);
    const long = "x".repeat(3_000_000);
    const other = fakeDatabase(() => null);
    const second = createOutcomeWriter(other, memoryLogger().logger);
    await Promise.all(Array.from({ length: 6 }, (_, index) => second.write(answer(index, long))));
    expect(other.batches.map((batch) => batch.length)).toEqual([1, 2, 2, 1]);
  });

  test.each(["57P01", "08006", "ECONNREFUSED", "40P01", "42501"])(
    "tries again whatever it takes while the database is away (%s)",
    async (code) => {
      let left = 4;
      const database = fakeDatabase(() => (left-- > 0 ? sqlError(code) : null));
      const writer = createOutcomeWriter(database, memoryLogger().logger);
      expect(await writer.write(answer(1))).toMatchObject({ applied: true, status: "completed" });
      expect(database.batches).toHaveLength(5);
    },
  );

  test.each(["22P05", "23514", "54000", "P0001", "XX000"])(
    "reports the one outcome that the database refuses (%s) as an exception, and stores the others",
    async (code) => {
      const bad = (outcome: CompletedOutcome | FailedOutcome) => outcome.response === "answer 5";
      const database = fakeDatabase((outcomes) => (outcomes.some(bad) ? sqlError(code) : null));
      const writer = createOutcomeWriter(database, memoryLogger().logger);
      const all = await Promise.all([1, 2, 3, 4, 5, 6, 7].map((number) => writer.write(answer(number))));
      expect(all.map((applied) => applied?.status)).toEqual(
        [1, 2, 3, 4, 5, 6, 7].map((number) => (number === 5 ? "failed" : "completed")),
      );
      expect(database.batches.flat().filter((outcome) => outcome.kind === "failed")).toMatchObject([
        {
          requestId: "request 5",
          errorClass: "exception",
          errorMessage: `The outcome could not be stored: error ${code}`,
        },
      ]);
    },
  );

  test.each(["55P03", "57014"])(
    "one outcome that is held up (%s) holds up no other, and is stored as it is when it can be",
    async (code) => {
      let held = true;
      const one = (outcome: CompletedOutcome | FailedOutcome) => outcome.response === "answer 2";
      const database = fakeDatabase((outcomes) => (held && outcomes.some(one) ? sqlError(code) : null));
      const busyClaims = async (claims: string[]) => claims.filter((claim) => claim === "2");
      const writer = createOutcomeWriter({ ...database, busyClaims }, memoryLogger().logger);
      const [first, blocked, third] = [1, 2, 3].map((number) => writer.write(answer(number)));
      expect(await first).toMatchObject({ status: "completed" });
      expect(await third).toMatchObject({ status: "completed" });
      expect(writer.claimIds()).toEqual(["2"]);
      expect(await writer.write(answer(4))).toMatchObject({ status: "completed" });
      held = false;
      expect(await blocked).toMatchObject({ status: "completed" });
      expect(writer.pending).toBe(0);
    },
  );

  test("settles what is left with null when it is abandoned, also behind a query that hangs", async () => {
    const hanging = {
      complete: () => new Promise<never>(() => undefined),
      fail: async () => [],
      busyClaims: async () => [],
    };
    const writer = createOutcomeWriter(hanging, memoryLogger().logger);
    const writes = [1, 2, 3].map((number) => writer.write(answer(number)));
    expect(writer.claimIds()).toEqual(["1", "2", "3"]);
    writer.abandon();
    expect(await Promise.all(writes)).toEqual([null, null, null]);
    expect(writer.pending).toBe(0);
    expect(await writer.write(answer(4))).toBe(null);
  });
});

test.each([
  [sqlError("22P05"), "refused"],
  [sqlError("LQ001"), "refused"],
  [new RangeError("Invalid string length"), "refused"],
  [sqlError("57P03"), "away"],
  [sqlError("53300"), "away"],
  [sqlError("25006"), "away"],
  [new Error("Connection terminated unexpectedly"), "away"],
  [new Error("Query read timeout"), "slow"],
  [sqlError("57014"), "slow"],
  [sqlError("55P03"), "blocked"],
  [sqlError("42P01"), "unclear"],
] as const)("%s is %s", (error, kind) => {
  expect(storageErrorKind(error)).toBe(kind);
});
