/** Bytes that a process sends and receives on its connections, whatever library opened them. Without TCP and IP headers. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Socket } from 'node:net';

export interface Traffic {
  bytes(): { bytes_sent: number; bytes_received: number };
  stop(): void;
}

const CHANNEL = 'net.client.socket';

/** Counts every connection that this process opens from now on. */
export function watchTraffic(): Traffic {
  const open = new Set<Socket>();
  const ended = { bytes_sent: 0, bytes_received: 0 };
  const opened = (message: unknown) => {
    if (typeof message !== 'object' || message === null || !('socket' in message)) return;
    const { socket } = message;
    if (!(socket instanceof Socket)) return;
    open.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      ended.bytes_sent += socket.bytesWritten;
      ended.bytes_received += socket.bytesRead;
    });
  };
  subscribe(CHANNEL, opened);
  return {
    bytes() {
      const sum = { ...ended };
      for (const { bytesWritten, bytesRead } of open) {
        sum.bytes_sent += bytesWritten;
        sum.bytes_received += bytesRead;
      }
      return sum;
    },
    stop: () => void unsubscribe(CHANNEL, opened),
  };
}
