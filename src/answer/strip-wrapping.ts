/**
 * What models put around an answer: their thoughts in front, a code fence around it. Offsets count from the
 * start of the text, so that errors can be reported at their place in it.
 */

export type ThoughtEnd = {
  /** Where the answer starts; the text's length when the thought never ends. */
  start: number;
  /** True when only the closing tag is there: some chat templates open the block in the prompt. */
  guessed: boolean;
};

const OPENING = /^\s*<(think|thinking|reasoning)>/;
const CLOSING = /<\/(?:think|thinking|reasoning)>/;

/** Where the answer starts behind a `<think>` block; null when there is none. */
export function endOfThought(text: string): ThoughtEnd | null {
  const tag = OPENING.exec(text)?.[1];
  if (tag !== undefined) {
    const closing = `</${tag}>`;
    const end = text.indexOf(closing);
    return { start: end === -1 ? text.length : end + closing.length, guessed: false };
  }
  if (looksLikeJson(text)) return null;
  const closing = CLOSING.exec(text);
  return closing === null ? null : { start: closing.index + closing[0].length, guessed: true };
}

/** Whether the text starts with `{` or `[`, white space and a byte order mark aside. */
export function looksLikeJson(text: string): boolean {
  return /^\s*[{[]/.test(text);
}

/** The contents of the fenced code blocks at or after `from`, surrounding white space excluded. */
export function fencedBlocks(text: string, from: number): { start: number; end: number }[] {
  const blocks: { start: number; end: number }[] = [];
  let fence: { mark: string; contentStart: number } | null = null;
  for (let lineStart = from; lineStart < text.length; ) {
    const newline = text.indexOf("\n", lineStart);
    const lineEnd = newline === -1 ? text.length : newline;
    const line = text.slice(lineStart, lineEnd).trim();
    if (fence === null) {
      const mark = /^(?:`{3,}|~{3,})(?=[^`]*$)/.exec(line)?.[0];
      if (mark !== undefined) fence = { mark, contentStart: lineEnd + 1 };
    } else if (line.startsWith(fence.mark) && line.replaceAll(fence.mark.charAt(0), "") === "") {
      blocks.push(trimmed(text, Math.min(fence.contentStart, lineStart), lineStart));
      fence = null;
    }
    lineStart = lineEnd + 1;
  }
  return blocks;
}

function trimmed(text: string, start: number, end: number): { start: number; end: number } {
  const content = text.slice(start, end);
  const leading = content.length - content.trimStart().length;
  return { start: start + leading, end: start + leading + content.trim().length };
}
