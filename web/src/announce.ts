import { signal } from "@preact/signals";

export type Notice = { text: string; kind: "done" | "problem" };

/** The last thing that happened by this page's doing: shown, and read out by screen readers. */
export const notice = signal<Notice | null>(null);
let timer: ReturnType<typeof setTimeout> | undefined;

export function announce(text: string, kind: Notice["kind"] = "done"): void {
  clearTimeout(timer);
  notice.value = { text, kind };
  timer = setTimeout(
    () => {
      notice.value = null;
    },
    kind === "done" ? 6_000 : 12_000,
  );
}
