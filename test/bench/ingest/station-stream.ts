/** One stream of one simulated station under load: builds messages ahead, keeps a window in flight, counts what was acknowledged. */
import { chainNext, chainStart } from '@waystation/runtime/hash-chain';
import type { Ack } from '@waystation/protocol/uplink';
import type { Stream } from '@waystation/protocol/topics';

export interface StreamLoad {
  readonly stream: Stream;
  /** Sequence number of the last record made, sent at least once, and acknowledged. */
  made: number;
  sent: number;
  acked: number;
  readonly resends: number;
  /** Builds a message of `records` records and queues it; each a millisecond after the one before. */
  make(records: number): void;
  /** The next message to send, or null when the window is full or nothing is left. */
  next(window: number): Buffer | null;
  acknowledge(ack: Ack): void;
  /** Everything unacknowledged goes again. */
  rewind(): void;
}

const BOOT = 'beefcafe';

/** What visits leave behind: a card, the door's way out and back. `at` in ms. */
export function eventJson(seq: number, at: number): string {
  const stamp = `"at":${at},"mono":${seq * 10},"boot":"${BOOT}","clock":"synced"`;
  switch (seq % 4) {
    case 0:
      return `{"kind":"access",${stamp},"outcome":"granted","method":"card","card":${1000 + (seq % 5000)},"org":370811,"decision_us":2400}`;
    case 1:
      return `{"kind":"door",${stamp},"from":"secured","to":"released","cause":"card"}`;
    case 2:
      return `{"kind":"door",${stamp},"from":"released","to":"open","cause":"contact"}`;
    default:
      return `{"kind":"door",${stamp},"from":"open","to":"secured","cause":"contact"}`;
  }
}

/** An ordinary report. `at` in ms. */
export function sampleJson(seq: number, at: number): string {
  const tenth = seq % 10;
  return (
    `{"kind":"report","at":${at},"mono":${seq * 10},"boot":"${BOOT}","clock":"synced","values":` +
    `{"occupancy_count":${seq % 7},"water_level_percent":${80 + tenth / 10},"cups_count":${300 - tenth},"tissue_percent":55.5,` +
    `"battery_percent":98.${tenth},"temperature_cel":24.${tenth},"humidity_percent":41.${tenth},"co2_ppm":${600 + tenth}}}`
  );
}

/** `epoch`: 12 hex digits, a new one for each run. `began_at`: wall time (ms) before the first record. */
export function streamLoad(
  station: string,
  stream: Stream,
  epoch: string,
  began_at: number,
): StreamLoad {
  const queue: { last: number; payload: Buffer }[] = [];
  let hash = chainStart(station, epoch);
  let cursor = 0;
  const load = { stream, made: 0, sent: 0, acked: 0, resends: 0 };
  return Object.assign(load, {
    make(records: number) {
      const first = load.made + 1;
      const previous = stream === 'event' ? `"previous_hash":"${hash}",` : '';
      const parts: string[] = [];
      for (let n = 0; n < records; n += 1) {
        const seq = first + n;
        const json =
          stream === 'event' ? eventJson(seq, began_at + seq) : sampleJson(seq, began_at + seq);
        if (stream === 'event') hash = chainNext(hash, json);
        parts.push(json);
      }
      load.made = first + records - 1;
      queue.push({
        last: load.made,
        payload: Buffer.from(
          `{"epoch":"${epoch}","first":${first},${previous}"records":[${parts.join(',')}]}`,
        ),
      });
    },
    next(window: number) {
      if (cursor >= window) return null;
      const message = queue[cursor];
      if (!message) return null;
      cursor += 1;
      load.sent = Math.max(load.sent, message.last);
      return message.payload;
    },
    acknowledge(ack: Ack) {
      if (ack.epoch !== epoch) return;
      load.acked = Math.max(load.acked, ack.through);
      while (queue[0] && queue[0].last <= load.acked) {
        queue.shift();
        cursor = Math.max(0, cursor - 1);
      }
      if (ack.problem === 'gap') {
        cursor = 0;
        load.resends += 1;
      }
    },
    rewind() {
      if (cursor > 0) load.resends += 1;
      cursor = 0;
    },
  });
}
