/** Receives commands, one after the other, and answers each order with the station's own result records. */
import assert from 'node:assert/strict';
import type { Command, Order } from '@waystation/protocol/commands';
import type { Clock } from '@waystation/runtime/clock';
import { Fault, isFault } from '@waystation/runtime/fault';
import type { Log } from '@waystation/runtime/log';
import type { Door } from '../door/door.ts';
import type { EventJournal } from '../event-journal.ts';
import type { TrustStore } from '../ports.ts';
import type { Stamp } from '../time/stamp.ts';
import { decideCommand } from './command.ts';
import type { CommandJournal } from './command-journal.ts';

export interface CommandDeskOptions {
  door: Pick<Door, 'open' | 'setMode'>;
  trust: TrustStore;
  journal: EventJournal;
  orders: CommandJournal;
  clock: Clock;
  stamp: () => Stamp;
  log: Log;
}

type Result =
  | { status: 'received' | 'succeeded' | 'expired' }
  | { status: 'failed'; reason: string };

/** Commands that wait for the one before them. */
const WAITING_MAX = 16;
const REASON_MAX = 200;

export class CommandDesk {
  readonly counters = { executed: 0, repeated: 0, expired: 0, failed: 0, trust_refused: 0 };
  readonly #options: CommandDeskOptions;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: CommandDeskOptions) {
    this.#options = options;
  }

  /** Tells of the orders that the last stop or crash cut short: whether the lock still moved is not known. */
  start(): void {
    const { orders, journal, stamp } = this.#options;
    for (const id of orders.unfinished()) {
      orders.finish(id, 'failed');
      journal.note({
        kind: 'command',
        ...stamp(),
        id,
        status: 'failed',
        reason: 'the station restarted meanwhile',
      });
    }
  }

  /** Resolves when nothing of the command can get lost any more. Rejects with Fault TOO_MANY_REQUESTS. */
  async accept(command: Command): Promise<void> {
    if (this.#waiting >= WAITING_MAX)
      throw new Fault('TOO_MANY_REQUESTS', { waiting: this.#waiting });
    this.#waiting += 1;
    const mine = this.#turn.then(() => this.#handle(command));
    this.#turn = mine.catch(() => undefined);
    await mine.finally(() => {
      this.#waiting -= 1;
    });
  }

  #handle(command: Command): Promise<void> {
    if (command.kind === 'keySet' || command.kind === 'statusList') return this.#trust(command);
    return this.#order(command);
  }

  async #order(order: Order): Promise<void> {
    const { orders, clock, stamp } = this.#options;
    const verdict = decideCommand(order, orders, { wall: clock.wall(), clock: stamp().clock });
    switch (verdict.verdict) {
      case 'ignore':
        this.counters.repeated += 1;
        return;
      case 'expired':
        this.counters.expired += 1;
        return this.#conclude(order, { status: 'expired' });
      case 'failed':
        this.counters.failed += 1;
        return this.#conclude(order, { status: 'failed', reason: verdict.reason });
      case 'execute':
        return this.#execute(order);
      default:
        verdict satisfies never;
    }
  }

  /** First remembered and told, then done: a crash in between leaves an order undone, never done twice. */
  async #execute(order: Order): Promise<void> {
    const { orders } = this.#options;
    orders.begin(order);
    try {
      await this.#tell(order, { status: 'received' });
    } catch (error) {
      if (!isFault(error, 'OUTBOX_FULL')) throw error;
      orders.finish(order.id, 'failed');
      return this.#tell(order, { status: 'failed', reason: 'the journal cannot be written' });
    }
    const result = await this.#perform(order);
    this.counters[result.status === 'succeeded' ? 'executed' : 'failed'] += 1;
    orders.finish(order.id, result.status === 'succeeded' ? 'succeeded' : 'failed');
    await this.#tell(order, result);
  }

  async #perform(order: Order): Promise<Result> {
    const { door } = this.#options;
    try {
      if (order.kind === 'setMode') {
        await door.setMode(order.mode, `${order.actor}: ${order.reason}`.slice(0, REASON_MAX));
        return { status: 'succeeded' };
      }
      const answer = await door.open(order.id);
      return answer.outcome === 'granted'
        ? { status: 'succeeded' }
        : { status: 'failed', reason: answer.denial };
    } catch (error) {
      if (!isFault(error)) throw error;
      return { status: 'failed', reason: error.message.slice(0, REASON_MAX) };
    }
  }

  /** Remembered too, so that a repetition cannot turn a refusal into an opening. */
  async #conclude(order: Order, result: Result): Promise<void> {
    const { orders } = this.#options;
    if (!orders.full()) {
      orders.begin(order);
      orders.finish(order.id, 'failed');
    }
    await this.#tell(order, result);
  }

  async #tell(order: Order, result: Result): Promise<void> {
    const { journal, stamp } = this.#options;
    await journal.append({ kind: 'command', ...stamp(), id: order.id, ...result });
  }

  async #trust(command: Extract<Command, { kind: 'keySet' | 'statusList' }>): Promise<void> {
    const { trust, journal, stamp, log } = this.#options;
    const body = Buffer.from(command.body, 'base64');
    try {
      const changed =
        command.kind === 'keySet' ? trust.applyKeySet(body) : trust.applyStatusList(body);
      if (changed) await journal.append({ kind: 'trust', ...stamp(), ...trust.versions() });
    } catch (error) {
      assert(isFault(error), String(error));
      this.counters.trust_refused += 1;
      log('warn', 'trust.refused', {
        kind: command.kind,
        version: command.version,
        problem: error.message,
      });
    }
  }
}
