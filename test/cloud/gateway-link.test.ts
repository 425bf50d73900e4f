/** The gateway's side of the cloud over real sockets: uplink, presence, orders down and what becomes of them. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { findAuditBreak } from '@waystation/cloud/operations/audit';
import { CommandState, StationDetail } from '@waystation/protocol/api';
import { decodeStatusToken } from '@waystation/protocol/card/status-list';
import { Delivery, UPLINK_CONTENT_TYPE, UplinkAnswer } from '@waystation/protocol/gateway-link';
import { createStationModel, snapshotEvent, stampAt } from '../ingest/station-model.ts';
import { readEvents, type EventReader } from './event-source.ts';
import { birth, GATEWAY, HOLDER_KEY, openWorld, type CloudWorld } from './world.ts';

const authorization = 'Bearer only-for-tests';

let world: CloudWorld;
let base: string;
let admin: string;
const readers: EventReader[] = [];
beforeAll(async () => {
  world = await openWorld();
  const { port } = await world.cloud.listen();
  base = `http://127.0.0.1:${port}`;
  admin = await world.signIn('admin', 'administrator', '37');
}, 120_000);
afterEach(() => readers.splice(0).forEach((reader) => reader.cut()));
afterAll(() => world.stop());

async function dial(gateway = GATEWAY): Promise<EventReader> {
  const reader = await readEvents(`${base}/gateway/v1/commands?gateway=${gateway}`, {
    authorization,
  });
  readers.push(reader);
  return reader;
}
const deliveryOf = (kind: string) => (event: { data: unknown }) =>
  Delivery.parse(event.data).command.kind === kind;
const detail = async () =>
  StationDetail.parse(
    (await world.ask(`/api/v1/stations/${DEMO_STATION}`, { cookie: admin })).body,
  );
const openDoor = async (reason = 'locked out') => {
  const url = `/api/v1/stations/${DEMO_STATION}/commands`;
  return world.ask(url, { method: 'POST', cookie: admin, body: { kind: 'open', reason } });
};
const commandState = async (id: string) =>
  CommandState.parse((await world.ask(`/api/v1/commands/${id}`, { cookie: admin })).body);

describe('the border', () => {
  it('takes the token only, compared as a whole', async () => {
    const attempt = (authorization: string) =>
      world.ask('/gateway/v1/presence', { method: 'POST', body: {}, headers: { authorization } });
    for (const wrong of [
      '',
      'Bearer ',
      'Bearer only-for-test',
      'Bearer only-for-tests2',
      'only-for-tests',
    ]) {
      expect((await attempt(wrong)).status, wrong).toBe(401);
    }
    expect(await attempt(authorization)).toMatchObject({
      status: 400,
      body: { field: 'body.gateway' },
    });
  });

  it('takes whole batches of frames, nothing else', async () => {
    const post = (body: Buffer, type = UPLINK_CONTENT_TYPE) =>
      world.cloud.app.inject({
        method: 'POST',
        url: '/gateway/v1/uplink',
        payload: body,
        headers: { authorization, 'content-type': type },
      });
    for (const broken of [
      Buffer.alloc(0),
      Buffer.from([0]),
      Buffer.from([0, 1, 65, 0, 0, 0, 9, 1]),
    ]) {
      const answer = await post(broken);
      expect(answer.statusCode).toBe(400);
    }
    expect((await post(Buffer.from([0, 1, 65, 0, 0, 0, 9, 1]))).json()).toMatchObject({
      code: 'UPLINK_BATCH_INVALID',
    });
    expect((await post(Buffer.from('x'), 'application/octet-stream')).statusCode).toBe(415);
    const too_large = await post(Buffer.alloc(16 * 1024 * 1024 + 1));
    expect(too_large.statusCode).toBe(413);
    expect((await post(Buffer.from('0000'.repeat(20_000), 'hex'))).statusCode).toBe(400);
  });
});

describe('presence and status', () => {
  it('follows the living session, and knows nothing while the gateway is away', async () => {
    const gateway = await dial();
    await world.presence(DEMO_STATION, birth());
    const model = createStationModel(DEMO_STATION, 'aaaaaaaaaaaa');
    model.event(snapshotEvent(world.clock.wall()));
    const answer = await world.uplink(model.frame('event', 1, 1));
    expect(UplinkAnswer.parse(answer.body).acks).toEqual([
      { station: DEMO_STATION, ack: { stream: 'event', epoch: 'aaaaaaaaaaaa', through: 1 } },
    ]);
    await world.flush();
    expect(await detail()).toMatchObject({
      status: 'open',
      online: true,
      online_since: world.clock.wall(),
    });

    const late = { state: 'offline', session: 'bbbbbbbbbbbbbbbb', clean: false } as const;
    await world.presence(DEMO_STATION, late);
    await world.flush();
    expect(await detail()).toMatchObject({ status: 'open', online: true });

    gateway.cut();
    await gateway.ended;
    await serverSees(() => world.cloud.province.gateways.counts.connected === 0);
    await world.clock.advance(11_000);
    expect(await detail()).toMatchObject({ status: 'unknown', online: true });

    await dial();
    expect((await detail()).status).toBe('open');
    await world.presence(DEMO_STATION, {
      state: 'offline',
      session: 'aaaaaaaaaaaaaaaa',
      clean: true,
    });
    await world.flush();
    expect(await detail()).toMatchObject({ status: 'offline', online: false });
  });
});

/** The server learns of a cut socket a moment later than the client. */
async function serverSees(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

describe('an order', () => {
  const station = createStationModel(DEMO_STATION, 'cccccccccccc');
  const say = async (id: string, status: 'received' | 'succeeded' | 'failed', reason?: string) => {
    const seq = station.event({
      kind: 'command',
      ...stampAt(world.clock.wall()),
      id,
      status,
      ...(reason ? { reason } : {}),
    });
    await world.uplink(station.frame('event', seq, 1));
  };
  beforeAll(async () => {
    const old = { state: 'offline', session: 'aaaaaaaaaaaaaaaa', clean: true } as const;
    await world.presence(DEMO_STATION, old);
    await world.presence(DEMO_STATION, birth('dddddddddddddddd'), world.clock.wall() + 1);
  });

  it('reaches the station with deadline, nonce and actor, and is believed by its record alone', async () => {
    const gateway = await dial();
    const { status, body } = await openDoor();
    expect(status).toBe(202);
    const { id } = CommandState.parse(body);
    const { data } = await gateway.until(deliveryOf('open'));
    const now = world.clock.wall();
    expect(data).toMatchObject({
      station: DEMO_STATION,
      command: {
        kind: 'open',
        id,
        deadline_at: now + 10_000,
        min_clock: 'holdover',
        actor: 'admin',
        reason: 'locked out',
      },
    });
    expect((await commandState(id)).status).toBe('sent');
    await say(id, 'received');
    expect((await commandState(id)).status).toBe('received');
    await say(id, 'succeeded');
    expect(await commandState(id)).toMatchObject({ status: 'succeeded', answered_at: now });
    await say(id, 'failed', 'too late');
    expect((await commandState(id)).status).toBe('succeeded');
  });

  it('goes again when the gateway dials again in time, and not after', async () => {
    const first = await dial();
    const { id } = CommandState.parse((await openDoor()).body);
    await first.until(deliveryOf('open'));
    const second = await dial();
    const again = await second.until(deliveryOf('open'));
    expect(again.data).toMatchObject({ command: { id } });
    await world.clock.advance(10_001);
    const third = await dial();
    await world.presence(
      DEMO_STATION,
      birth('dddddddddddddddd', { key_set_version: 0, status_list_version: 0 }),
      world.clock.wall(),
    );
    await third.until(deliveryOf('keySet'));
    expect(third.events.filter(deliveryOf('open'))).toEqual([]);
  });

  it('of which nothing is heard becomes unknown, until the station speaks after all', async () => {
    await dial();
    const { id } = CommandState.parse((await openDoor()).body);
    await world.clock.advance(29_000);
    expect((await commandState(id)).status).toBe('sent');
    await world.clock.advance(4_000);
    await expect.poll(async () => (await commandState(id)).status).toBe('unknown');
    await say(id, 'failed', 'lockFault');
    expect(await commandState(id)).toMatchObject({ status: 'failed', reason: 'lockFault' });
  });

  it('is refused at once when it cannot arrive', async () => {
    await world.clock.advance(11_000);
    await serverSees(() => world.cloud.province.gateways.counts.connected === 0);
    await world.clock.advance(11_000);
    expect(await openDoor()).toMatchObject({
      status: 409,
      body: { code: 'COMMAND_REFUSED', message: 'the gateway of this station is away' },
    });
    const nobody = await world.ask('/api/v1/stations/370102001M00011/commands', {
      method: 'POST',
      cookie: admin,
      body: { kind: 'open', reason: 'test' },
    });
    expect(nobody.body).toMatchObject({ message: 'the station was never connected' });
  });
});

describe('keys and revocations', () => {
  it('come to a station that is born with older ones, the key set first', async () => {
    const gateway = await dial();
    const versions = { key_set_version: 0, status_list_version: 0 };
    await world.presence(DEMO_STATION, birth('eeeeeeeeeeeeeeee', versions), world.clock.wall());
    await gateway.until(deliveryOf('statusList'));
    expect(gateway.events.map(({ data }) => Delivery.parse(data).command.kind)).toEqual([
      'keySet',
      'statusList',
    ]);
  });

  it('a revoked card is in the next list, which goes to every online station; all of it audited', async () => {
    const post = (url: string, body: object) =>
      world.ask(url, { method: 'POST', cookie: admin, body });
    const enrolled = await post('/api/v1/members', { name: '李明', holder_key: HOLDER_KEY });
    expect(enrolled.status).toBe(201);
    const { index } = z.object({ index: z.int() }).parse(enrolled.body);
    const { version } = world.cloud.province.trust.statusList();
    const gateway = await dial();
    const revoke = `/api/v1/cards/${index}/revoke`;
    expect((await post(revoke, { reason: 'phone lost' })).status).toBe(204);
    const { data } = await gateway.until((event) => {
      const { command } = Delivery.parse(event.data);
      return command.kind === 'statusList' && command.version === version + 1;
    });
    const { command } = Delivery.parse(data);
    const body = command.kind === 'statusList' ? command.body : '';
    expect(decodeStatusToken(new Uint8Array(Buffer.from(body, 'base64')))).toMatchObject({
      token: { version: version + 1 },
    });
    expect((await post(revoke, { reason: 'again' })).status).toBe(204);
    expect(world.cloud.province.trust.statusList().version).toBe(version + 1);
    expect((await post('/api/v1/cards/2147483647/revoke', { reason: 'none' })).status).toBe(404);

    const { db } = world.cloud.database;
    expect(await findAuditBreak(db)).toBeNull();
    const lines = await db
      .selectFrom('audit_log')
      .select(['id', 'action', 'actor'])
      .orderBy('id', 'desc')
      .limit(2)
      .execute();
    expect(lines.map(({ action }) => action)).toEqual(['card.revoke', 'member.enrol']);
    const id = lines[1]?.id ?? '';
    await db
      .updateTable('audit_log')
      .set({ actor: 'somebody' })
      .where('id', '=', id as never)
      .execute();
    expect(await findAuditBreak(db)).toBe(id);
  });
});
