/** A day of one measurement as a line; a gap in the data is a gap in the line. */
import { useComputedColorScheme } from '@mantine/core';

const WIDTH = 300;
const HEIGHT = 56;
/** Reports come at least every few minutes: a longer silence is a hole, not a straight line. */
const GAP_MS = 20 * 60_000;

export function Sparkline({
  points,
  from,
  to,
  label,
}: {
  points: readonly (readonly [number, number])[];
  from: number;
  to: number;
  label: string;
}) {
  const scheme = useComputedColorScheme('light');
  const values = points.map(([, value]) => value);
  const least = Math.min(...values);
  const spread = Math.max(...values) - least;
  const x = (at: number) => ((at - from) / (to - from)) * WIDTH;
  const y = (value: number) =>
    spread === 0 ? HEIGHT / 2 : HEIGHT - 4 - ((value - least) / spread) * (HEIGHT - 8);
  const path = points
    .map(([at, value], i) => {
      const before = points[i - 1];
      const joined = before !== undefined && at - before[0] <= GAP_MS;
      // A line of no length with a round cap is a dot: a lonely value shows too.
      return `${joined ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}${joined ? '' : 'h0'}`;
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
      <path
        d={path}
        fill="none"
        stroke={scheme === 'dark' ? '#74c0fc' : '#1864ab'}
        strokeWidth="2"
        strokeLinecap="round"
        vectorEffect="non-scaling-stroke"
      />
    </svg>
  );
}
