import { describe, expect, test } from 'vitest';
import { LIFE_NUMBERS } from '@waystation/protocol/live-number';
import {
  digits,
  event,
  eventsOf,
  FakeBrowser,
  FakeServer,
  FakeTime,
  line,
} from './fake-browser.ts';
import { BEHIND_MAX_MS } from './heard-changes.ts';

const FRESH = [1, 1, 1, 1];

/** States from one cloud, the stream from another, as a balancer without memory deals them. */
describe.each([
  ['higher', 7],
  ['lower', 3],
])('the cloud that is read numbers %s than the one that is heard', (_, life_read) => {
  function world() {
    const time = new FakeTime();
    const heard = new FakeServer(time, FRESH, 5 * LIFE_NUMBERS);
    const read = new FakeServer(time, FRESH, life_read * LIFE_NUMBERS);
    return { time, heard, read, browser: new FakeBrowser(time, heard, read) };
  }

  test('every change and event is taken, once', async () => {
    const { time, heard, browser } = world();
    const tabs = [browser.tab(), browser.tab()];
    await time.pass(100);
    heard.move(2, 5);
    heard.publish(event(1));
    await time.pass(100);
    for (const tab of tabs) {
      expect([line(tab), digits(tab)[2], eventsOf(tab)]).toEqual(['live', 5, [1]]);
    }
  });

  test('states that are a little behind do not undo what was heard', async () => {
    const { time, heard, read, browser } = world();
    const tab = browser.tab();
    await time.pass(100);
    heard.move(3, 4);
    await time.pass(100);
    heard.publish({ type: 'resync' });
    await time.pass(100);
    expect(digits(tab)[3]).toBe(4);
    read.states[3] = 4;
    await time.pass(BEHIND_MAX_MS * 2);
    expect(digits(tab)[3]).toBe(4);
  });

  test('a tab that opened on states a little behind reads them once more, and then no more', async () => {
    const { time, heard, read, browser } = world();
    browser.tab();
    await time.pass(100);
    heard.move(1, 3);
    await time.pass(100);
    const late = browser.tab();
    await time.pass(100);
    expect(digits(late)[1]).toBe(1);
    read.states[1] = 3;
    heard.publish(event(1));
    await time.pass(BEHIND_MAX_MS * 2);
    expect(digits(late)[1]).toBe(3);
    const { fetches } = read;
    await time.pass(BEHIND_MAX_MS * 10);
    expect(read.fetches).toBe(fetches);
  });
});
