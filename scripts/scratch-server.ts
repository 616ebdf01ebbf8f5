import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { databaseUrl, startEmbeddedPostgres } from "../src/database/embedded.ts";

/** A throw-away server for scripts, without fsync. */
export type ScratchServer = {
  /** Superuser's URL of a database on it. */
  urlFor(database: string): string;
  createDatabase(name: string): Promise<string>;
};

/** Lends `work` a server of its own and removes it afterwards, whatever happens. */
export async function withScratchServer<T>(work: (server: ScratchServer) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "llmq-scratch-"));
  // Run by root, the server is somebody else and has to get in.
  await chmod(directory, 0o755);
  const log = { debug: () => {}, info: () => {}, warn: console.warn };
  try {
    const server = await startEmbeddedPostgres({ dataDir: join(directory, "postgres"), log, fsync: false });
    try {
      const urlFor = (database: string) => databaseUrl(server.url, database);
      return await work({
        urlFor,
        createDatabase: async (name) => {
          await withClient(urlFor("postgres"), (client) => client.query(`create database "${name}"`));
          return urlFor(name);
        },
      });
    } finally {
      await server.stop({ removeData: true });
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Runs `work` on a connection of its own. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
