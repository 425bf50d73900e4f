import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  digits,
  event,
  eventsOf,
  FakeBrowser,
  FakeServer,
  FakeTime,
  line,
  type FakeTab,
} from './fake-browser.ts';

const STATIONS = 6;

let time: FakeTime;
let server: FakeServer;
let browser: FakeBrowser;

const Step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('move' as const), at: fc.nat(5), to: fc.nat(5) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('event' as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 3, 20, 700, 9000, 45_000, 70_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('cut', 'restart', 'down', 'dead', 'open') }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('close', 'hide', 'show'), tab: fc.nat(4) }),
  },
);
type StepOf = typeof Step extends fc.Arbitrary<infer T> ? T : never;

function perform(
  step: StepOf,
  tabs: FakeTab[],
  make: { seq(): number; open(): FakeTab },
): Promise<void> | void {
  switch (step.do) {
    case 'move':
      return server.move(step.at, step.to);
    case 'event':
      return server.publish(event(make.seq()));
    case 'pass':
      return time.pass(step.ms);
    case 'cut':
      return server.cut();
    case 'restart':
      return server.restart();
    case 'down':
    case 'dead':
      server.mode = step.do;
      return server.cut();
    case 'open':
      if (tabs.length < 5) tabs.push(make.open());
      return;
    case 'close':
      return tabs.splice(step.tab, 1)[0]?.close();
    case 'hide':
    case 'show':
      return tabs[step.tab]?.show(step.do === 'show');
    default:
      return step satisfies never;
  }
}

test('whatever happens: in the end every visible tab shows what the server has, by one stream', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(Step, { maxLength: 60 }),
      fc.constantFrom(0, 3, 30),
      async (steps, fetch_ms) => {
        time = new FakeTime();
        server = new FakeServer(
          time,
          Array.from({ length: STATIONS }, () => 1),
        );
        browser = new FakeBrowser(time, server);
        server.fetch_ms = fetch_ms;
        server.kept_max = 8;
        let last = 0;
        const seq = () => (last += 1);
        /** The newest event when the tab's pages read last: at the beginning, after hello and resync. */
        const read_through = new Map<FakeTab, number>();
        const open = () => {
          const tab = browser.tab();
          read_through.set(tab, last);
          tab.store.onMessage(({ type }) => {
            if (type === 'hello' || type === 'resync') read_through.set(tab, last);
          });
          return tab;
        };
        const tabs = [open()];
        for (const step of steps) await perform(step, tabs, { seq, open });
        if (server.mode !== 'up') server.restart();
        for (const tab of tabs) tab.show(true);
        await time.pass(120_000);
        for (const tab of tabs) {
          expect(digits(tab)).toEqual(server.states);
          expect(line(tab)).toBe('live');
          const counts = tab.store.view().counts;
          expect(counts).toEqual(
            counts.map((_, digit) => server.states.filter((one) => one === digit).length),
          );
          // Nothing twice; and nothing missed since the pages read for the last time.
          const told = eventsOf(tab);
          expect(told).toEqual([...new Set(told)]);
          const read_to = read_through.get(tab) ?? 0;
          const due = Array.from({ length: last - read_to }, (_, i) => read_to + 1 + i);
          expect(told).toEqual(expect.arrayContaining(due));
        }
        expect(server.connections).toBe(tabs.length === 0 ? 0 : 1);
      },
    ),
    { numRuns: 3000 },
  );
});
