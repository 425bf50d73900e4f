/** The cloud as the gateway sees it: two kept-alive POSTs and one stream, always dialled from here. */
import http from 'node:http';
import https from 'node:https';
import { readFileSync } from 'node:fs';
import {
  Delivery,
  UPLINK_CONTENT_TYPE,
  UplinkAnswer,
  type PresenceReport,
} from '@waystation/protocol/gateway-link';
import { COMMAND_BYTES_MAX } from '@waystation/protocol/commands';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import { createEventStreamParser } from './event-stream.ts';

export interface CloudOptions {
  clock: Clock;
  url: string;
  token: string;
  gateway: string;
  /** Of gateways on one external broker. */
  group?: string | undefined;
  ca_file?: string | undefined;
  /** Connections kept for posts; one more than posts in flight, for presence. */
  connections_max: number;
  post_timeout_ms: number;
  /** The cloud writes a comment every 15 s: a stream silent for longer is dead. */
  stream_silence_ms?: number;
}

/** Every call rejects with Fault GATEWAY_CLOUD_UNREACHABLE unless the cloud answered as the contract says. */
export interface CloudClient {
  postUplink(body: Uint8Array): Promise<UplinkAnswer>;
  postPresence(report: PresenceReport): Promise<void>;
  /** Resolves when the stream has ended; `opened` is called once it is open. */
  readCommands(listeners: CommandListeners): Promise<void>;
  close(): void;
}

export interface CommandListeners {
  opened: () => void;
  delivery: (delivery: Delivery) => void;
  malformed: () => void;
  signal: AbortSignal;
}

const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** A command in JSON, in its envelope; escapes cannot double base64. */
const EVENT_CHARACTERS_MAX = 2 * COMMAND_BYTES_MAX;

function unreachable(problem: string, cause?: unknown): Fault {
  return new Fault('GATEWAY_CLOUD_UNREACHABLE', { problem }, cause);
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function readBody(response: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw unreachable('the answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function createCloudClient(options: CloudOptions): CloudClient {
  const secure = options.url.startsWith('https:');
  const transport = secure ? https : http;
  const base = options.url.replace(/\/$/, '');
  const authorization = `Bearer ${options.token}`;
  const tls = options.ca_file === undefined ? {} : { ca: readFileSync(options.ca_file) };
  const agent = new transport.Agent({
    keepAlive: true,
    maxSockets: options.connections_max,
    ...tls,
  });
  const stream_agent = new transport.Agent({ keepAlive: false, ...tls });

  function post(
    path: string,
    content_type: string,
    body: Uint8Array,
  ): Promise<http.IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = transport.request(`${base}${path}`, {
        method: 'POST',
        agent,
        headers: { authorization, 'content-type': content_type, 'content-length': body.length },
      });
      const limit = options.clock.after(options.post_timeout_ms, () => {
        request.destroy(unreachable('no answer in time'));
      });
      request.once('close', () => limit.stop());
      request.once('response', resolve);
      request.once('error', (error) => reject(unreachable(describe(error), error)));
      request.end(body);
    });
  }

  /** Posts and reads the whole answer; anything but the expected status is a Fault. */
  async function exchange(path: string, type: string, body: Uint8Array, status: number) {
    const response = await post(path, type, body);
    let answer: Buffer;
    try {
      answer = await readBody(response);
    } catch (error) {
      throw error instanceof Fault ? error : unreachable(describe(error), error);
    }
    if (response.statusCode !== status)
      throw unreachable(`${path} answered ${response.statusCode}`);
    return answer;
  }

  return {
    async postUplink(body) {
      const answer = await exchange('/gateway/v1/uplink', UPLINK_CONTENT_TYPE, body, 200);
      const parsed = UplinkAnswer.safeParse(parseJson(answer.toString('utf8')));
      if (!parsed.success) throw unreachable('the answer is not an UplinkAnswer', parsed.error);
      return parsed.data;
    },
    async postPresence(report) {
      const body = Buffer.from(JSON.stringify(report));
      await exchange('/gateway/v1/presence', 'application/json', body, 204);
    },
    readCommands({ opened, delivery, malformed, signal }) {
      return new Promise((resolve, reject) => {
        const { gateway, group } = options;
        const who = new URLSearchParams({ gateway, ...(group === undefined ? {} : { group }) });
        const request = transport.get(`${base}/gateway/v1/commands?${who.toString()}`, {
          agent: stream_agent,
          headers: { authorization, accept: 'text/event-stream' },
          signal,
          timeout: options.stream_silence_ms ?? 45_000,
        });
        const fail = (problem: string, cause?: unknown) => {
          request.destroy();
          reject(unreachable(problem, cause));
        };
        request.on('error', (error) => fail(describe(error), error));
        request.on('timeout', () => fail('the command stream fell silent'));
        request.once('response', (response) => {
          if (response.statusCode !== 200)
            return fail(`the command stream answered ${response.statusCode}`);
          opened();
          const parser = createEventStreamParser(EVENT_CHARACTERS_MAX, (data) => {
            const parsed = Delivery.safeParse(parseJson(data));
            if (parsed.success) delivery(parsed.data);
            else malformed();
          });
          response.on('data', (chunk: Buffer) => {
            if (!parser.feed(chunk)) fail('an event of the command stream is too long');
          });
          response.on('error', (error) => fail(describe(error), error));
          response.on('end', resolve);
        });
      });
    },
    close() {
      agent.destroy();
      stream_agent.destroy();
    },
  };
}
