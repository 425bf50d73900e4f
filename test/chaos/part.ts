/** One process of the world: kept up as a service manager would, put down, frozen and thawed by order. */
import type { Clock } from '@waystation/runtime/clock';
import type { LocalProcess } from '@waystation/scripts/local/process';

export interface Part {
  readonly name: string;
  /** Times it ended although nobody told it to. */
  readonly ended_by_itself: number;
  /** Ends it and keeps it down. */
  down(signal: NodeJS.Signals): Promise<void>;
  /** Starts it, again and again until it stays. Resolves when it is ready. */
  up(): Promise<void>;
  freeze(): void;
  thaw(): void;
}

const TRY_AGAIN_MS = 300;
/** Longer than the slowest start seen on a busy machine. */
const UP_WITHIN_MS = 90_000;

/** A process of ours, kept up: one that ends by itself is started again, until `signal` aborts the run. */
export function nodePart(
  name: string,
  launch: () => Promise<LocalProcess>,
  clock: Clock,
  tell: (text: string) => void,
  signal: AbortSignal,
): Part {
  let wanted = false;
  let current: LocalProcess | null = null;
  let starting: Promise<void> | null = null;
  let ended_by_itself = 0;

  const start = async () => {
    const end_at = clock.mono() + UP_WITHIN_MS;
    for (;;) {
      if (!wanted || current !== null || signal.aborted) return;
      try {
        const started = await launch();
        current = started;
        void started.ended.then((how) => {
          if (current === started) current = null;
          if (!wanted) return;
          ended_by_itself += 1;
          tell(`${name} ended by itself (${how}); started again`);
          void bring().catch(() => {}); // whoever wants it up next hears of it
        });
      } catch (error) {
        if (clock.mono() > end_at) throw error;
        await clock.sleep(TRY_AGAIN_MS);
      }
    }
  };
  const bring = (): Promise<void> =>
    (starting ??= start().finally(() => {
      starting = null;
    }));
  const send = (what: NodeJS.Signals) => current?.kill(what);

  return {
    name,
    get ended_by_itself() {
      return ended_by_itself;
    },
    async down(how) {
      wanted = false;
      await starting?.catch(() => {}); // whoever brings it up next hears of it
      const ending = current;
      if (how === 'SIGKILL') ending?.kill(how);
      else await ending?.stop();
      await ending?.ended;
    },
    async up() {
      wanted = true;
      await bring();
    },
    freeze: () => send('SIGSTOP'),
    thaw: () => send('SIGCONT'),
  };
}

/** What the servers of the tests have in common. */
export interface Server {
  readonly ended: boolean;
  kill(signal: NodeJS.Signals): Promise<void>;
  restart(): Promise<void>;
  pause(): void;
  resume(): void;
}

/** A server of the distribution. One that ended by itself, of a full disk say, is started again when it is next told to be up. */
export function serverPart(
  name: string,
  server: Server,
  graceful: NodeJS.Signals,
  clock: Clock,
  signal: AbortSignal,
): Part {
  let wanted = true;
  let ended_by_itself = 0;
  return {
    name,
    get ended_by_itself() {
      return ended_by_itself;
    },
    async down(how) {
      wanted = false;
      await server.kill(how === 'SIGKILL' ? how : graceful);
    },
    async up() {
      if (server.ended && wanted) ended_by_itself += 1;
      wanted = true;
      const end_at = clock.mono() + UP_WITHIN_MS;
      while (server.ended && !signal.aborted) {
        try {
          await server.restart();
        } catch (error) {
          if (clock.mono() > end_at) throw error;
          await clock.sleep(TRY_AGAIN_MS);
        }
      }
    },
    freeze: () => {
      if (!server.ended) server.pause();
    },
    thaw: () => {
      if (!server.ended) server.resume();
    },
  };
}
