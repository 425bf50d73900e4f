/** The cloud's side of the gateway link in memory: a cursor for each stream, faults on demand. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import {
  decodeFrames,
  PresenceReport,
  UPLINK_CONTENT_TYPE,
  type Delivery,
  type Frame,
  type UplinkAnswer,
} from '@waystation/protocol/gateway-link';
import { UplinkMessage, type Ack } from '@waystation/protocol/uplink';
import { parseTopic } from '@waystation/protocol/topics';

export const GATEWAY_TOKEN = 'a-gateway-token-for-tests';

interface Cursor {
  epoch: string;
  through: number;
}

export interface StubCloud {
  readonly url: string;
  /** `station/stream` → what is committed. */
  readonly cursors: Map<string, Cursor>;
  /** Every record ever committed, in order of commit: `station/stream/seq`. */
  readonly committed: string[];
  readonly presence: PresenceReport['changes'];
  readonly batches: number[];
  gaps: number;
  /** Answers uplink with this status instead of committing. */
  fail_with: number | null;
  /** Holds every uplink answer (after commit) until released. */
  hold: Promise<void> | null;
  send(delivery: Delivery): void;
  sendRaw(text: string): void;
  readonly command_streams: number;
  /** Resolves when `look` is true; looked at after every request. */
  until(look: () => boolean): Promise<void>;
  /** Stops listening and cuts every connection; `start` listens again on the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** `null` for a poison payload: no message, so no acknowledgement, and its neighbours are committed. */
function readMessage(frame: Frame): UplinkMessage | null {
  try {
    return UplinkMessage.parse(JSON.parse(Buffer.from(frame.payload).toString()));
  } catch {
    return null;
  }
}

function commit(
  cursors: Map<string, Cursor>,
  committed: string[],
  frame: Frame,
): [string, Ack] | null {
  const topic = parseTopic(frame.topic);
  if (topic?.name !== 'uplink') return null;
  const message = readMessage(frame);
  if (message === null) return null;
  const key = `${topic.station}/${topic.stream}`;
  const known = cursors.get(key);
  const cursor = known?.epoch === message.epoch ? known : { epoch: message.epoch, through: 0 };
  cursors.set(key, cursor);
  const last = message.first + message.records.length - 1;
  const gap = message.first > cursor.through + 1;
  if (!gap) {
    for (let seq = cursor.through + 1; seq <= last; seq += 1) committed.push(`${key}/${seq}`);
    cursor.through = Math.max(cursor.through, last);
  }
  const ack: Ack = { stream: topic.stream, epoch: cursor.epoch, through: cursor.through };
  return [topic.station, gap ? { ...ack, problem: 'gap' } : ack];
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function startStubCloud(): Promise<StubCloud> {
  const streams = new Set<ServerResponse>();
  const looks = new Set<() => void>();
  const seen = () => {
    for (const look of looks) look();
  };

  async function answerUplink(request: IncomingMessage, response: ServerResponse) {
    const frames = decodeFrames(await bodyOf(request));
    if (cloud.fail_with !== null || frames === null) {
      response.writeHead(cloud.fail_with ?? 400).end();
      return;
    }
    cloud.batches.push(frames.length);
    const acks = new Map<string, UplinkAnswer['acks'][number]>();
    for (const frame of frames) {
      const result = commit(cloud.cursors, cloud.committed, frame);
      if (result === null) continue;
      const [station, ack] = result;
      if (ack.problem === 'gap') cloud.gaps += 1;
      acks.set(`${station}/${ack.stream}`, { station: station as never, ack });
    }
    seen();
    await cloud.hold;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ acks: [...acks.values()] }));
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?')[0];
    if (request.headers.authorization !== `Bearer ${GATEWAY_TOKEN}`) {
      response.writeHead(401).end();
    } else if (
      path === '/gateway/v1/uplink' &&
      request.headers['content-type'] === UPLINK_CONTENT_TYPE
    ) {
      await answerUplink(request, response);
    } else if (path === '/gateway/v1/presence') {
      const report = PresenceReport.parse(JSON.parse((await bodyOf(request)).toString()));
      cloud.presence.push(...report.changes);
      response.writeHead(204).end();
    } else if (path === '/gateway/v1/commands') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(': open\n\n');
      streams.add(response);
      response.once('close', () => streams.delete(response));
    } else {
      response.writeHead(404).end();
    }
    seen();
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  let port = 0;
  const cloud: StubCloud = {
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    cursors: new Map(),
    committed: [],
    presence: [],
    batches: [],
    gaps: 0,
    fail_with: null,
    hold: null,
    send: (delivery) => cloud.sendRaw(`data: ${JSON.stringify(delivery)}\n\n`),
    sendRaw(text) {
      for (const stream of streams) stream.write(text);
    },
    get command_streams() {
      return streams.size;
    },
    until(condition) {
      return new Promise((resolve) => {
        const look = () => {
          if (!condition()) return;
          looks.delete(look);
          resolve();
        };
        looks.add(look);
        look();
      });
    },
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
    async start() {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      port = (server.address() as AddressInfo).port;
    },
  };
  await cloud.start();
  return cloud;
}
