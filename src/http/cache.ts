import { LRUCache } from "lru-cache";

export type Cache = {
  /** Answers what `make` made for the same key within `ttlMs`, or is making now: all viewers share one read. */
  <T extends object>(key: string, make: () => Promise<T>, ttlMs?: number): Promise<T>;
  /** After a change: the next one reads anew. */
  clear(): void;
};

const ENTRIES = 300;

export function createCache(defaultTtlMs: number): Cache {
  const entries = new LRUCache<string, Promise<object>>({ max: ENTRIES, ttl: defaultTtlMs });
  const cached = async <T extends object>(key: string, make: () => Promise<T>, ttlMs = defaultTtlMs) => {
    const known = entries.get(key) as Promise<T> | undefined;
    if (known !== undefined) return await known;
    const made = make();
    entries.set(key, made, { ttl: ttlMs });
    // A failure is not kept: the next one asks again.
    made.catch(() => entries.delete(key));
    return await made;
  };
  return Object.assign(cached, { clear: () => entries.clear() });
}
