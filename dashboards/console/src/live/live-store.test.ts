import { beforeEach, describe, expect, test } from 'vitest';
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
import { HIDDEN_MAX_MS, SILENCE_MAX_MS } from './live-store.ts';

const STATIONS = 6;

let time: FakeTime;
let server: FakeServer;
let browser: FakeBrowser;
beforeEach(() => {
  time = new FakeTime();
  server = new FakeServer(
    time,
    Array.from({ length: STATIONS }, () => 1),
  );
  browser = new FakeBrowser(time, server);
});

/** Lets what was published arrive. */
const arrive = () => time.pass(10);

async function liveTab(): Promise<FakeTab> {
  const tab = browser.tab();
  await time.pass(100);
  expect(line(tab)).toBe('live');
  return tab;
}

describe('one tab', () => {
  test('says that it connects, then reads the states once and is live', async () => {
    const tab = browser.tab();
    expect(line(tab)).toBe('connecting');
    await time.pass(100);
    expect(tab.store.view()).toMatchObject({
      line: 'live',
      version: 'index-1',
      service: '1.0.0',
      counts: [0, STATIONS, 0, 0, 0, 0],
      heard_at: expect.any(Number),
    });
    expect(server).toMatchObject({ connections: 1, fetches: 1 });
  });

  test('takes changes in place, counts by difference and tells by revision', async () => {
    const tab = await liveTab();
    const { states, revision } = tab.store.view();
    server.move(2, 5);
    server.publish({ type: 'states', changes: [[99, 5]] });
    await arrive();
    const after = tab.store.view();
    expect(after.states).toBe(states);
    expect(after.counts).toEqual([0, STATIONS - 1, 0, 0, 0, 1]);
    expect(after.revision).toBeGreaterThan(revision);
  });

  test('keeps changes that came while the states were under way', async () => {
    server.fetch_ms = 0;
    const tab = await liveTab();
    server.fetch_ms = 500;
    server.publish({ type: 'resync' });
    await time.pass(100);
    server.move(3, 4);
    await arrive();
    expect(digits(tab)[3]).toBe(4);
    await time.pass(600);
    expect(digits(tab)[3]).toBe(4);
    expect(tab.store.view().counts).toEqual([0, STATIONS - 1, 0, 0, 1, 0]);
  });

  test('hears what was under way while the states were read', async () => {
    const tab = await liveTab();
    server.fetch_ms = 0;
    server.publish({ type: 'resync' });
    await time.pass(4);
    server.publish(event(1));
    await arrive();
    expect(server.fetches).toBe(2);
    expect(eventsOf(tab)).toEqual([1]);
  });

  test('reads the states once more when they were missed again meanwhile', async () => {
    const tab = await liveTab();
    server.fetch_ms = 30;
    server.publish({ type: 'resync' });
    await arrive();
    server.states[0] = 5;
    server.publish({ type: 'resync' });
    await time.pass(100);
    expect(digits(tab)).toEqual(server.states);
  });

  test('goes on after a break where it stopped: reconnecting, then live, every change and event once', async () => {
    const tab = await liveTab();
    server.publish(event(1));
    await arrive();
    server.cut();
    expect(line(tab)).toBe('reconnecting');
    server.move(0, 5);
    server.publish(event(2));
    await time.pass(1000);
    expect(line(tab)).toBe('live');
    expect(digits(tab)[0]).toBe(5);
    expect(eventsOf(tab)).toEqual([1, 2]);
    expect(server).toMatchObject({ connections: 1, fetches: 1 });
  });

  test('after too long a break the states are read again and the pages are told', async () => {
    const tab = await liveTab();
    server.cut();
    for (let i = 0; i < server.kept_max + 5; i += 1) server.move(i % STATIONS, i % 3);
    await time.pass(2000);
    expect(digits(tab)).toEqual(server.states);
    expect(tab.heard.at(-1)).toEqual({ type: 'resync' });
    expect(line(tab)).toBe('live');
  });

  test('silence of 40 s is stale, and the stream is opened anew', async () => {
    const tab = await liveTab();
    server.mode = 'dead';
    await time.pass(SILENCE_MAX_MS - 1000);
    expect(line(tab)).toBe('live');
    await time.pass(1000);
    expect(line(tab)).toBe('stale');
    server.states[1] = 3;
    server.restart();
    await time.pass(60_000);
    expect(line(tab)).toBe('live');
    expect(digits(tab)).toEqual(server.states);
    expect(server.connections).toBe(1);
  });

  test('stays stale, never live, while the server is away; offline when the browser knows it', async () => {
    const tab = await liveTab();
    server.mode = 'down';
    server.cut();
    expect(line(tab)).toBe('reconnecting');
    await time.pass(SILENCE_MAX_MS);
    expect(line(tab)).toBe('stale');
    tab.online = false;
    await time.pass(20_000);
    expect(line(tab)).toBe('offline');
    tab.online = true;
    server.states[4] = 5;
    server.restart();
    await time.pass(20_000);
    expect(line(tab)).toBe('live');
    expect(digits(tab)).toEqual(server.states);
  });

  test('a server that came back with another index says so', async () => {
    const tab = await liveTab();
    server.states.push(5);
    server.version = 'index-2';
    server.service = '1.1.0';
    server.restart();
    await time.pass(1000);
    expect(tab.store.view()).toMatchObject({
      line: 'live',
      version: 'index-2',
      service: '1.1.0',
      counts: [0, STATIONS, 0, 0, 0, 1],
    });
  });

  test('asks less and less often, and again soon after a success', async () => {
    const tab = await liveTab();
    server.mode = 'down';
    server.cut();
    const before = server.fetches;
    await time.pass(60_000);
    expect(server.fetches - before).toBeGreaterThan(5);
    expect(server.fetches - before).toBeLessThan(14);
    server.restart();
    await time.pass(12_000);
    server.cut();
    await time.pass(700);
    expect(line(tab)).toBe('live');
  });

  test('stopped, it leaves nothing behind, whatever was under way', async () => {
    const tab = browser.tab();
    tab.close();
    await time.pass(100_000);
    expect(server).toMatchObject({ connections: 0, fetches: 1 });
    tab.store.start();
    await time.pass(100);
    expect(line(tab)).toBe('live');
    expect(server.connections).toBe(1);
  });
});

describe('hidden and visible again', () => {
  test('a short look away changes nothing', async () => {
    const tab = await liveTab();
    tab.show(false);
    await time.pass(HIDDEN_MAX_MS - 1000);
    tab.show(true);
    await time.pass(100_000);
    expect(line(tab)).toBe('live');
    expect(server).toMatchObject({ connections: 1, fetches: 1 });
  });

  test('after a minute the stream ends; seen again, everything is read anew', async () => {
    const tab = await liveTab();
    tab.show(false);
    await time.pass(HIDDEN_MAX_MS + 1);
    expect(server.connections).toBe(0);
    expect(line(tab)).toBe('stale');
    server.move(2, 4);
    tab.show(true);
    expect(line(tab)).toBe('reconnecting');
    await time.pass(100);
    expect(line(tab)).toBe('live');
    expect(digits(tab)).toEqual(server.states);
    expect(tab.heard.map(({ type }) => type)).toContain('resync');
    expect(server.connections).toBe(1);
  });

  test('a computer that slept shows nothing old as current', async () => {
    const tab = await liveTab();
    tab.show(false);
    time.now += 3_600_000;
    server.cut();
    server.states[0] = 5;
    tab.show(true);
    expect(line(tab)).toBe('reconnecting');
    await time.pass(100);
    expect(digits(tab)).toEqual(server.states);
    expect(line(tab)).toBe('live');
    expect(server.connections).toBe(1);
  });

  test('a hidden leader hands over to a tab that somebody looks at', async () => {
    const [hidden, seen] = [await liveTab(), await liveTab()];
    hidden.show(false);
    await time.pass(HIDDEN_MAX_MS + 1000);
    expect(server.connections).toBe(1);
    server.move(1, 5);
    await time.pass(10);
    expect(digits(seen)).toEqual(server.states);
    expect(line(seen)).toBe('live');
    hidden.show(true);
    await time.pass(100);
    expect(digits(hidden)).toEqual(server.states);
    expect(server.connections).toBe(1);
  });
});

describe('several tabs', () => {
  test('share one stream, and each hears everything once', async () => {
    const tabs = [await liveTab(), await liveTab(), await liveTab()];
    server.move(5, 2);
    server.publish(event(1));
    await time.pass(10);
    for (const tab of tabs) {
      expect(digits(tab)).toEqual(server.states);
      expect(eventsOf(tab)).toEqual([1]);
    }
    expect(server.connections).toBe(1);
  });

  test('a follower hears at once that the leader lost the line', async () => {
    const [, follower] = [await liveTab(), await liveTab()];
    server.mode = 'down';
    server.cut();
    await time.pass(10);
    expect(line(follower)).toBe('reconnecting');
    server.restart();
    await time.pass(3000);
    expect(line(follower)).toBe('live');
  });

  test('a message that two leaders told is heard once', async () => {
    const tabs = [await liveTab(), await liveTab(), await liveTab()];
    server.publish(event(1));
    await time.pass(5);
    tabs[0]?.close();
    await time.pass(100);
    expect(tabs.map(eventsOf)).toEqual([[1], [1], [1]]);
  });

  test('when the leading tab closes, the next goes on where it stopped', async () => {
    const [leader, follower] = [await liveTab(), await liveTab()];
    server.publish(event(1));
    await time.pass(10);
    leader.close();
    server.publish(event(2));
    server.move(3, 5);
    await time.pass(100);
    expect(eventsOf(follower)).toEqual([1, 2]);
    expect(digits(follower)).toEqual(server.states);
    expect(server).toMatchObject({ connections: 1, fetches: 2 });
  });
});
