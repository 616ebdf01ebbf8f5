/** SQLSTATE classes that no second look will mend: a value, an access rule, a missing table, a standby. */
const LASTING = /^(22|25|28|3D|3F|42|LQ)/;

/** Whether it is the connection or the server that is away, so that a command that follows goes on trying. */
export function isPassing(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return !LASTING.test(code);
}
