/** Live messages to every open page: numbered, kept for a while, cut to what each account may see. */
import type { CommandState, EventLine, LiveMessage } from '@waystation/protocol/api';
import { LIFE_NUMBERS } from '@waystation/protocol/live-number';
import { isInSubtree } from '../accounts/scope.ts';
import type { Directory } from '../stations/directory.ts';
import type { StatusChange } from '../stations/board.ts';

/** What happened, before it is cut: `states` by place in the whole directory, the others with their station's path. */
export type HubMessage =
  | { type: 'states'; changes: readonly StatusChange[] }
  | { type: 'event'; path: string; event: EventLine }
  | { type: 'command'; path: string; command: CommandState }
  /** Something may have been missed: every page shall read again. */
  | { type: 'resync' };

export interface LiveConnection {
  /** The account's subtree. */
  readonly path: string;
  /** Hands a message to the socket; `id` absent: not one to resume from. */
  send(message: { id?: number; data: LiveMessage }): void;
  /** The same, already written as JSON. */
  sendText(id: number, json: string): void;
  /** Bytes that the client has not taken yet. */
  pendingBytes(): number;
  drop(): void;
}

export interface LiveHub {
  /** Number of the newest message. */
  sequence(): number;
  publish(message: HubMessage): void;
  /**
   * Greets, then sends all that came after `after` (`null`: from now on), then everything new.
   * Returns false when there are too many connections.
   */
  join(connection: LiveConnection, after: number | null): boolean;
  leave(connection: LiveConnection): void;
  /** A sign of life to every page. */
  beat(): void;
  close(): void;
  readonly counts: {
    connections: number;
    dropped_slow: number;
    published: number;
    refused: number;
  };
}

export interface HubOptions {
  directory: Directory;
  now: () => number;
  version: string;
  /** See `firstSequence`. */
  first_sequence: number;
  kept_max: number;
  connections_max: number;
  pending_bytes_max: number;
}

/**
 * Each start of each cloud numbers in a range of its own: a Last-Event-ID of another one, or of the time before a
 * restart, is seen to be foreign, and the page reads everything again.
 */
export function firstSequence(life: number): number {
  return life * LIFE_NUMBERS;
}

/** The message as this subtree may see it, or `null`. */
export function cutMessage(
  message: HubMessage,
  path: string,
  directory: Directory,
): LiveMessage | null {
  switch (message.type) {
    case 'states': {
      const { index_of } = directory.view(path);
      const changes = message.changes
        .map(([place, status]): [number, number] => [index_of[place] ?? -1, status])
        .filter(([index]) => index >= 0);
      return changes.length === 0 ? null : { type: 'states', changes };
    }
    case 'event':
      return isInSubtree(message.path, path) ? { type: 'event', event: message.event } : null;
    case 'command':
      return isInSubtree(message.path, path) ? { type: 'command', command: message.command } : null;
    case 'resync':
      return message;
    default:
      return message satisfies never;
  }
}

/** The message as JSON for any subtree, written once for each that asks. */
function cutter(message: HubMessage, directory: Directory): (path: string) => string | null {
  const cuts = new Map<string, string | null>();
  return (path) => {
    const known = cuts.get(path);
    if (known !== undefined) return known;
    const cut = cutMessage(message, path, directory);
    const json = cut === null ? null : JSON.stringify(cut);
    cuts.set(path, json);
    return json;
  };
}

export function createLiveHub(options: HubOptions): LiveHub {
  const { directory, now, version, kept_max, connections_max, pending_bytes_max } = options;
  const connections = new Set<LiveConnection>();
  /** The newest messages, oldest first; the last has number `sequence`. */
  const kept: HubMessage[] = [];
  let sequence = options.first_sequence;
  const counts = { connections: 0, dropped_slow: 0, published: 0, refused: 0 };

  function leave(connection: LiveConnection): void {
    connections.delete(connection);
    counts.connections = connections.size;
  }
  function deliver(connection: LiveConnection, id: number, json: string): void {
    connection.sendText(id, json);
    if (connection.pendingBytes() <= pending_bytes_max) return;
    counts.dropped_slow += 1;
    leave(connection);
    connection.drop();
  }
  function replay(connection: LiveConnection, after: number): void {
    const oldest = sequence - kept.length;
    if (after < oldest || after > sequence) {
      return connection.send({ id: sequence, data: { type: 'resync' } });
    }
    for (const [i, message] of kept.slice(after - oldest).entries()) {
      if (!connections.has(connection)) return;
      const cut = cutMessage(message, connection.path, directory);
      if (cut !== null) deliver(connection, after + i + 1, JSON.stringify(cut));
    }
  }

  return {
    counts,
    sequence: () => sequence,
    publish(message) {
      sequence += 1;
      counts.published += 1;
      kept.push(message);
      if (kept.length > kept_max) kept.shift();
      const cut = cutter(message, directory);
      for (const connection of connections) {
        const json = cut(connection.path);
        if (json !== null) deliver(connection, sequence, json);
      }
    },
    join(connection, after) {
      if (connections.size >= connections_max) {
        counts.refused += 1;
        return false;
      }
      connections.add(connection);
      counts.connections = connections.size;
      const data: LiveMessage = { type: 'hello', sequence, server_at: now(), version };
      // While older messages follow, the greeting is no place to resume from.
      connection.send(after === null ? { id: sequence, data } : { data });
      if (after !== null) replay(connection, after);
      return true;
    },
    leave,
    beat() {
      for (const connection of connections) {
        connection.send({ data: { type: 'beat', server_at: now() } });
      }
    },
    close() {
      for (const connection of connections) connection.drop();
      connections.clear();
      counts.connections = 0;
    },
  };
}
