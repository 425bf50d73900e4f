/** A reader of server-sent events over a real socket, written from the standard (WHATWG HTML, 9.2.6), not from our code. */
import http from 'node:http';

export interface ServerEvent {
  id: string | null;
  data: unknown;
}

export interface EventReader {
  readonly status: number;
  readonly events: ServerEvent[];
  readonly comments: string[];
  /** Resolves when an event satisfies the test; those read before count as well. */
  until(test: (event: ServerEvent) => boolean): Promise<ServerEvent>;
  /** Resolves when the server has ended the stream. */
  readonly ended: Promise<void>;
  /** Cuts the socket. */
  cut(): void;
}

export function readEvents(url: string, headers: Record<string, string>): Promise<EventReader> {
  const events: ServerEvent[] = [];
  const comments: string[] = [];
  const waiting = new Set<() => void>();
  let buffered = '';
  const feed = (text: string) => {
    const blocks = (buffered + text).split('\n\n');
    buffered = blocks.pop() ?? '';
    for (const block of blocks) {
      const lines = block.split('\n');
      comments.push(...lines.filter((line) => line.startsWith(':')));
      const field = (name: string) =>
        lines
          .filter((line) => line.startsWith(`${name}: `))
          .map((line) => line.slice(name.length + 2));
      const data = field('data');
      if (data.length > 0)
        events.push({ id: field('id')[0] ?? null, data: JSON.parse(data.join('\n')) as unknown });
    }
    for (const look of waiting) look();
  };
  return new Promise((resolve, reject) => {
    const request = http.get(url, {
      headers: { accept: 'text/event-stream', ...headers },
      agent: false,
    });
    request.once('error', reject);
    request.once('response', (response) => {
      const ended = Promise.withResolvers<void>();
      response.setEncoding('utf8');
      response.on('data', feed);
      response.on('error', () => ended.resolve());
      response.on('close', () => ended.resolve());
      resolve({
        status: response.statusCode ?? 0,
        events,
        comments,
        ended: ended.promise,
        until(test) {
          return new Promise((found) => {
            const look = () => {
              const event = events.find(test);
              if (event === undefined) return;
              waiting.delete(look);
              found(event);
            };
            waiting.add(look);
            look();
          });
        },
        cut: () => request.destroy(),
      });
    });
  });
}
