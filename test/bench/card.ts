/** How long the judgement of one member code takes: distinct cards, each seen once, then the same faces again. */
import { performance } from 'node:perf_hooks';
import { createWorld, outcome, present } from '../card/world.ts';

const CARDS = 2000;

export interface CardFigures {
  n: number;
  /** A card the station has not seen since it started: two signatures. */
  p50_us: number;
  p99_us: number;
  /** A regular, whose issuer signature is remembered: one. */
  cached_p50_us: number;
  cached_p99_us: number;
}

export function benchCard(seconds: number): CardFigures {
  const world = createWorld();
  const members = Array.from({ length: CARDS }, (_, index) => world.member({ index }));
  const lines = members.map((member) => present(member, 1));
  const again = members.map((member) => present(member, 2));
  const first: number[] = [];
  const cached: number[] = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const station = world.restart();
    for (const [at, line] of lines.entries()) {
      first.push(timed(() => station.verify(line)));
      cached.push(timed(() => station.verify(again[at] ?? line)));
    }
  }
  world.remove();
  const [p50_us, p99_us] = percentiles(first);
  const [cached_p50_us, cached_p99_us] = percentiles(cached);
  return { n: first.length, p50_us, p99_us, cached_p50_us, cached_p99_us };
}

function timed(verify: () => ReturnType<ReturnType<typeof createWorld>['verify']>): number {
  const began = performance.now();
  const verdict = verify();
  const took_us = (performance.now() - began) * 1000;
  if (outcome(verdict) !== 'valid')
    throw new Error(`the benchmark's card was refused: ${outcome(verdict)}`);
  return took_us;
}

function percentiles(samples: number[]): [number, number] {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.floor(sorted.length * share)] ?? Number.NaN);
  return [at(0.5), at(0.99)];
}
