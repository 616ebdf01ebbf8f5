import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";

export type Line = {
  name: string;
  /** Name of a custom property of the style sheet, without the dashes. */
  color: string;
  values: (number | null)[];
  /** Filled below, each on top of those after it. */
  isStacked?: boolean;
  /** Null is a gap; otherwise the line goes on to the next value. */
  hasGaps?: boolean;
};

export type ChartProps = {
  title: string;
  /** Seconds since 1970, ascending. */
  times: number[];
  lines: Line[];
  format: (value: number | null) => string;
  note?: string | undefined;
};

const HEIGHT = 150;

/** What is drawn is also said: the legend has the last values as text. */
export function Chart({ title, times, lines, format, note }: ChartProps) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [hovered, setHovered] = useState<number | null>(null);
  const scheme = useColorScheme();
  const shape = `${scheme} ${lines.map(({ name, color, isStacked }) => `${name} ${color} ${isStacked}`).join("|")}`;
  const latest = useRef({ times, lines, format });
  latest.current = { times, lines, format };

  // Drawn anew only when it looks otherwise.
  useEffect(() => {
    const element = frame.current;
    if (element === null) return;
    const made = new uPlot(
      optionsOf(element, latest.current.lines, (value) => latest.current.format(value), setHovered),
      dataOf(latest.current.times, latest.current.lines),
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => plot.current?.setData(dataOf(times, lines)));

  const shown = hovered ?? times.length - 1;
  const at = times[shown];
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{title}</span>
        <span class="muted chart-time">
          {hovered !== null && at !== undefined ? new Date(at * 1000).toLocaleTimeString("en-GB") : note}
        </span>
      </figcaption>
      <div ref={frame} class="chart-frame" aria-hidden="true" />
      <ul class="legend">
        {lines.map(({ name, color, values }) => (
          <li key={name}>
            <svg viewBox="0 0 8 8" width="8" height="8" aria-hidden="true">
              <rect width="8" height="8" rx="2" style={{ fill: `var(--${color})` }} />
            </svg>
            <span class="legend-name">{name}</span> <b>{format(values[shown] ?? null)}</b>
          </li>
        ))}
      </ul>
    </figure>
  );
}

function optionsOf(
  element: HTMLElement,
  lines: Line[],
  format: (value: number | null) => string,
  onHover: (index: number | null) => void,
): uPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const faint = (name: string) => `${color(name)}2e`;
  const axis = { stroke: color("text-3"), font: `11px ${style.fontFamily}`, ticks: { show: false } };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    hooks: { setCursor: [(u) => onHover(u.cursor.idx ?? null)] },
    scales: { y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 24,
        space: 80,
        values: (_u, splits) => splits.map(hourAndMinute),
      },
      {
        ...axis,
        grid: { stroke: color("line"), width: 1 },
        size: 52,
        space: 34,
        values: (_u, splits) => splits.map((value) => format(value)),
      },
    ],
    series: [
      {},
      ...lines.map((line, index) => ({
        stroke: color(line.color),
        width: 1.5,
        ...(line.isStacked && index === lines.length - 1 ? { fill: faint(line.color) } : {}),
        points: { show: false },
        spanGaps: line.hasGaps !== true,
      })),
    ],
    // Series count from 1: 0 is the time.
    bands: lines.flatMap((line, index): uPlot.Band[] =>
      line.isStacked && index < lines.length - 1
        ? [{ series: [index + 1, index + 2], fill: faint(line.color) }]
        : [],
    ),
  };
}

/** Stacked lines are drawn as sums, the last one lowest and in front; the others as they are. */
function dataOf(times: number[], lines: Line[]): uPlot.AlignedData {
  let below: (number | null)[] = times.map(() => 0);
  const drawn = lines.toReversed().map((line) => {
    if (!line.isStacked) return line.values;
    below = line.values.map((value, index) => (value === null ? null : value + (below[index] ?? 0)));
    return below;
  });
  return [times, ...drawn.toReversed()];
}

function hourAndMinute(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

function useColorScheme(): "dark" | "light" {
  const [isDark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const media = matchMedia("(prefers-color-scheme: dark)");
    const change = () => setDark(media.matches);
    media.addEventListener("change", change);
    return () => media.removeEventListener("change", change);
  }, []);
  return isDark ? "dark" : "light";
}
