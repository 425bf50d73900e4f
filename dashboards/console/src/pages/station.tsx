/** One station: what it is now, its door, what its sensors say, what happened. */
import { Alert, Paper, Skeleton, Text, Title } from '@mantine/core';
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useCallback } from 'react';
import type { LiveMessage, StationDetail } from '@waystation/protocol/api';
import { api, ApiError } from '../api.ts';
import { useLanguage } from '../language/language.tsx';
import { useLive, useLiveMessages, useNow } from '../live/live.tsx';
import { useTitle } from '../parts/title.ts';
import { Failure } from '../parts/failure.tsx';
import { StatusMark } from '../parts/status-mark.tsx';
import { statusOf } from '../status.ts';
import { OpenDoor } from './open-door.tsx';
import { StationEvents } from './station-events.tsx';
import { StationValues } from './station-values.tsx';

const route = getRouteApi('/stations/$code');
const REFRESH_MS = 15_000;

function Door({ station }: { station: StationDetail }) {
  const { text, number } = useLanguage();
  return (
    <Paper withBorder p="md" component="section" aria-label={text.door}>
      <Title order={2} size="h4">
        {text.door}
      </Title>
      <dl className="facts">
        <dt>{text.inside_now}</dt>
        <dd data-portal={station.portal}>
          {station.portal ? text.portal[station.portal] : text.status.unknown}
        </dd>
        {station.mode && station.mode !== 'normal' && <dd>{text.mode[station.mode]}</dd>}
        {station.room && (
          <>
            <dt>{text.room_label}</dt>
            <dd data-room={station.room}>{text.room[station.room]}</dd>
          </>
        )}
        <dt>{text.today}</dt>
        <dd>
          {text.openings(number(station.today.openings))} ·{' '}
          {text.denials(number(station.today.denials))}
        </dd>
      </dl>
      <OpenDoor station={station} />
    </Paper>
  );
}

function Equipment({ station }: { station: StationDetail }) {
  const { text } = useLanguage();
  const devices = (['controller', 'environment', 'reader'] as const).filter(
    (device) => station.devices[device] !== undefined,
  );
  return (
    <Paper withBorder p="md" component="section" aria-label={text.equipment}>
      <Title order={2} size="h4">
        {text.equipment}
      </Title>
      <dl className="facts">
        {devices.map((device) => (
          <div key={device} className="fact">
            <dt>{text.devices[device]}</dt>
            <dd data-device={station.devices[device]}>
              {station.devices[device] ? text.device_online : text.device_offline}
            </dd>
          </div>
        ))}
        {station.clock && (
          <div className="fact">
            <dt>{text.clock_label}</dt>
            <dd>{text.clock[station.clock]}</dd>
          </div>
        )}
        <dt>{text.address}</dt>
        <dd>{station.address}</dd>
        <dt>{text.code}</dt>
        <dd className="code">{station.code}</dd>
      </dl>
    </Paper>
  );
}

/** As high as what comes, so that nothing jumps. */
function StationSkeleton() {
  const { text } = useLanguage();
  return (
    <div aria-busy="true" aria-label={text.loading} role="status">
      <Skeleton height={64} mb={16} />
      <div className="station-columns">
        <Skeleton height={420} />
        <Skeleton height={480} />
        <Skeleton height={480} />
      </div>
    </div>
  );
}

export function Station() {
  const { text, time, age } = useLanguage();
  const { code } = route.useParams();
  const now = useNow();
  const { line, states } = useLive();
  const queries = useQueryClient();
  const station = useQuery({
    queryKey: ['station', code],
    queryFn: ({ signal }) => api.station(code, signal),
    refetchInterval: REFRESH_MS,
    placeholderData: keepPreviousData,
  });
  const hear = useCallback(
    (message: LiveMessage) => {
      const mine =
        (message.type === 'event' && message.event.station === code) ||
        (message.type === 'command' && message.command.station === code);
      if (mine || message.type === 'hello' || message.type === 'resync')
        void queries.invalidateQueries({ queryKey: ['station', code] });
    },
    [code, queries],
  );
  useLiveMessages(hear);
  useTitle(station.data?.name);
  // 400: what stands in the address cannot be a code at all.
  const status = station.error instanceof ApiError ? station.error.status : 0;
  if (status === 404 || status === 400) {
    return (
      <main className="page">
        <Title order={1} size="h2">
          {text.not_found}
        </Title>
        <Text>
          {text.not_found_next} <span className="code">{code}</span>
        </Text>
        <Link to="/">{text.back}</Link>
      </main>
    );
  }
  if (!station.data)
    return (
      <main className="page">
        {station.isError ? (
          <Failure error={station.error} retry={() => void station.refetch()} />
        ) : (
          <StationSkeleton />
        )}
      </main>
    );
  const detail = station.data;
  // The live status: an event is told at once, the status that follows from it up to a second later.
  const live_digit = states[detail.index];
  const live_status = live_digit === undefined ? detail.status : statusOf(live_digit);
  const stale = station.isError || !(line === 'live' || line === 'connecting');
  return (
    <main className="page" data-stale={stale}>
      <nav>
        <Link to="/">← {text.back}</Link>
      </nav>
      {stale && <Alert color="orange">{text.old_data(time(station.dataUpdatedAt))}</Alert>}
      <header className="station-head">
        <div>
          <Title order={1} size="h2">
            {detail.name}
          </Title>
          <Text className="quiet">
            {text.kind[detail.kind]} · {detail.city_name}
            {detail.county_name}
          </Text>
        </div>
        <div className="station-status" data-status={live_status}>
          <StatusMark status={live_status} />
          <Text size="sm" className="quiet">
            {detail.online_since !== null &&
              (detail.online
                ? text.online_since(time(detail.online_since))
                : text.offline_since(time(detail.online_since)))}
            {detail.online_since !== null && ' · '}
            {detail.last_record_at === null
              ? text.never_heard
              : text.last_record(age(detail.last_record_at, now))}
          </Text>
        </div>
      </header>
      <div className="station-columns">
        <div className="station-side">
          <Door station={detail} />
          <Equipment station={detail} />
        </div>
        <Paper withBorder p="md" component="section" aria-label={text.measurements}>
          <Title order={2} size="h4">
            {text.measurements}{' '}
            <small className="quiet">
              {text.last_day} · {text.gap_note}
            </small>
          </Title>
          <StationValues station={detail} now={now} />
        </Paper>
        <Paper withBorder p="md" component="section" aria-label={text.events}>
          <Title order={2} size="h4">
            {text.events}
          </Title>
          <StationEvents code={code} />
        </Paper>
      </div>
    </main>
  );
}
