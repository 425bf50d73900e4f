/** Orders to stations: written down and audited, handed to the gateway, and believed only by the station's own word. */
import { randomBytes } from 'node:crypto';
import { sql, type Kysely } from 'kysely';
import type { CommandState } from '@waystation/protocol/api';
import { Command, type Order } from '@waystation/protocol/commands';
import type { StationCode } from '@waystation/protocol/station-code';
import type { Clock } from '@waystation/runtime/clock';
import { Fault } from '@waystation/runtime/fault';
import { inSubtree, type Actor } from '../accounts/scope.ts';
import type { Schema } from '../database/schema.ts';
import type { Gateways } from '../gateway-link/gateways.ts';
import type { HubMessage } from '../live/hub.ts';
import { appendAudit } from '../operations/audit.ts';

/** Somebody stands before the door: after this nobody wants it opened by surprise. */
export const COMMAND_LIFE_MS = 10_000;
/** How long after the deadline the station's word may still be under way. */
export const ANSWER_GRACE_MS = 20_000;
const SWEEP_ROWS_MAX = 500;

export interface CommandDesk {
  /** Opens a door from afar. Throws Fault NOT_FOUND outside the account's scope, COMMAND_REFUSED when it cannot arrive. */
  open(actor: Actor, code: StationCode, reason: string): Promise<CommandState>;
  /** Throws Fault NOT_FOUND. */
  read(actor: Actor, id: string): Promise<CommandState>;
  /** These have a new word of their stations, committed: tells the open pages. */
  announce(ids: readonly string[]): Promise<void>;
  /** Nothing was heard of these in time: nobody knows. */
  expire(): Promise<void>;
  /** The gateway has dialled again: what may still be done in time goes once more; stations know their ids. */
  resend(gateway: string): Promise<void>;
  /** Orders given at another cloud: those whose gateway has a stream here go down, if there is time. */
  deliver(ids: readonly string[]): Promise<void>;
}

interface CommandRow {
  id: string;
  code: StationCode;
  path: string;
  kind: string;
  status: CommandState['status'];
  reason: string | null;
  issued_at: Date;
  deadline_at: Date;
  answered_at: Date | null;
}

function stateOf(row: CommandRow): CommandState {
  return {
    id: row.id,
    station: row.code,
    kind: row.kind,
    status: row.status,
    reason: row.reason,
    issued_at: row.issued_at.getTime(),
    deadline_at: row.deadline_at.getTime(),
    answered_at: row.answered_at?.getTime() ?? null,
  };
}

function commandRows(db: Kysely<Schema>) {
  return db
    .selectFrom('command')
    .innerJoin('station', 'station.id', 'command.station_id')
    .innerJoin('organisation', 'organisation.id', 'station.organisation_id')
    .select(['command.id', 'station.code', 'organisation.path', 'command.kind', 'command.status'])
    .select(['command.reason', 'command.issued_at', 'command.deadline_at', 'command.answered_at']);
}

function refused(problem: string): Fault {
  return new Fault('COMMAND_REFUSED', { problem });
}

/** Where the order must go. Throws what the caller should hear. */
async function findWay({ db, isGatewayHere }: DeskParts, actor: Actor, code: StationCode) {
  const station = await db
    .selectFrom('station')
    .innerJoin('organisation', 'organisation.id', 'station.organisation_id')
    .leftJoin('station_presence as presence', 'presence.station_id', 'station.id')
    .select(['station.id', 'presence.gateway', 'presence.online'])
    .where('station.code', '=', code)
    .where(inSubtree(actor.path))
    .executeTakeFirst();
  if (station === undefined) throw new Fault('NOT_FOUND', { problem: `no station ${code}` });
  if (station.gateway === null || station.online === null)
    throw refused('the station was never connected');
  if (!isGatewayHere(station.gateway)) throw refused('the gateway of this station is away');
  if (!station.online) throw refused('the station is offline');
  return { station_id: station.id, gateway: station.gateway };
}

interface DeskParts {
  db: Kysely<Schema>;
  clock: Clock;
  gateways: Pick<Gateways, 'order' | 'isOpen'>;
  /** At this cloud or another one. */
  isGatewayHere: (gateway: string) => boolean;
  /**
   * Other clouds show these to their pages, and order what is given here as well where they have a stream to the
   * station: ours may be dead without our knowing.
   */
  tell: (news: { commands: string[]; orders?: string[] }) => void;
  publish: (message: HubMessage) => void;
}

export function createCommandDesk(parts: DeskParts): CommandDesk {
  return {
    open: (actor, code, reason) => openDoor(parts, actor, code, reason),
    read: (actor, id) => readCommand(parts, actor, id),
    announce: (ids) => announce(parts, ids),
    expire: () => expire(parts),
    resend: (gateway) => resend(parts, gateway),
    deliver: (ids) => deliver(parts, ids),
  };
}

async function openDoor(
  parts: DeskParts,
  actor: Actor,
  code: StationCode,
  reason: string,
): Promise<CommandState> {
  const { clock, gateways } = parts;
  const { station_id, gateway } = await findWay(parts, actor, code);
  const issued_at = clock.wall();
  const order: Order = {
    kind: 'open',
    id: randomBytes(12).toString('base64url'),
    nonce: randomBytes(8).toString('hex'),
    issued_at,
    deadline_at: issued_at + COMMAND_LIFE_MS,
    // A clock nobody believes cannot tell whether the order is late.
    min_clock: 'holdover',
    actor: actor.account,
    reason,
  };
  await writeDown(parts, station_id, code, order);
  // Not taken: it stays `sent`, goes with the next stream if there is time, and else becomes `unknown`.
  if (gateways.isOpen(gateway)) gateways.order(gateway, code, order);
  parts.tell({ commands: [order.id], orders: [order.id] });
  await announce(parts, [order.id]);
  return readCommand(parts, actor, order.id);
}

async function writeDown(
  { db, clock }: DeskParts,
  station_id: number,
  code: StationCode,
  order: Order,
): Promise<void> {
  const { id, kind, actor, reason } = order;
  await db.transaction().execute(async (trx) => {
    await trx
      .insertInto('command')
      .values({
        id,
        station_id,
        kind,
        body: JSON.stringify(order),
        status: 'sent',
        actor,
        issued_at: new Date(order.issued_at),
        deadline_at: new Date(order.deadline_at),
      })
      .execute();
    const at = clock.wall();
    const action = `command.${kind}`;
    await appendAudit(trx, { at, actor, action, subject: code, detail: { id, reason } });
  });
}

async function announce({ db, publish }: DeskParts, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const rows = await commandRows(db)
    .where('command.id', '=', sql<string>`any(${ids}::text[])`)
    .execute();
  for (const row of rows) publish({ type: 'command', path: row.path, command: stateOf(row) });
}

async function readCommand({ db }: DeskParts, actor: Actor, id: string): Promise<CommandState> {
  const row = await commandRows(db)
    .where('command.id', '=', id)
    .where(inSubtree(actor.path))
    .executeTakeFirst();
  if (row === undefined) throw new Fault('NOT_FOUND', { problem: `no command ${id}` });
  return stateOf(row);
}

async function expire(parts: DeskParts): Promise<void> {
  const { db, clock } = parts;
  const before = new Date(clock.wall() - ANSWER_GRACE_MS);
  const due = db
    .selectFrom('command')
    .select('id')
    .where('status', 'in', ['sent', 'received'])
    .where('deadline_at', '<', before)
    .orderBy('id')
    .limit(SWEEP_ROWS_MAX)
    .forUpdate();
  const rows = await db
    .updateTable('command')
    .set({ status: 'unknown' })
    .where('id', 'in', due)
    .returning('id')
    .execute();
  const commands = rows.map(({ id }) => id);
  if (commands.length > 0) parts.tell({ commands });
  await announce(parts, commands);
}

async function resend(parts: DeskParts, gateway: string): Promise<void> {
  await order(parts, waitingOrders(parts).where('presence.gateway', '=', gateway));
}

async function deliver(parts: DeskParts, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await order(
    parts,
    waitingOrders(parts).where('command.id', '=', sql<string>`any(${ids}::text[])`),
  );
}

/** What nothing was heard of yet, and what may still be done in time. */
function waitingOrders({ db, clock }: DeskParts) {
  return db
    .selectFrom('command')
    .innerJoin('station', 'station.id', 'command.station_id')
    .innerJoin('station_presence as presence', 'presence.station_id', 'station.id')
    .select(['station.code', 'command.body', 'presence.gateway'])
    .where('command.status', '=', 'sent')
    .where('command.deadline_at', '>', new Date(clock.wall()))
    .orderBy('command.issued_at');
}

async function order(
  { gateways }: DeskParts,
  waiting: ReturnType<typeof waitingOrders>,
): Promise<void> {
  for (const { code, body, gateway } of await waiting.execute()) {
    const command = Command.parse(body);
    if ('deadline_at' in command && gateways.isOpen(gateway)) {
      gateways.order(gateway, code, command);
    }
  }
}
