/** The province at a glance: counts that are filters and legend at once, the map, the list. The address holds the filters. */
import { Button, Group, SegmentedControl, Select, Skeleton, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import type { StationStatus } from '@waystation/protocol/api';
import { api } from '../api.ts';
import { filterStations } from '../directory.ts';
import { useLanguage } from '../language/language.tsx';
import { useLive } from '../live/live.tsx';
import { ProvinceMap } from '../map/province-map.tsx';
import { Failure } from '../parts/failure.tsx';
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
  counts: readonly number[];
  chosen: StationStatus | '';
  choose(status: StationStatus | ''): void;
}) {
  const { text, number } = useLanguage();
  const total = counts.reduce((sum, count) => sum + count, 0);
  return (
    <div className="counts" role="group" aria-label={text.total}>
      <button
        type="button"
        className="count"
        aria-pressed={chosen === ''}
        onClick={() => choose('')}
      >
        <b>{number(total)}</b>
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
          <b>{number(counts[STATUSES.indexOf(status)] ?? 0)}</b>
          <span>
            <StatusIcon status={status} size={13} /> {text.status[status]}
          </span>
        </button>
      ))}
    </div>
  );
}

export function Overview() {
  const { text, number } = useLanguage();
  const search = route.useSearch();
  const navigate = useNavigate({ from: '/' });
  const { states, counts, revision, line } = useLive();
  const index = useQuery({
    queryKey: ['index'],
    queryFn: ({ signal }) => api.stationIndex(signal),
    staleTime: Infinity,
  });
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
  const rows = useMemo(
    () => (index.data ? filterStations(index.data, states, filter) : []),
    // `states` is changed in place: its revision says when.
    [index.data, states, revision, filter.search, filter.place, filter.kind, filter.status],
  );
  if (index.isError) return <Failure error={index.error} retry={() => void index.refetch()} />;
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
        {index.data ? (
          <ProvinceMap
            index={index.data}
            states={states}
            revision={revision}
            shown={filter.status}
            place={filter.place}
            selected={highlight}
            onSelect={(at) =>
              void navigate({ to: '/stations/$code', params: { code: index.data.code[at] ?? '' } })
            }
          />
        ) : (
          <Skeleton height="100%" />
        )}
      </section>
      <section className="overview-list" aria-label={text.stations}>
        <div className="filters">
          <TextInput
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
            <span aria-live="polite">{text.stations_found(number(rows.length))}</span>
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
        {index.data ? (
          <StationList index={index.data} states={states} rows={rows} onHighlight={setHighlight} />
        ) : (
          <Skeleton height={400} />
        )}
      </section>
    </main>
  );
}
