/** A day of one measurement as a line; where there is no data the ground is grey and the line is broken. */
const WIDTH = 300;
const HEIGHT = 48;
const MARGIN = 4;
/** Reports come at least every few minutes: a longer silence is a hole, not a straight line. */
const GAP_MS = 20 * 60_000;

type Point = readonly [at: number, value: number];

/** The silent stretches between `from` and `to`. */
export function gapsOf(points: readonly Point[], from: number, to: number): [number, number][] {
  const gaps: [number, number][] = [];
  let before = from;
  for (const at of [...points.map(([at]) => at), to]) {
    if (at - before > GAP_MS) gaps.push([before, at]);
    before = at;
  }
  return gaps;
}

export function Sparkline({
  points,
  from,
  to,
  label,
}: {
  points: readonly Point[];
  from: number;
  to: number;
  label: string;
}) {
  const values = points.map(([, value]) => value);
  const least = Math.min(...values);
  const spread = Math.max(...values) - least;
  const x = (at: number) => (((at - from) / (to - from)) * WIDTH).toFixed(1);
  const y = (value: number) =>
    (spread === 0
      ? HEIGHT / 2
      : HEIGHT - MARGIN - ((value - least) / spread) * (HEIGHT - 2 * MARGIN)
    ).toFixed(1);
  const path = points
    .map(([at, value], i) => {
      const before = points[i - 1];
      const joined = before !== undefined && at - before[0] <= GAP_MS;
      // A line of no length with a round cap is a dot: a lonely value shows too.
      return `${joined ? 'L' : 'M'}${x(at)} ${y(value)}${joined ? '' : 'h0'}`;
    })
    .join('');
  return (
    <svg
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={label}
      className="sparkline"
      preserveAspectRatio="none"
    >
      {gapsOf(points, from, to).map(([begin, end]) => (
        <rect
          key={begin}
          className="gap"
          x={x(begin)}
          y={0}
          width={Math.max(0, Number(x(end)) - Number(x(begin)))}
          height={HEIGHT}
        />
      ))}
      <path d={path} />
    </svg>
  );
}
