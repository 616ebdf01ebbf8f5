/** What `llmq.schema_version()` answers on a database this program works with. */
export const schemaVersion = 1;
