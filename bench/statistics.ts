/** The value below which `share` (0 to 1) of the values lie, by the nearest rank. */
export function percentile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new Error("there is nothing to take a percentile of");
  return value;
}

export function median(values: number[]): number {
  return percentile(values, 0.5);
}

export type InTurn = { llmq: number; peer: number; ratio: number };

/**
 * Measures both sides in each round, in changing order, so that what else goes on with the machine meets both.
 * A first round warms up and is thrown away. Medians of each side and of the rounds' ratios.
 */
export async function inTurn(
  rounds: number,
  llmq: () => Promise<number>,
  peer: () => Promise<number>,
): Promise<InTurn> {
  const figures: { llmq: number; peer: number }[] = [];
  for (let round = 0; round <= rounds; round++) {
    const first = round % 2 === 0 ? await llmq() : await peer();
    const second = round % 2 === 0 ? await peer() : await llmq();
    if (round > 0) {
      figures.push(round % 2 === 0 ? { llmq: first, peer: second } : { llmq: second, peer: first });
    }
  }
  return {
    llmq: median(figures.map((one) => one.llmq)),
    peer: median(figures.map((one) => one.peer)),
    ratio: median(figures.map((one) => one.llmq / one.peer)),
  };
}

/** Seconds that `work` takes. */
export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (performance.now() - startedAt) / 1000;
}
