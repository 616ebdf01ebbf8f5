/** The SQL functions of the shared queues; rows become objects here. */
import type { Pool } from "pg";
import { inTransaction } from "../database/transaction.ts";
import type { ExternalResult, Settlement } from "./external-result.ts";

export type MessageOutcome = {
  messageId: string;
  /** `gone`: another process settled it. */
  outcome: "handled" | "retried" | "set_aside" | "gone";
  error: string | null;
};

export type SettledResult = { result: ExternalResult; settlement: Settlement };

export function createSharedQueueDatabase(pool: Pool, handlerTimeoutMs: number) {
  return {
    /**
     * Enabled queues that exist in pgmq, and cheap: without pgmq there are none. Asked of the catalog, which
     * needs no right in pgmq's schema. (DROP EXTENSION leaves the queues' tables behind, but not pgmq.meta.)
     */
    async queues(): Promise<string[]> {
      const { rows } = await pool.query(
        `select s.queue_name
         from llmq.shared_queues as s
         join pg_catalog.pg_class as c on c.relname = 'q_' || lower(s.queue_name)
         join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'pgmq'
         where s.enabled
           and exists (select from pg_catalog.pg_class as m where m.relname = 'meta' and m.relnamespace = n.oid)
         order by s.queue_name`,
      );
      return rows.map((row) => row.queue_name);
    },
    /** One batch through the queue's handler. */
    async handle(queueName: string, maxMessages: number): Promise<MessageOutcome[]> {
      const begin = `begin; set local statement_timeout = ${Math.ceil(handlerTimeoutMs)}`;
      return await inTransaction(pool, begin, async (client) => {
        const { rows } = await client.query(
          "select message_id, outcome, error from llmq.handle_shared_queue($1, $2)",
          [queueName, maxMessages],
        );
        return rows.map(toOutcome);
      });
    },
    async readExternalResults(maxMessages: number): Promise<ExternalResult[]> {
      const { rows } = await pool.query(
        "select message_id, read_count, message, request_id, response_schema, tools from llmq.read_external_results($1)",
        [maxMessages],
      );
      return rows.map((row) => ({
        messageId: String(row.message_id),
        readCount: row.read_count,
        message: row.message,
        requestId: row.request_id,
        responseSchema: row.response_schema,
        tools: row.tools,
      }));
    },
    async settle(settled: SettledResult[]): Promise<MessageOutcome[]> {
      const { rows } = await pool.query(
        "select message_id, outcome, error from llmq.settle_external_results($1)",
        [JSON.stringify(settled.map(({ result, settlement }) => settlementRow(result, settlement)))],
      );
      return rows.map(toOutcome);
    },
  };
}

function toOutcome(row: { message_id: unknown; outcome: MessageOutcome["outcome"]; error: string | null }) {
  return { messageId: String(row.message_id), outcome: row.outcome, error: row.error };
}

function settlementRow(result: ExternalResult, settlement: Settlement) {
  const row = {
    message_id: result.messageId,
    read_count: result.readCount,
    message: result.message ?? null,
    request_id: result.requestId,
  };
  switch (settlement.kind) {
    case "set_aside":
      return { ...row, set_aside: settlement.reason };
    case "completed":
      return {
        ...row,
        status: "completed",
        response: settlement.response,
        parsed_response: settlement.parsedResponse,
        repairs: settlement.repairs,
        calls: [{ outcome: "answered" }],
      };
    case "failed":
      return {
        ...row,
        status: "failed",
        error_type: settlement.errorType,
        error_message: settlement.errorMessage,
        response: settlement.response,
        parsed_response: settlement.verdict?.parsedResponse,
        validation_errors: settlement.verdict?.validationErrors,
        repairs: settlement.verdict?.repairs,
        failures: 1,
        calls: [{ outcome: settlement.callOutcome, error_message: settlement.errorMessage }],
      };
  }
}
