/** "40 ms", "1.2 s", "12 s", "3 min", "5 h", "2 days": one number, for people. */
export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 0.9995) return `${Math.round(Math.max(ms, 0))} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  if (seconds < 5_970) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3_600) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** "12,345" whatever the locale. */
export function count(value: number): string {
  return value.toLocaleString("en-US");
}

/** "3 requests", "1 request". */
export function counted(value: number, noun: string, plural = `${noun}s`): string {
  return `${count(value)} ${value === 1 ? noun : plural}`;
}

/** Local time; with the date when it is not today. */
export function clockTime(at: Date, now = new Date()): string {
  const time = at.toLocaleTimeString("en-GB");
  if (at.toDateString() === now.toDateString()) return time;
  const two = (value: number) => String(value).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

/** Text of a model or provider, without control characters that a terminal would obey. Keeps line ends and tabs. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}]/gu, (character) =>
    character === "\n" || character === "\t" ? character : "",
  );
}
