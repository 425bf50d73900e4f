/** A station's status as shape, colour and word. */
import { useComputedColorScheme } from '@mantine/core';
import type { StationStatus } from '@waystation/protocol/api';
import { useLanguage } from '../language/language.tsx';
import { STATUS_LOOKS } from '../status.ts';

function shape(status: StationStatus, colour: string) {
  switch (STATUS_LOOKS[status].shape) {
    case 'square':
      return <rect x="2" y="2" width="12" height="12" fill={colour} />;
    case 'triangle':
      return <path d="M8 2 14.5 14h-13z" fill={colour} />;
    case 'half':
      return (
        <>
          <circle cx="8" cy="8" r="6" fill="none" stroke={colour} strokeWidth="2" />
          <path d="M8 2a6 6 0 0 1 0 12z" fill={colour} />
        </>
      );
    case 'ring':
      return <circle cx="8" cy="8" r="5.5" fill="none" stroke={colour} strokeWidth="2.5" />;
    case 'dot':
      return <circle cx="8" cy="8" r="3.5" fill={colour} />;
    case 'circle':
      return <circle cx="8" cy="8" r="6" fill={colour} />;
  }
}

export function StatusIcon({ status, size = 16 }: { status: StationStatus; size?: number }) {
  const scheme = useComputedColorScheme('light');
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" aria-hidden style={{ flex: 'none' }}>
      {shape(status, STATUS_LOOKS[status][scheme])}
    </svg>
  );
}

export function StatusMark({ status }: { status: StationStatus }) {
  const { text } = useLanguage();
  return (
    <span className="status-mark">
      <StatusIcon status={status} />
      {text.status[status]}
    </span>
  );
}
