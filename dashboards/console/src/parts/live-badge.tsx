/** Is what the page shows current? Said in a word and a colour, never hidden. */
import { Badge } from '@mantine/core';
import { useLanguage } from '../language/language.tsx';
import { useLive } from '../live/live.tsx';
import type { Line } from '../live/live-store.ts';

const COLOUR: Readonly<Record<Line, string>> = {
  connecting: 'gray',
  live: 'green',
  reconnecting: 'yellow',
  stale: 'orange',
  offline: 'orange',
};

export function LiveBadge() {
  const { text, time } = useLanguage();
  const { line, heard_at } = useLive();
  const current = line === 'live';
  const label =
    current || heard_at === null
      ? text.line[line]
      : `${text.line[line]} · ${text.heard_at(time(heard_at))}`;
  return (
    <Badge
      size="lg"
      color={COLOUR[line]}
      variant={current ? 'light' : 'filled'}
      autoContrast
      role="status"
      tt="none"
      data-line={line}
    >
      {label}
    </Badge>
  );
}
