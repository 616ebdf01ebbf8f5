import type { Pool } from "pg";
import type { ExitCode } from "../errors.ts";
import type { Command, CommandContext } from "./context.ts";
import { withDatabase } from "./database.ts";
import { printable } from "./format.ts";
import type { SubmitOptions } from "./submit-options.ts";
import { buildRequest, SUBMIT_PARAMETERS, type SubmitParameters } from "./submit-request.ts";
import { waitForRequest } from "./wait.ts";

/** What `--wait` shows of a finished request. */
type Result = {
  id: string;
  status: string;
  response: string | null;
  parsed_response: unknown;
  validation_errors: unknown[] | null;
  error_type: string | null;
  error_message: string | null;
};

/** `llmq submit`: prints the id, or with `--wait` the answer; 1 when the request failed or was cancelled. */
export const runSubmit: Command<SubmitOptions> = async (context, options) => {
  const { out, err } = context;
  const parameters = await buildRequest(options, () => readStdin(context));
  return await withDatabase(context, async ({ pool }) => {
    const id = await submit(pool, parameters);
    if (options.wait !== true) {
      out.line(options.json ? JSON.stringify({ id }) : id);
      return 0;
    }
    err.line(err.style("dim", id));
    await waitForRequest(pool, id, { context, timeoutMs: options.timeout });
    return await printResult(context, pool, id, options.json === true);
  });
};

async function submit(pool: Pool, parameters: SubmitParameters): Promise<string> {
  const names = Object.keys(parameters);
  const values = names.map((name) =>
    SUBMIT_PARAMETERS[name] === "json" ? JSON.stringify(parameters[name]) : parameters[name],
  );
  const { rows } = await pool.query<{ id: string }>(
    `select llmq.submit_llm_request(${names.map((name, index) => `${name} => $${index + 1}`).join(", ")}) as id`,
    values,
  );
  const id = rows[0]?.id;
  if (id === undefined) throw new Error("the database gave no id");
  return id;
}

async function printResult(
  context: CommandContext,
  pool: Pool,
  id: string,
  asJson: boolean,
): Promise<ExitCode> {
  const { out, err } = context;
  const { rows } = await pool.query<{ request: Result }>(
    "select to_jsonb(r) as request from llmq.get_llm_request($1) as r",
    [id],
  );
  const request = rows[0]?.request;
  if (request === undefined) throw new Error("the database gave no request");
  if (asJson) out.line(JSON.stringify(request, null, 2));
  else if (request.status === "completed")
    out.line(out.isTTY ? printable(answerText(request)) : answerText(request));
  else printFailure(err, request);
  return request.status === "completed" ? 0 : 1;
}

function answerText({ parsed_response: parsed, response }: Result): string {
  return parsed === null ? (response ?? "") : JSON.stringify(parsed, null, 2);
}

function printFailure(err: CommandContext["err"], request: Result): void {
  const kind = request.status === "failed" ? `failed, ${request.error_type}` : request.status;
  err.line(
    `${err.style(["red", "bold"], `${kind}:`)} ${printable(request.error_message ?? "no reason given")}`,
  );
  for (const error of request.validation_errors ?? []) err.line(`  ${JSON.stringify(error)}`);
  if (request.response !== null)
    err.line(`  ${err.style("dim", "the answer was:")} ${printable(request.response)}`);
  err.line(err.style("cyan", `  llmq explain ${request.id}`));
}

/** Null on a terminal: nobody types a prompt into a silent cursor. */
async function readStdin({ stdin }: CommandContext): Promise<string | null> {
  if (stdin.isTTY) return null;
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}
