type Style = "green" | "red" | "yellow" | "blue" | "cyan" | "gray";

const STYLES: Record<string, Style> = {
  completed: "green",
  failed: "red",
  cancelled: "yellow",
  processing: "blue",
  pending: "cyan",
};

/** One colour per status, wherever a status is shown. */
export function statusStyle(status: string): Style {
  return STYLES[status] ?? "gray";
}
