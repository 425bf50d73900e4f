/** The last events of a station, newest first, without persons. */
import { Button, Skeleton, Text } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useCallback } from 'react';
import type { LiveMessage } from '@waystation/protocol/api';
import { api } from '../api.ts';
import { useLanguage } from '../language/language.tsx';
import { sayEvent } from '../language/sayings.ts';
import { useLiveMessages } from '../live/live.tsx';
import { Failure } from '../parts/failure.tsx';

/** A record that arrives more than this after it was made was not live. */
const LATE_MS = 60_000;

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
      const mine = message.type === 'event' && message.event.station === code;
      // Greeted anew, or told to read again: something may have happened unheard.
      if (mine || message.type === 'hello' || message.type === 'resync') void refetch();
    },
    [code, refetch],
  );
  useLiveMessages(hear);
  if (events.isPending) return <Skeleton height={240} />;
  if (events.isError && !events.data)
    return <Failure error={events.error} retry={() => void refetch()} />;
  const rows = events.data.pages.flatMap((page) => page.rows);
  if (rows.length === 0) return <Text className="quiet">{text.events_none}</Text>;
  return (
    <>
      <ol className="events">
        {rows.map((event) => {
          const { title, detail } = sayEvent(event, language);
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
