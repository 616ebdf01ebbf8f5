import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { sqlErrorEntry, sqlErrors } from "../../src/errors.ts";

const sources = new URL("../../sql/", import.meta.url);

async function codesRaisedInSql(): Promise<string[]> {
  const names = (await readdir(sources, { recursive: true })).filter((name) => name.endsWith(".sql"));
  const texts = await Promise.all(names.map((name) => readFile(new URL(name, sources), "utf8")));
  return [...new Set(texts.flatMap((text) => text.match(/\bLQ\d{3}\b/g) ?? []))].sort();
}

test("the catalogue lists exactly the codes that the SQL functions raise or document", async () => {
  expect(sqlErrors.map((entry) => entry.code)).toEqual(await codesRaisedInSql());
});

test("every code has one name, a meaning and a next step", () => {
  expect(new Set(sqlErrors.map((entry) => entry.name)).size).toBe(sqlErrors.length);
  for (const entry of sqlErrors) {
    expect(entry.meaning).toMatch(/\.$/);
    expect(entry.whatToDo).toMatch(/\.$/);
  }
});

test("other SQLSTATEs are not in the catalogue", () => {
  expect(sqlErrorEntry("LQ001")?.name).toBe("invalid_input");
  expect(sqlErrorEntry("42501")).toBeUndefined();
  expect(sqlErrorEntry(undefined)).toBeUndefined();
});
