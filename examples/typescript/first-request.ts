// A first request from TypeScript: DATABASE_URL=... npx tsx first-request.ts
// The README shows the same lines.

const url = process.env.DATABASE_URL ?? "";

import { createClient } from "llmq";

await using client = createClient({ connectionString: url });
const request = await client.ask({
  agentId: "support",
  taskType: "summary",
  messages: [{ role: "user", content: "Summarise ticket 7: ..." }],
});
console.log(request.response);
