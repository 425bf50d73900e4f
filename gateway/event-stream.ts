/** Server-sent events as the cloud writes them: `data:` lines, comments as heartbeat (WHATWG HTML, 9.2.6), bounded. */
import { StringDecoder } from 'node:string_decoder';

export interface EventStreamParser {
  /** False when an event grew beyond the limit: the stream must be closed. */
  feed(chunk: Buffer): boolean;
}

/** Calls `onData` with the data of each complete event; fields other than `data` are read over. */
export function createEventStreamParser(
  event_characters_max: number,
  onData: (data: string) => void,
): EventStreamParser {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let data: string[] = [];
  let characters = 0;

  function line(text: string): void {
    if (text === '') {
      if (data.length > 0) onData(data.join('\n'));
      data = [];
      characters = 0;
    } else if (text.startsWith('data:')) {
      const value = text.slice(text.startsWith('data: ') ? 6 : 5);
      data.push(value);
      characters += value.length + 1;
    }
  }

  return {
    feed(chunk) {
      const lines = (rest + decoder.write(chunk)).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? '';
      for (const text of lines) {
        line(text);
        if (characters > event_characters_max) return false;
      }
      return rest.length + characters <= event_characters_max;
    },
  };
}
