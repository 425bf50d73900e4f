/** One station: what it is now, its door, what its sensors say, what happened. */
import { Alert, Paper, Skeleton, Text, Title } from '@mantine/core';
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useCallback, useEffect, useState } from 'react';
import type { LiveMessage, StationDetail } from '@waystation/protocol/api';
import { api, ApiError } from '../api.ts';
import { useLanguage } from '../language/language.tsx';
import { useLive, useLiveMessages } from '../live/live.tsx';
import { Failure } from '../parts/failure.tsx';
import { StatusMark } from '../parts/status-mark.tsx';
import { OpenDoor } from './open-door.tsx';
import { StationEvents } from './station-events.tsx';
import { StationValues } from './station-values.tsx';

const route = getRouteApi('/stations/$code');
const REFRESH_MS = 15_000;

/** The wall clock by the half minute: ages are coarse. */
function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 30_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

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
            <dt>{text.kind.M}</dt>
            <dd>{text.room[station.room]}</dd>
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
        {station.clock && <dd>{text.clock[station.clock]}</dd>}
        <dt>{text.address}</dt>
        <dd>{station.address}</dd>
        <dt>{text.code}</dt>
        <dd className="code">{station.code}</dd>
      </dl>
    </Paper>
  );
}

export function Station() {
  const { text, time, age } = useLanguage();
  const { code } = route.useParams();
  const now = useNow();
  const { line } = useLive();
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
      if (mine || message.type === 'resync')
        void queries.invalidateQueries({ queryKey: ['station', code] });
    },
    [code, queries],
  );
  useLiveMessages(hear);
  if (station.isError && station.error instanceof ApiError && station.error.status === 404) {
    return (
      <main className="page">
        <Title order={1}>{text.not_found}</Title>
        <Text>{text.not_found_next}</Text>
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
          <Skeleton height={500} />
        )}
      </main>
    );
  const detail = station.data;
  const stale = station.isError || line === 'stale' || line === 'offline';
  return (
    <main className="page" data-stale={stale}>
      <nav>
        <Link to="/">← {text.back}</Link>
      </nav>
      {stale && <Alert color="orange">{text.old_data(time(station.dataUpdatedAt))}</Alert>}
      <header className="station-head">
        <div>
          <Title order={1}>{detail.name}</Title>
          <Text c="dimmed">{text.kind[detail.kind]}</Text>
        </div>
        <div className="station-status" data-status={detail.status}>
          <StatusMark status={detail.status} />
          <Text size="sm" c="dimmed">
            {detail.online_since !== null &&
              (detail.online
                ? text.online_since(time(detail.online_since))
                : text.offline_since(time(detail.online_since)))}
            {' · '}
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
            {text.measurements} <small>{text.last_day}</small>
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
