/**
 * Group commit: messages wait in one queue and are taken in batches, several in flight. A batch takes no message of a
 * stream that another batch holds, so that the messages of a stream are always committed in the order they came.
 */
import { Fault } from '@waystation/runtime/fault';

export interface LaneOptions<M, R> {
  /** Messages with the same key keep their order. */
  keyOf: (message: M) => string | number;
  weightOf: (message: M) => number;
  work: (messages: readonly M[]) => Promise<R>;
  in_flight_max: number;
  batch_messages_max: number;
  batch_weight_max: number;
  waiting_max: number;
}

export interface Lane<M, R> {
  /** Resolves with the result of every batch that held one of the messages; rejects with the first failure if all failed. */
  submit(messages: readonly M[]): Promise<R[]>;
  waiting(): number;
  /** Resolves when nothing waits or works. */
  idle(): Promise<void>;
}

interface Waiting<M, R> {
  message: M;
  submission: Submission<R>;
}
interface Submission<R> {
  left: number;
  results: Set<R>;
  failure: unknown;
  settle(): void;
}

export function createLane<M, R>(options: LaneOptions<M, R>): Lane<M, R> {
  const { keyOf, weightOf, work } = options;
  const held = new Set<string | number>();
  const onIdle = new Set<() => void>();
  let queue: Waiting<M, R>[] = [];
  let in_flight = 0;

  const takeBatch = (): Waiting<M, R>[] => {
    const batch: Waiting<M, R>[] = [];
    const passed: Waiting<M, R>[] = [];
    let weight = 0;
    for (const [index, waiting] of queue.entries()) {
      const key = keyOf(waiting.message);
      const full = batch.length >= options.batch_messages_max || weight >= options.batch_weight_max;
      if (full) {
        passed.push(...queue.slice(index));
        break;
      }
      if (held.has(key)) {
        passed.push(waiting);
        continue;
      }
      batch.push(waiting);
      weight += weightOf(waiting.message);
    }
    queue = passed;
    return batch;
  };

  const settle = (
    batch: readonly Waiting<M, R>[],
    outcome: { result: R } | { failure: unknown },
  ) => {
    for (const { message, submission } of batch) {
      held.delete(keyOf(message));
      if ('result' in outcome) submission.results.add(outcome.result);
      else submission.failure = outcome.failure;
      submission.left -= 1;
      if (submission.left === 0) submission.settle();
    }
  };

  const pump = (): void => {
    while (in_flight < options.in_flight_max && queue.length > 0) {
      const batch = takeBatch();
      if (batch.length === 0) return;
      for (const { message } of batch) held.add(keyOf(message));
      in_flight += 1;
      void work(batch.map(({ message }) => message))
        .then(
          (result) => settle(batch, { result }),
          (failure: unknown) => settle(batch, { failure }),
        )
        .finally(() => {
          in_flight -= 1;
          pump();
          if (in_flight === 0 && queue.length === 0) for (const wake of onIdle) wake();
        });
    }
  };

  return {
    submit(messages) {
      if (messages.length === 0) return Promise.resolve([]);
      if (queue.length + messages.length > options.waiting_max) {
        return Promise.reject(
          new Fault('DATABASE_UNAVAILABLE', { problem: 'too much waits for the database' }),
        );
      }
      return new Promise((resolve, reject) => {
        const submission: Submission<R> = {
          left: messages.length,
          results: new Set(),
          failure: undefined,
          settle: () => {
            if (submission.results.size > 0) resolve([...submission.results]);
            else reject(submission.failure);
          },
        };
        for (const message of messages) queue.push({ message, submission });
        pump();
      });
    },
    waiting: () => queue.length,
    idle: () =>
      new Promise((resolve) => {
        if (in_flight === 0 && queue.length === 0) return resolve();
        const wake = () => {
          onIdle.delete(wake);
          resolve();
        };
        onIdle.add(wake);
      }),
  };
}
