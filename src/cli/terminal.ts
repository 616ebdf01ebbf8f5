import { stripVTControlCharacters, styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** A stream for people or for programs: styled on a terminal, plain in a pipe. */
export type Terminal = {
  isTTY: boolean;
  /** Columns; 120 where nobody looks. */
  width: number;
  line(text?: string): void;
  /** Styled where the stream (and NO_COLOR, FORCE_COLOR) allow it. */
  style(style: Style, text: string): string;
  /** One line that is overwritten by the next; on a pipe nothing. */
  progress(text: string): void;
  /** Takes the progress line away. */
  clearProgress(): void;
  /** A screen of its own, drawn over the last one and cut to the height; on a pipe the lines and an empty one. */
  frame(lines: string[]): void;
  /** Gives the screen back as it was before the first frame. */
  endFrames(): void;
};

/** Alternate screen without a cursor, and back. */
const ENTER_SCREEN = "\x1b[?1049h\x1b[?25l";
const LEAVE_SCREEN = "\x1b[?25h\x1b[?1049l";

export function createTerminal(stream: NodeJS.WriteStream): Terminal {
  const isTTY = stream.isTTY === true;
  let hasProgress = false;
  let hasFrame = false;
  const clearProgress = () => {
    if (hasProgress) stream.write("\r\x1b[2K");
    hasProgress = false;
  };
  return {
    isTTY,
    get width() {
      return stream.columns ?? 120;
    },
    line(text = "") {
      clearProgress();
      stream.write(`${text}\n`);
    },
    style: (style, text) => styleText(style, text, { stream }),
    progress(text) {
      if (!isTTY) return;
      clearProgress();
      stream.write(clip(text, (stream.columns ?? 80) - 1));
      hasProgress = true;
    },
    clearProgress,
    frame(lines) {
      if (!isTTY) return void stream.write(`${lines.join("\n")}\n\n`);
      if (!hasFrame) stream.write(ENTER_SCREEN);
      hasFrame = true;
      const shown = lines.slice(0, stream.rows ?? lines.length);
      stream.write(`\x1b[H${shown.map((line) => `${line}\x1b[K`).join("\n")}\x1b[J`);
    },
    endFrames() {
      if (hasFrame) stream.write(LEAVE_SCREEN);
      hasFrame = false;
    },
  };
}

/** Cells may be styled; a column is as wide as its widest cell, the last one is cut to the terminal's width. */
export function table(
  terminal: Terminal,
  header: string[],
  rows: string[][],
  numeric: number[] = [],
): string[] {
  const widths = header.map((name, column) =>
    Math.max(widthOf(name), ...rows.map((row) => widthOf(row[column] ?? ""))),
  );
  const last = header.length - 1;
  const before = widths.slice(0, last).reduce((sum, width) => sum + width + 2, 2);
  const room = Math.max(terminal.width - before, 20);
  const render = (row: string[]) =>
    header
      .map((_, column) => {
        const cell = row[column] ?? "";
        if (column === last) return clip(cell, terminal.isTTY ? room : Number.POSITIVE_INFINITY);
        const padding = " ".repeat((widths[column] ?? 0) - widthOf(cell));
        return numeric.includes(column) ? padding + cell : cell + padding;
      })
      .join("  ")
      .trimEnd();
  return [terminal.style("dim", render(header)), ...rows.map(render)].map((line) => `  ${line}`);
}

/** One line, cut with an ellipsis. Styles are dropped from what has to be cut. */
export function clip(text: string, length: number): string {
  const line = text.replaceAll(/\s+/g, " ");
  if (widthOf(line) <= length) return line;
  return `${stripVTControlCharacters(line).slice(0, Math.max(length - 1, 0))}…`;
}

function widthOf(text: string): number {
  return stripVTControlCharacters(text).length;
}
