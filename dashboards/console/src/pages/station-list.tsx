/** The stations a filter leaves, worst first; ten thousand rows, a screenful in the page. */
import { Text } from '@mantine/core';
import { useVirtualizer } from '@tanstack/react-virtual';
import { Link } from '@tanstack/react-router';
import { useRef } from 'react';
import type { StationIndex } from '@waystation/protocol/api';
import { useLanguage } from '../language/language.tsx';
import { districtName } from '../map/districts.ts';
import { StatusMark } from '../parts/status-mark.tsx';
import { statusOf } from '../status.ts';

/** Two lines of a long name and one below. */
const ROW_PX = 66;

export function StationList({
  index,
  states,
  rows,
  onHighlight,
}: {
  index: StationIndex;
  states: Uint8Array;
  rows: readonly number[];
  onHighlight(at: number): void;
}) {
  const { text } = useLanguage();
  const scroll = useRef<HTMLDivElement>(null);
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_PX,
    overscan: 6,
  });
  if (rows.length === 0) {
    return (
      <div className="list-empty">
        <Text fw={600}>{text.nothing_found}</Text>
        <Text size="sm" className="quiet">
          {text.nothing_found_next}
        </Text>
      </div>
    );
  }
  return (
    <div className="list" ref={scroll} role="list" aria-label={text.stations} tabIndex={-1}>
      <div style={{ height: list.getTotalSize(), position: 'relative' }}>
        {list.getVirtualItems().map((item) => {
          const at = rows[item.index] ?? 0;
          return (
            <div
              key={item.key}
              role="listitem"
              className="row-slot"
              style={{ height: ROW_PX, transform: `translateY(${item.start}px)` }}
            >
              <Link
                to="/stations/$code"
                params={{ code: index.code[at] ?? '' }}
                className="row"
                onFocus={() => onHighlight(at)}
                onMouseEnter={() => onHighlight(at)}
              >
                <span className="row-name">
                  <span>{index.name[at]}</span>
                  <small>
                    {districtName(index.county[at] ?? '')} · {index.code[at]}
                  </small>
                </span>
                <StatusMark status={statusOf(states[at] ?? 0)} />
              </Link>
            </div>
          );
        })}
      </div>
    </div>
  );
}
