import { startEmbeddedPostgres } from "../../src/database/embedded.ts";

// Started as a process of its own, to be killed: holds the embedded server in the directory named.
await startEmbeddedPostgres({
  dataDir: process.argv[2] ?? "",
  log: { debug: () => {}, info: () => {}, warn: console.error },
  fsync: false,
});
console.log("ready");
setInterval(() => undefined, 60_000);
