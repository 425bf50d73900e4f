/** The province at a glance: counts that are filters and legend at once, the map, the list. The address holds the filters. */
import { Button, Group, SegmentedControl, Select, Skeleton, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useEffect, useMemo, useRef, useState } from 'react';
import type { StationStatus } from '@waystation/protocol/api';
import { api } from '../api.ts';
import { countStations, filterStations } from '../directory.ts';
import { useLanguage } from '../language/language.tsx';
import { useLive } from '../live/live.tsx';
import { useStationIndex } from '../live/station-index.ts';
import { ProvinceMap } from '../map/province-map.tsx';
import { Failure } from '../parts/failure.tsx';
import { isWriting } from '../parts/key-help.tsx';
import { useTitle } from '../parts/title.ts';
import { StatusIcon } from '../parts/status-mark.tsx';
import { STATUSES } from '../status.ts';
import { StationList } from './station-list.tsx';

export interface OverviewSearch {
  search?: string;
  place?: string;
  kind?: 'W' | 'M';
  status?: StationStatus;
}

const route = getRouteApi('/');
const WORST_FIRST = [...STATUSES].reverse();

function Counts({
  counts,
  chosen,
  choose,
}: {
  /** `null`: not known yet. */
  counts: readonly number[] | null;
  chosen: StationStatus | '';
  choose(status: StationStatus | ''): void;
}) {
  const { text, number } = useLanguage();
  const total = counts?.reduce((sum, count) => sum + count, 0);
  const say = (count: number | undefined) => (counts === null ? '–' : number(count ?? 0));
  return (
    <div className="counts" role="group" aria-label={text.total}>
      <button
        type="button"
        className="count"
        aria-pressed={chosen === ''}
        onClick={() => choose('')}
      >
        <b>{say(total)}</b>
        <span>{text.all}</span>
      </button>
      {WORST_FIRST.map((status) => (
        <button
          type="button"
          className="count"
          key={status}
          data-status={status}
          aria-pressed={chosen === status}
          onClick={() => choose(chosen === status ? '' : status)}
        >
          <b>{say(counts?.[STATUSES.indexOf(status)])}</b>
          <span>
            <StatusIcon status={status} size={13} /> {text.status[status]}
          </span>
        </button>
      ))}
    </div>
  );
}

/** `/` goes to the search box, as everywhere. */
function useSearchKey() {
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== '/' || isWriting(event)) return;
      event.preventDefault();
      box.current?.focus();
    };
    document.addEventListener('keydown', pressed);
    return () => document.removeEventListener('keydown', pressed);
  }, []);
  return box;
}

function ListSkeleton() {
  return (
    <div className="list-skeleton" aria-hidden>
      {Array.from({ length: 8 }, (_, i) => (
        <Skeleton key={i} height={40} />
      ))}
    </div>
  );
}

export function Overview() {
  const { text, number } = useLanguage();
  const search = route.useSearch();
  const navigate = useNavigate({ from: '/' });
  const { states, revision, line } = useLive();
  const { index, fits } = useStationIndex();
  const search_box = useSearchKey();
  useTitle(undefined);
  const session = useQuery({ queryKey: ['session'], queryFn: api.session, staleTime: Infinity });
  const own = session.data?.organisation;
  const cities = useQuery({
    queryKey: ['organisations', own],
    queryFn: ({ signal }) => api.organisations(own ?? 0, signal),
    enabled: own !== undefined,
    staleTime: Infinity,
  });
  const [highlight, setHighlight] = useState(-1);
  const filter = {
    search: search.search ?? '',
    place: search.place ?? '',
    kind: search.kind ?? '',
    status: search.status ?? '',
  } as const;
  const set = (change: OverviewSearch) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  const stations = fits ? index.data : undefined;
  const [rows, counts] = useMemo(
    () =>
      stations
        ? [filterStations(stations, states, filter), countStations(stations, states, filter)]
        : [[], null],
    // `states` is changed in place: its revision says when.
    [stations, states, revision, filter.search, filter.place, filter.kind, filter.status],
  );
  if (index.isError && !index.data)
    return (
      <main className="page">
        <Failure error={index.error} retry={() => void index.refetch()} />
      </main>
    );
  const places = (cities.data ?? []).map((city) => ({ value: city.adcode, label: city.name }));
  const filtered =
    filter.search !== '' || filter.place !== '' || filter.kind !== '' || filter.status !== '';

  return (
    <main className="overview" data-stale={line !== 'live' && line !== 'connecting'}>
      <h1 className="for-readers">{text.product_long}</h1>
      <Counts
        counts={counts}
        chosen={filter.status}
        choose={(status) => set({ status: status === '' ? undefined : status } as OverviewSearch)}
      />
      <section className="overview-map">
        {stations ? (
          <ProvinceMap
            index={stations}
            states={states}
            revision={revision}
            rows={rows}
            place={filter.place}
            selected={highlight}
            onSelect={(at) =>
              void navigate({ to: '/stations/$code', params: { code: stations.code[at] ?? '' } })
            }
          />
        ) : (
          <Skeleton height="100%" aria-label={text.loading} />
        )}
      </section>
      <section className="overview-list" aria-label={text.stations}>
        <div className="filters">
          <TextInput
            ref={search_box}
            aria-label={text.search}
            placeholder={text.search}
            leftSection={<IconSearch size={16} />}
            value={filter.search}
            onChange={(event) =>
              set({ search: event.currentTarget.value || undefined } as OverviewSearch)
            }
          />
          <div className="filter-pair">
            <Select
              aria-label={text.choose_city}
              placeholder={text.all_cities}
              data={places}
              value={filter.place || null}
              clearable
              onChange={(value) => set({ place: value ?? undefined } as OverviewSearch)}
            />
            <SegmentedControl
              value={filter.kind}
              onChange={(value) =>
                set({ kind: value === '' ? undefined : value } as OverviewSearch)
              }
              data={[
                { value: '', label: text.all },
                { value: 'W', label: text.kind_short.W },
                { value: 'M', label: text.kind_short.M },
              ]}
            />
          </div>
          <Group justify="space-between" mih={30}>
            <span aria-live="polite">
              {stations ? text.stations_found(number(rows.length)) : text.loading}
            </span>
            {filtered && (
              <Button
                size="compact-sm"
                variant="subtle"
                onClick={() => void navigate({ search: {}, replace: true })}
              >
                {text.clear_filters}
              </Button>
            )}
          </Group>
        </div>
        {stations ? (
          <StationList index={stations} states={states} rows={rows} onHighlight={setHighlight} />
        ) : (
          <ListSkeleton />
        )}
      </section>
    </main>
  );
}
