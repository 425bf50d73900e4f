/** The last events of a station, newest first, without persons. */
import { Button, Skeleton, Text } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useCallback } from 'react';
import { DENIALS, type Denial } from '@waystation/protocol/access';
import type { EventLine, LiveMessage } from '@waystation/protocol/api';
import { api } from '../api.ts';
import { useLanguage, type Language } from '../language/language.tsx';
import { useLiveMessages } from '../live/live.tsx';
import { Failure } from '../parts/failure.tsx';

/** A record that arrives more than this after it was made was not live. */
const LATE_MS = 60_000;

type Fact = EventLine['summary'][string] | undefined;

function word(table: object, key: Fact): string {
  const value: unknown = Object.entries(table).find(([name]) => name === key)?.[1];
  return typeof value === 'string' ? value : String(key ?? '');
}

function denial(name: Fact, { code }: Language): string {
  const known = typeof name === 'string' && name in DENIALS ? DENIALS[name as Denial] : null;
  return known ? known[code] : String(name ?? '');
}

/** What happened, in words; facts the dictionary does not know are shown as they came. */
export function describeEvent(
  event: EventLine,
  language: Language,
): { title: string; detail: string } {
  const { text } = language;
  const { summary } = event;
  switch (event.kind) {
    case 'access': {
      const method = word(text.method, summary['method']);
      if (summary['outcome'] === 'granted') return { title: text.event.granted, detail: method };
      return {
        title: text.event.denied,
        detail: `${method} · ${denial(summary['denial'], language)}`,
      };
    }
    case 'door':
      return {
        title: text.event.door,
        detail: `${word(text.portal, summary['from'])} → ${word(text.portal, summary['to'])}`,
      };
    case 'mode':
      return { title: text.event.mode, detail: word(text.mode, summary['mode']) };
    case 'room':
      return { title: text.event.room, detail: word(text.room, summary['state']) };
    case 'input':
      return {
        title: word(text.inputs, summary['input']),
        detail: summary['active'] === true ? '●' : '○',
      };
    case 'device':
      return {
        title: word(text.devices, summary['device']),
        detail: summary['online'] === true ? text.device_online : text.device_offline,
      };
    case 'command':
      return {
        title: text.event.command,
        detail: [summary['status'], summary['reason']].filter(Boolean).join(' · '),
      };
    default:
      return { title: word(text.event, event.kind), detail: '' };
  }
}

export function StationEvents({ code }: { code: string }) {
  const language = useLanguage();
  const { text, time } = language;
  const events = useInfiniteQuery({
    queryKey: ['events', code],
    queryFn: ({ pageParam, signal }) => api.events(code, pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });
  const { refetch } = events;
  const hear = useCallback(
    (message: LiveMessage) => {
      if (message.type === 'event' && message.event.station === code) void refetch();
    },
    [code, refetch],
  );
  useLiveMessages(hear);
  if (events.isPending) return <Skeleton height={240} />;
  if (events.isError && !events.data)
    return <Failure error={events.error} retry={() => void refetch()} />;
  const rows = events.data.pages.flatMap((page) => page.rows);
  if (rows.length === 0) return <Text c="dimmed">{text.events_none}</Text>;
  return (
    <>
      <ol className="events">
        {rows.map((event) => {
          const { title, detail } = describeEvent(event, language);
          return (
            <li key={`${event.epoch}/${event.seq}`} data-kind={event.kind}>
              <time dateTime={new Date(event.at).toISOString()}>{time(event.at)}</time>
              <span>
                <b>{title}</b> {detail}
                {event.received_at - event.at > LATE_MS && <em> {text.late}</em>}
                {event.clock === 'unknown' && <em> {text.clock_doubtful}</em>}
              </span>
            </li>
          );
        })}
      </ol>
      {events.hasNextPage && (
        <Button
          variant="subtle"
          loading={events.isFetchingNextPage}
          onClick={() => void events.fetchNextPage()}
        >
          {text.events_more}
        </Button>
      )}
    </>
  );
}
