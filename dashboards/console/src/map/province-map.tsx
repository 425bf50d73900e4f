/** The canvas map as a component: sizes it, colours it by scheme, moves it by keyboard. The list beside it is its readable twin. */
import { ActionIcon, useComputedColorScheme } from '@mantine/core';
import { IconHome, IconMinus, IconPlus } from '@tabler/icons-react';
import { useEffect, useRef, useState, type KeyboardEvent } from 'react';
import type { StationIndex } from '@waystation/protocol/api';
import { useLanguage } from '../language/language.tsx';
import { STATUSES } from '../status.ts';
import { BORDERS } from './districts.ts';
import { StationMap, type MapColours } from './station-map.ts';

const COLOURS: Readonly<Record<'light' | 'dark', MapColours>> = {
  light: {
    scheme: 'light',
    background: '#eef2f5',
    land: '#ffffff',
    aside: '#f4f6f8',
    dust: '#a6aeb6',
    border: '#dee2e6',
    city_border: '#868e96',
    label: '#343a40',
    halo: '#ffffff',
  },
  dark: {
    scheme: 'dark',
    background: '#141517',
    land: '#25262b',
    aside: '#1a1b1e',
    dust: '#6b6f76',
    border: '#373a40',
    city_border: '#5c5f66',
    label: '#e9ecef',
    halo: '#1a1b1e',
  },
};
const STEP_PX = 60;

function maskOf(rows: readonly number[], count: number): Uint8Array {
  const mask = new Uint8Array(count);
  for (const at of rows) mask[at] = 1;
  return mask;
}

export interface ProvinceMapProps {
  index: StationIndex;
  states: Uint8Array;
  /** Changes when `states` was changed in place. */
  revision: number;
  /** Places of the stations to draw. */
  rows: readonly number[];
  place: string;
  selected: number;
  onSelect(index: number): void;
}

declare global {
  interface Window {
    /** For the browser test and the benchmark: where stations are drawn and how long it took. */
    waystationMap?: StationMap;
  }
}

export function ProvinceMap({
  index,
  states,
  revision,
  rows,
  place,
  selected,
  onSelect,
}: ProvinceMapProps) {
  const { text } = useLanguage();
  const scheme = useComputedColorScheme('light');
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [map, setMap] = useState<StationMap | null>(null);
  const [hovered, setHovered] = useState(-1);
  const select = useRef(onSelect);
  select.current = onSelect;

  useEffect(() => {
    if (!canvas.current || !box.current) return;
    const made = new StationMap(canvas.current, BORDERS, {
      select: (at) => {
        if (at >= 0) select.current(at);
      },
      hover: setHovered,
    });
    const sizes = new ResizeObserver(([entry]) => {
      if (entry) made.resize(entry.contentRect.width, entry.contentRect.height);
    });
    sizes.observe(box.current);
    window.waystationMap = made;
    setMap(made);
    return () => {
      sizes.disconnect();
      made.dispose();
    };
  }, []);
  useEffect(() => map?.setStations(index), [map, index]);
  useEffect(
    () => map?.setStates(states, maskOf(rows, index.code.length)),
    [map, states, revision, rows, index],
  );
  useEffect(() => map?.setColours(COLOURS[scheme]), [map, scheme]);
  useEffect(() => map?.show(place), [map, place]);
  useEffect(() => map?.select(selected), [map, selected]);

  const keys: Readonly<Record<string, () => void>> = {
    ArrowLeft: () => map?.panBy(STEP_PX, 0),
    ArrowRight: () => map?.panBy(-STEP_PX, 0),
    ArrowUp: () => map?.panBy(0, STEP_PX),
    ArrowDown: () => map?.panBy(0, -STEP_PX),
    '+': () => map?.zoomBy(1.5),
    '=': () => map?.zoomBy(1.5),
    '-': () => map?.zoomBy(1 / 1.5),
    Escape: () => map?.show(''),
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  const hovered_status = STATUSES[states[hovered] ?? 0] ?? 'unknown';

  return (
    <div className="map" ref={box}>
      <canvas
        ref={canvas}
        tabIndex={0}
        role="img"
        aria-label={`${text.map}. ${text.map_keys}`}
        onKeyDown={onKeyDown}
      />
      {hovered >= 0 && (
        <div className="map-hover" aria-hidden>
          {index.name[hovered]} · {text.status[hovered_status]}
        </div>
      )}
      <div className="map-buttons">
        <ActionIcon
          variant="default"
          size="lg"
          aria-label={text.zoom_in}
          onClick={() => map?.zoomBy(1.6)}
        >
          <IconPlus size={18} />
        </ActionIcon>
        <ActionIcon
          variant="default"
          size="lg"
          aria-label={text.zoom_out}
          onClick={() => map?.zoomBy(1 / 1.6)}
        >
          <IconMinus size={18} />
        </ActionIcon>
        <ActionIcon
          variant="default"
          size="lg"
          aria-label={text.whole_province}
          onClick={() => map?.show('')}
        >
          <IconHome size={18} />
        </ActionIcon>
      </div>
      <div className="map-note">{text.map_note}</div>
    </div>
  );
}
