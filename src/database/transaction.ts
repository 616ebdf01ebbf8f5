import type { Pool, PoolClient } from "pg";

/**
 * Runs `work` between `begin` (statements that open the transaction and set its limits: they are its own, so no
 * pooler minds) and `commit`. What `work` throws rolls back and is thrown on; a connection that died is not reused.
 */
export async function inTransaction<T>(
  pool: Pool,
  begin: string,
  work: (client: PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const onError = (error: Error) => {
    broken = error;
  };
  // Without a listener a connection that dies in our hands would end the process.
  client.on("error", onError);
  try {
    await client.query(begin);
    const result = await work(client);
    await client.query("commit");
    return result;
  } catch (error) {
    await client.query("rollback").catch(onError);
    throw error;
  } finally {
    client.off("error", onError);
    client.release(broken);
  }
}
