/**
 * Checks answers so that neither a schema nor an answer can stop the process. Schemas come from applications and
 * answers from models: a pattern may backtrack for ever, references may double at each level. What costs no more
 * than schema times answer, and little of that, is checked at once; all else in a thread, with limits of time and
 * memory. A schema that went over them twice is not tried for a while, so that no more calls are paid for in vain.
 */
import { hash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { withExactIntegers } from "../exact-integers.ts";
import type { AnswerVerdict } from "./answer.ts";
import {
  type AnswerToCheck,
  checkAnswer,
  type SchemaFault,
  type Schemas,
  schemaFault,
  uncheckable,
} from "./check-answer.ts";
import type { CheckTask } from "./check-worker.ts";
import { createSchemaValidator } from "./schema-validator.ts";
import { createWorkerPool } from "./worker-pool.ts";

type UncheckedAnswer = Omit<AnswerToCheck, "validator">;

export type AnswerChecker = {
  /** Why no answer could be checked against these; null: they can be used. Looked at once per content. */
  faultOf(schemas: Schemas): Promise<SchemaFault | null>;
  /** `parsedResponse` is for `JSON.stringify`: integers beyond 2^53 are in it as they were written. */
  check(answer: UncheckedAnswer): Promise<AnswerVerdict>;
};

export type AnswerCheckerOptions = {
  /** Of one check in a thread. */
  limitMs?: number;
  memoryMb?: number;
};

const THREADS = 2;
const IDLE_MS = 30_000;
const MAX_REMEMBERED = 500;
const MAX_STRIKES = 2;
const FORGIVEN_MS = 600_000;
const TOO_LONG = "takes too long to check";
/** Characters; beyond it compiling alone is felt. */
const MAX_INLINE_SCHEMA = 20_000;
/** Characters of the schema times those of the answer: some milliseconds. */
const MAX_INLINE_PRODUCT = 2e7;

export function createAnswerChecker(options: AnswerCheckerOptions = {}): AnswerChecker {
  const { limitMs = 1000, memoryMb = 256 } = options;
  const validator = createSchemaValidator();
  const looked = new LRUCache<string, { fault: SchemaFault | null }>({ max: MAX_REMEMBERED });
  const strikes = new LRUCache<string, number>({ max: MAX_REMEMBERED, ttl: FORGIVEN_MS });
  const lastTurns = new Map<string, Promise<void>>();
  const pool = createWorkerPool<CheckTask>({
    file: workerFile(),
    threads: THREADS,
    limitMs,
    memoryMb,
    idleMs: IDLE_MS,
  });

  const isOut = (key: string) => (strikes.get(key) ?? 0) >= MAX_STRIKES;

  /** One after the other for one schema: it never has all threads. Null: over a limit, now or twice before. */
  function inThread<Answer>(key: string, task: CheckTask): Promise<Answer | null> {
    const turn = (lastTurns.get(key) ?? Promise.resolve()).then(async () => {
      if (isOut(key)) return null;
      const answer = (await pool.run(task)) as Answer | null;
      if (answer === null) strikes.set(key, (strikes.get(key) ?? 0) + 1);
      return answer;
    });
    const ended = turn.then(
      () => undefined,
      () => undefined,
    );
    lastTurns.set(key, ended);
    void ended.then(() => {
      if (lastTurns.get(key) === ended) lastTurns.delete(key);
    });
    return turn;
  }

  return {
    async faultOf(schemas) {
      const text = textOf(schemas);
      const key = hash("sha256", text);
      if (isOut(key)) return { field: "response_schema", message: TOO_LONG };
      const known = looked.get(key);
      if (known !== undefined) return known.fault;
      const task = { kind: "schemas", schemas: onlySchemas(schemas) } as const;
      const found = isBounded(text)
        ? { fault: schemaFault(schemas, validator) }
        : await inThread<{ fault: SchemaFault | null }>(key, task);
      if (found === null) return { field: "response_schema", message: TOO_LONG };
      looked.set(key, found);
      return found.fault;
    },
    async check(answer) {
      if (isSchemaless(answer)) return exact(checkAnswer({ ...answer, validator }), answer);
      const text = textOf(answer);
      const verdict =
        isBounded(text) && text.length * sourceOf(answer).length <= MAX_INLINE_PRODUCT
          ? checkAnswer({ ...answer, validator })
          : await inThread<AnswerVerdict>(hash("sha256", text), { kind: "answer", answer });
      return verdict === null ? uncheckable(answer.text, `${TOO_LONG} this answer`) : exact(verdict, answer);
    },
  };
}

/** In a clone the sources run, in the package what was made of them. */
function workerFile(): URL {
  return new URL(
    import.meta.url.endsWith(".ts") ? "./check-worker.ts" : "./check-worker.js",
    import.meta.url,
  );
}

/** That each part of the schema meets each part of the answer once at the most, without a search in it. */
function isBounded(schemas: string): boolean {
  return schemas.length <= MAX_INLINE_SCHEMA && !/"(?:pattern|\$ref|\$dynamicRef|uniqueItems)/.test(schemas);
}

function isSchemaless({ responseSchema, toolsOffered }: Schemas): boolean {
  return (responseSchema ?? null) === null && toolsOffered.length === 0;
}

function exact(verdict: AnswerVerdict, answer: UncheckedAnswer): AnswerVerdict {
  if (verdict.kind === "text") return verdict;
  return { ...verdict, parsedResponse: withExactIntegers(verdict.parsedResponse, sourceOf(answer)) };
}

function onlySchemas({ responseSchema, toolsOffered }: Schemas): Schemas {
  return { responseSchema, toolsOffered };
}

function textOf({ responseSchema, toolsOffered }: Schemas): string {
  return JSON.stringify([responseSchema, toolsOffered.map((tool) => tool.function.parameters)]);
}

/** What the parsed response is read from. */
function sourceOf({ text, toolCalls }: UncheckedAnswer): string {
  return toolCalls.length === 0 ? text : toolCalls.map((call) => call.rawArguments).join("\n");
}
