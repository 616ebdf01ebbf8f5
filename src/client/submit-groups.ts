/**
 * Submits that are made while another one is on its way travel together in the next call: one in flight at a
 * time, so an idle client sends at once and a busy one in hundreds.
 */
import { fromDatabase, LlmqError, sqlState } from "./errors.ts";

/** Stores requests, given as JSON texts, in one transaction; their ids in the same order. */
export type SendGroup = (requests: string[]) => Promise<string[]>;

export type SubmitGroups = {
  /** Resolves with the id once it is committed. A request that is refused fails only its own caller. */
  submit(request: string): Promise<string>;
  /** Resolves when everything handed in so far was answered. */
  drain(): Promise<void>;
};

type Entry = { json: string; resolve: (id: string) => void; reject: (error: unknown) => void };

const MAX_REQUESTS = 500;
const MAX_CHARACTERS = 8_000_000;
const MIN_AFTER_REFUSAL = 16;
const MAX_CONFLICTS = 5;

export function createSubmitGroups(send: SendGroup): SubmitGroups {
  let waiting: Entry[] = [];
  let running: Promise<void> | null = null;
  /** Smaller after a refusal, so that many bad requests in a row do not send everything behind them each time. */
  let maxRequests = MAX_REQUESTS;

  async function run(): Promise<void> {
    // Everything that is submitted in the same turn of the event loop belongs to the first group.
    await null;
    while (waiting.length > 0) {
      const size = groupSize(waiting, maxRequests);
      const group = waiting.slice(0, size);
      waiting = waiting.slice(size);
      await store(group);
    }
    running = null;
  }

  async function store(group: Entry[], conflicts = 0): Promise<void> {
    try {
      const ids = await send(group.map((entry) => entry.json));
      maxRequests = Math.min(maxRequests * 2, MAX_REQUESTS);
      for (const [index, entry] of group.entries()) entry.resolve(ids[index] as string);
    } catch (error) {
      // Serialization failure and deadlock: nothing was stored, and it is nobody's fault.
      if (/^40(001|P01)$/.test(sqlState(error)) && conflicts < MAX_CONFLICTS) {
        return store(group, conflicts + 1);
      }
      refuse(group, error);
    }
  }

  /** Rejects the request that the error is about; the others go to the head of the line, in their order. */
  function refuse(group: Entry[], error: unknown): void {
    const index = refusedIndex(error);
    const refused = index === null ? undefined : group[index];
    if (refused !== undefined) {
      refused.reject(withoutPlace(error));
      requeue(group.filter((entry) => entry !== refused));
    } else if (group.length > 1 && isAboutTheData(error)) {
      // It does not say which: halves, until the bad one stands alone.
      maxRequests = Math.ceil(group.length / 2);
      waiting = [...group, ...waiting];
    } else {
      for (const entry of group) entry.reject(withoutPlace(error));
    }
  }

  function requeue(entries: Entry[]): void {
    maxRequests = Math.max(MIN_AFTER_REFUSAL, Math.floor(maxRequests / 2));
    waiting = [...entries, ...waiting];
  }

  return {
    submit(json) {
      return new Promise((resolve, reject) => {
        waiting.push({ json, resolve, reject });
        running ??= run();
      });
    },
    async drain() {
      while (running !== null) await running;
    },
  };
}

function groupSize(entries: Entry[], maxRequests: number): number {
  let size = 0;
  let characters = 0;
  for (const { json } of entries) {
    characters += json.length;
    if (size > 0 && (size >= maxRequests || characters > MAX_CHARACTERS)) break;
    size += 1;
  }
  return size;
}

const INDEX = /^requests\[(\d+)\](?:: )?/;

function refusedIndex(error: unknown): number | null {
  if (!isAboutTheData(error)) return null;
  const match = INDEX.exec((error as Error).message);
  return match === null ? null : Number(match[1]);
}

/** The error without `requests[17]: `, which says nothing to a caller who submitted one request. */
export function withoutPlace(error: unknown): unknown {
  const known = fromDatabase(error);
  if (!(known instanceof LlmqError)) return known;
  return new LlmqError(known.code, known.message.replace(INDEX, ""), {
    cause: known.cause,
    ...(known.detail === null ? {} : { detail: known.detail }),
    ...(known.hint === null ? {} : { hint: known.hint }),
  });
}

/** SQLSTATE classes that blame a value; all others blame the connection, the server or the installation. */
function isAboutTheData(error: unknown): boolean {
  return /^(22|23|54|LQ|P0)/.test(sqlState(error));
}
