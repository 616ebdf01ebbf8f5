/** The address is the state: pages and filters can be linked, and the browser's buttons work. */
import { computed, signal } from "@preact/signals";

const address = signal(window.location.pathname + window.location.search);

export const path = computed(() => address.value.split("?", 1)[0] ?? "/");
export const query = computed(() => new URLSearchParams(address.value.split("?")[1] ?? ""));

window.addEventListener("popstate", () => {
  address.value = window.location.pathname + window.location.search;
});

export function go(to: string, { replace = false } = {}): void {
  if (to === address.value) return;
  window.history[replace ? "replaceState" : "pushState"](null, "", to);
  const isOtherPage = to.split("?", 1)[0] !== path.value;
  address.value = to;
  if (!isOtherPage) return;
  window.scrollTo(0, 0);
  // As a page that was loaded would: a screen reader begins at its heading.
  queueMicrotask(() => document.querySelector<HTMLElement>("h1")?.focus());
}

/** `/requests?status=failed`, without what is empty. */
export function link(to: string, parameters: Record<string, string | null | undefined> = {}): string {
  const given = Object.entries(parameters).filter(
    ([, value]) => value !== null && value !== undefined && value !== "",
  );
  const search = new URLSearchParams(given as [string, string][]).toString();
  return search === "" ? to : `${to}?${search}`;
}

/** For plain clicks on links of ours; all others stay the browser's. */
export function followLink(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey)
    return;
  const anchor = (event.target as Element | null)?.closest("a");
  const href = anchor?.getAttribute("href");
  if (!href?.startsWith("/") || anchor?.target) return;
  event.preventDefault();
  go(href);
}
