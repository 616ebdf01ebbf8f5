/** What the dashboard may change, each by the SQL function that everybody else calls for it. */
import type { Pool } from "pg";

export type DashboardActions = ReturnType<typeof createActions>;

export function createActions(pool: Pool) {
  const call = async (text: string, values: unknown[]): Promise<boolean> => {
    const { rows } = await pool.query<{ changed?: boolean }>(text, values);
    return rows[0]?.changed !== false;
  };
  return {
    /** False: it had finished. */
    cancel: (id: string) =>
      call("select llmq.cancel_llm_request($1, 'cancelled in the dashboard') as changed", [id]),
    /** False: it neither failed nor was cancelled. */
    retry: (id: string) => call("select llmq.retry_llm_request($1) as changed", [id]),
    pauseModel: (name: string, paused: boolean) =>
      call("select llmq.configure_model(name => $1, paused => $2)", [name, paused]),
    pauseAgent: (agentId: string, paused: boolean) =>
      call("select llmq.configure_agent(agent_id => $1, paused => $2)", [agentId, paused]),
  };
}
