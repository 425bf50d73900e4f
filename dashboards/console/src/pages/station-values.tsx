/** What the sensors of a station say: the newest value with its age, and the last day as a line. */
import { Skeleton, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { StationDetail } from '@waystation/protocol/api';
import { api } from '../api.ts';
import { useLanguage } from '../language/language.tsx';
import type { Dictionary } from '../language/zh.ts';
import { Sparkline } from '../parts/sparkline.tsx';

const DAY_MS = 86_400_000;
/** A value older than this is shown dimmed, with its age. */
const STALE_MS = 30 * 60_000;

/** In the order a person asks: is there water, is it warm, is it full. */
const SHOWN = [
  { name: 'occupancy_count', unit: '', digits: 0 },
  { name: 'water_level_percent', unit: '%', digits: 0 },
  { name: 'temperature_cel', unit: '°C', digits: 1 },
  { name: 'humidity_percent', unit: '%', digits: 0 },
  { name: 'co2_ppm', unit: 'ppm', digits: 0 },
  { name: 'cups_count', unit: '', digits: 0 },
  { name: 'tissue_percent', unit: '%', digits: 0 },
  { name: 'medicine_doses', unit: '', digits: 0 },
  { name: 'battery_percent', unit: '%', digits: 0 },
] as const;

function DayLine({
  code,
  measurement,
  digits,
  now,
}: {
  code: string;
  measurement: keyof Dictionary['measurement'];
  digits: number;
  now: number;
}) {
  const { text, number } = useLanguage();
  const series = useQuery({
    queryKey: ['series', code, measurement],
    async queryFn({ signal }) {
      const { points } = await api.series(code, measurement, now - DAY_MS, now, signal);
      return { points, to: now };
    },
    staleTime: 60_000,
    refetchInterval: 60_000,
  });
  // What was read before stays; the page's head says how old everything is.
  if (series.isPending) return <Skeleton height={48} />;
  if (!series.data || series.data.points.length === 0) {
    return <div className="no-points">{series.data ? text.no_points : text.failed}</div>;
  }
  const values = series.data.points.map(([, value]) => value);
  const label = text.chart(
    text.measurement[measurement],
    number(Math.min(...values), digits),
    number(Math.max(...values), digits),
  );
  const { points, to } = series.data;
  return <Sparkline points={points} from={to - DAY_MS} to={to} label={label} />;
}

export function StationValues({ station, now }: { station: StationDetail; now: number }) {
  const { text, number, age } = useLanguage();
  const known = SHOWN.flatMap((one) => {
    const newest = station.values[one.name];
    // Whether a mom's room is in use is enough; how many are in it is nobody's business.
    if (station.kind === 'M' && one.name === 'occupancy_count') return [];
    return newest ? [{ ...one, ...newest }] : [];
  });
  if (known.length === 0) return <Text className="quiet">{text.never_heard}</Text>;
  return (
    <div className="values">
      {known.map(({ name, unit, digits, value, at }) => (
        <div className="value" key={name} data-stale={now - at > STALE_MS}>
          <span className="value-name">{text.measurement[name]}</span>
          <b>
            {number(value, digits)}
            <small> {unit}</small>
          </b>
          <small className="value-age">{age(at, now)}</small>
          <DayLine code={station.code} measurement={name} digits={digits} now={now} />
        </div>
      ))}
    </div>
  );
}
