/** One durable table for all stations, each seeing only its own rows: ten thousand tables would be looked through at every commit. */
import type { DurableTable } from '@waystation/edge/outbox/durable-table';
import type { StationCode } from '@waystation/protocol/station-code';

/** The row limit of `table` is the sum of what its stations may keep. */
export function shareTable(table: DurableTable): (station: StationCode) => DurableTable {
  const keys_of = new Map<string, Set<string>>();
  const keysOf = (station: string): Set<string> => {
    const known = keys_of.get(station);
    if (known) return known;
    const fresh = new Set<string>();
    keys_of.set(station, fresh);
    return fresh;
  };
  for (const [row] of table.entries()) {
    const space = row.indexOf(' ');
    keysOf(row.slice(0, space)).add(row.slice(space + 1));
  }
  return (station) => {
    const row = (key: string) => `${station} ${key}`;
    return {
      get: (key) => table.get(row(key)),
      put(key, value, expires_at) {
        const keys = keysOf(station);
        keys.delete(key); // to the end: the order of age
        keys.add(key);
        table.put(row(key), value, expires_at);
      },
      delete(key) {
        keys_of.get(station)?.delete(key);
        table.delete(row(key));
      },
      entries() {
        const living: [string, string][] = [];
        for (const key of keys_of.get(station) ?? []) {
          const value = table.get(row(key));
          if (value === null) keys_of.get(station)?.delete(key);
          else living.push([key, value]);
        }
        return living;
      },
      prune: (now) => table.prune(now),
    };
  };
}
