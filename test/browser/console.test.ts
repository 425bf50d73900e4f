/** The console as a person meets it: the built pages, the real system behind them, a real browser. */
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { AxeBuilder } from '@axe-core/playwright';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { DEMO_STATION, DEMO_STATION_NAME } from '@waystation/cloud/seed/demo-station';
import { qrPng } from '@waystation/firmware-sim/qr-image';
import { StationIndex } from '@waystation/protocol/api';
import { systemClock } from '@waystation/runtime/clock';
import { buildConsole } from '@waystation/scripts/local/console';
import type { Member } from '@waystation/scripts/local/member';
import { requirePart } from '../servers/parts.ts';
import { temporaryDirectory } from '../servers/process.ts';
import { startTestStack, until, type TestStack } from '../system/local-stack.ts';
import { startChromium, visit, type Visit } from './chromium.ts';

const FIRST_LOAD_KB_MAX = 300;
const DRAW_MS_MAX = 100;

const MapPoint = z.object({
  x: z.number(),
  y: z.number(),
  pixel: z.array(z.number()),
  draw_ms: z.number(),
});

const clock = systemClock();
const directory = temporaryDirectory('browser');
const console_dir = join(directory.path, 'console');
const visits: Visit[] = [];
let system: TestStack;
let browser: Browser;
let member: Member;

beforeAll(async () => {
  cpSync(buildConsole(), console_dir, { recursive: true });
  [system, browser] = await Promise.all([startTestStack({ console_dir }), startChromium()]);
  member = await system.member('浏览器');
});
afterEach(async () => {
  await Promise.all(visits.splice(0).map((open) => open.close()));
});
afterAll(async () => {
  await browser?.close();
  await system?.stop();
  directory.remove();
});

const DEMO_PATH = `/stations/${DEMO_STATION}`;
async function open(path: string, options: Parameters<typeof visit>[2] = {}): Promise<Visit> {
  const opened = await visit(browser, `${system.stack.url}${path}`, options);
  visits.push(opened);
  return opened;
}
const isLive = (page: Page) => page.locator('[data-line=live]').waitFor();
/** The list has its stations and the map is drawn. */
async function overviewReady(page: Page): Promise<void> {
  await isLive(page);
  await page.locator('.row').first().waitFor();
  await page.waitForFunction('window.waystationMap?.last_draw_ms > 0');
}
async function stationReady(page: Page): Promise<void> {
  await isLive(page);
  await page.locator('.events li').first().waitFor();
  await page.locator('.sparkline').first().waitFor();
}
/** A mark that a reload would wipe away. */
const markPage = (page: Page) => page.evaluate("void (document.body.dataset.mark = 'kept')");
const isMarked = (page: Page) => page.evaluate("document.body.dataset.mark === 'kept'");

/** The member's code as a picture, read by a decoder that is not ours. */
function presentAsImage(): string {
  const path = join(directory.path, 'code.png');
  writeFileSync(path, qrPng(member.present(clock.wall())));
  const read = execFileSync(
    requirePart('zbarimg'),
    ['--quiet', '--raw', '-Sdisable', '-Sqrcode.enable', path],
    // It looks for a desktop bus and complains.
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  return read.replace(/\n$/, '');
}
/** A word to the demo station's hardware. */
async function prompt(line: string): Promise<void> {
  const answer = await (await system.demo()).ask({ do: 'prompt', line });
  expect(answer).not.toHaveProperty('error');
}
async function scanAndEnter(): Promise<void> {
  const answer = await (await system.demo()).scan(DEMO_STATION, presentAsImage());
  expect(answer).toMatchObject({ outcome: 'granted' });
  await prompt('open');
  await prompt('close');
}
const granted = (page: Page) =>
  page.locator('.events li[data-kind=access]', { hasText: '开门放行 会员卡' });
const openingsToday = (page: Page, count: number) =>
  page.getByText(`开门 ${count} 次`, { exact: false });
async function readOpenings(page: Page): Promise<number> {
  const text = await page.getByText(/开门 \d+ 次/).textContent();
  return Number(/开门 (\d+) 次/.exec(text ?? '')?.[1]);
}

describe('the province at a glance', () => {
  test('shows every station and finds the demo station by its name', async () => {
    const { page, complaints } = await open('/');
    await overviewReady(page);
    await page.locator('.count b', { hasText: '10,659' }).waitFor();
    await page.getByLabel('搜索名称或编码').fill(DEMO_STATION_NAME);
    const row = page.locator('.row', { hasText: DEMO_STATION });
    await row.waitFor();
    expect(await page.locator('.row').count()).toBe(1);
    expect(await row.textContent()).toContain('济宁市任城区');
    expect(new URL(page.url()).searchParams.get('search')).toBe(DEMO_STATION_NAME);
    await page.reload();
    await page.locator('.row').waitFor();
    expect(await page.getByLabel('搜索名称或编码').inputValue()).toBe(DEMO_STATION_NAME);
    expect(complaints).toEqual([]);
  });

  test('filters by city, kind and status stand in the address and outlive a reload', async () => {
    const { page, complaints } = await open('/');
    await overviewReady(page);
    await page.getByRole('combobox', { name: '选择城市' }).click();
    await page.getByRole('option', { name: '济宁市' }).click();
    await page.getByText('878 个站点').waitFor();
    await page.getByRole('radiogroup').getByText('驿站', { exact: true }).click();
    await page.locator('.count[data-status=open]').click();
    await page.getByText('1 个站点', { exact: true }).waitFor();
    expect(Object.fromEntries(new URL(page.url()).searchParams)).toEqual({
      place: '3708',
      kind: 'W',
      status: 'open',
    });
    await page.reload();
    await page.getByText('1 个站点', { exact: true }).waitFor();
    expect(await page.locator('.count[data-status=open]').getAttribute('aria-pressed')).toBe(
      'true',
    );
    await page.getByRole('button', { name: '清除筛选' }).click();
    await page.getByText('10,659 个站点').waitFor();
    await page.getByLabel('搜索名称或编码').fill('没有这样的站');
    await page.getByText('没有符合条件的站点').waitFor();
    expect(complaints).toEqual([]);
  });

  test('a click on a point of the map opens its station', async () => {
    const { page, complaints } = await open('/?place=3708&status=open');
    await overviewReady(page);
    const index = StationIndex.parse(await system.get('/stations/index')).code.indexOf(
      DEMO_STATION,
    );
    const found = MapPoint.parse(
      await page.evaluate(`(() => {
        const [x, y] = window.waystationMap.position(${index});
        const context = document.querySelector('canvas').getContext('2d');
        const pixel = [...context.getImageData(x, y, 1, 1).data].slice(0, 3);
        return { x, y, pixel, draw_ms: window.waystationMap.last_draw_ms };
      })()`),
    );
    expect(found.pixel).toEqual([0x2b, 0x8a, 0x3e]);
    expect(found.draw_ms).toBeLessThan(DRAW_MS_MAX);
    await page.locator('canvas').click({ position: { x: found.x, y: found.y } });
    await page.waitForURL(`**${DEMO_PATH}`);
    await page.getByRole('heading', { name: DEMO_STATION_NAME }).waitFor();
    expect(complaints).toEqual([]);
  });
});

describe('the demo station', () => {
  test('opens from afar with a reason; the event comes by itself', async () => {
    const { page, complaints } = await open(DEMO_PATH);
    await stationReady(page);
    await markPage(page);
    await page.getByRole('button', { name: '远程开门' }).click();
    const confirm = page.getByRole('button', { name: '开门', exact: true });
    expect(await confirm.isDisabled()).toBe(true);
    await page.getByLabel('原因').fill('来电说进不去，已核对');
    await confirm.click();
    await page.getByText('门已打开').first().waitFor();
    await page.locator('.events li[data-kind=access]', { hasText: '开门放行 远程' }).waitFor();
    await page.locator('.events li[data-kind=command]', { hasText: '门已打开' }).waitFor();
    expect(await isMarked(page)).toBe(true);
    expect(complaints).toEqual([]);
  });

  test('a card shown as a picture: the event and the count come by themselves', async () => {
    const { page, complaints } = await open(DEMO_PATH);
    await stationReady(page);
    await markPage(page);
    const before = { openings: await readOpenings(page), events: await granted(page).count() };
    await scanAndEnter();
    await openingsToday(page, before.openings + 1).waitFor({ timeout: 5_000 });
    await granted(page).nth(before.events).waitFor({ timeout: 5_000 });
    expect(await isMarked(page)).toBe(true);
    expect(complaints).toEqual([]);
  });

  test('a cut bus is an alarm with a lost controller; plugged in again it recovers', async () => {
    const { page, complaints } = await open(DEMO_PATH);
    await stationReady(page);
    const controller = page.locator('.fact', { hasText: '控制器' });
    await prompt('unplug bus');
    await page.locator('.station-status[data-status=alarm]').waitFor({ timeout: 5_000 });
    await controller.getByText('失联').waitFor();
    await page.locator('.events li', { hasText: '联系不上控制器' }).first().waitFor();
    await prompt('replug bus');
    await page.locator('.station-status:is([data-status=open], [data-status=inUse])').waitFor();
    await controller.getByText('正常').waitFor();
    expect(complaints).toEqual([]);
  });

  test('the cloud goes and comes back: said at once, dimmed, live again, nothing missed', async () => {
    const { page } = await open(DEMO_PATH);
    await stationReady(page);
    await markPage(page);
    const before = { openings: await readOpenings(page), events: await granted(page).count() };
    const opacity = async () =>
      Number(await page.evaluate("getComputedStyle(document.querySelector('.value > b')).opacity"));
    expect(await opacity()).toBe(1);
    await system.stack.processes.get('cloud')?.stop();
    await page.locator('[data-line=reconnecting], [data-line=stale]').waitFor();
    expect(await page.getByRole('status').first().textContent()).toMatch(/重连中|数据停更/);
    expect(await opacity()).toBeLessThan(1);
    await page.getByText('可能已经变化').waitFor();
    await scanAndEnter();
    await system.stack.restart('cloud');
    await isLive(page);
    await granted(page).nth(before.events).waitFor();
    await openingsToday(page, before.openings + 1).waitFor();
    await until('the station is dimmed no more', async () => (await opacity()) === 1);
    expect(await isMarked(page)).toBe(true);
  });
});

test('a station or a page that does not exist says so, with a way back', async () => {
  for (const path of ['/stations/370811011W9999E', '/stations/hello']) {
    const { page } = await open(path);
    await page.getByRole('heading', { name: '没有这个站点' }).waitFor();
    await page.getByRole('link', { name: '返回全省' }).click();
    await page.waitForURL(`${system.stack.url}/`);
  }
  const { page } = await open('/nowhere/at/all');
  await page.getByRole('heading', { name: '没有这个页面' }).waitFor();
});

test('seven tabs of one browser are live by one stream; when the first closes, the others go on', async () => {
  const first = await open(DEMO_PATH);
  const context = first.page.context();
  const more = await Promise.all(Array.from({ length: 6 }, () => context.newPage()));
  for (const page of more) await page.goto(`${system.stack.url}${DEMO_PATH}`);
  const pages = [first.page, ...more];
  await Promise.all(pages.map(stationReady));
  await until('one stream for all', async () => {
    const metrics = await (await fetch(`${system.stack.url}/metrics`)).text();
    return /live_connections 1$/m.test(metrics);
  });
  const before = await readOpenings(first.page);
  await scanAndEnter();
  await Promise.all(pages.map((page) => openingsToday(page, before + 1).waitFor()));
  await first.page.close();
  await scanAndEnter();
  await Promise.all(more.map((page) => openingsToday(page, before + 2).waitFor()));
});

test('works by keyboard alone: search, open the station, open its door', async () => {
  const { page, complaints } = await open('/');
  await overviewReady(page);
  const tabTo = async (selector: string) => {
    for (let step = 0; step < 25; step += 1) {
      await page.keyboard.press('Tab');
      if (await page.evaluate(`document.activeElement.matches(${JSON.stringify(selector)})`))
        return;
    }
    throw new Error(`the keyboard does not reach ${selector}`);
  };
  await page.keyboard.press('?');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.keyboard.press('/');
  await page.keyboard.type(DEMO_STATION);
  await page.getByText('1 个站点', { exact: true }).waitFor();
  await tabTo('a.row');
  const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
  expect(outline).not.toBe('none');
  await page.keyboard.press('Enter');
  await stationReady(page);
  await tabTo('button.mantine-Button-root:not(.shell *)');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByLabel('原因').waitFor();
  await page.waitForFunction("document.activeElement.tagName === 'TEXTAREA'");
  await page.keyboard.type('只用键盘');
  await tabTo('[role=dialog] button[type=submit]');
  await page.keyboard.press('Enter');
  await page.locator('[data-command=succeeded]').waitFor();
  expect(complaints).toEqual([]);
});

test('nothing is wider than a screen of 320, 390, 768 or 1366 px', async () => {
  const { page } = await open('/');
  const overflows = async () => {
    const found: string[] = [];
    for (const width of [320, 390, 768, 1366]) {
      await page.setViewportSize({ width, height: 800 });
      // Two frames: what watches its own size has drawn itself anew.
      await page.evaluate(
        'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))',
      );
      const over = Number(await page.evaluate('document.documentElement.scrollWidth - innerWidth'));
      if (over > 0) found.push(`${over} px at ${width}`);
    }
    return found;
  };
  await overviewReady(page);
  expect(await overflows()).toEqual([]);
  await page.goto(`${system.stack.url}${DEMO_PATH}`);
  await stationReady(page);
  expect(await overflows()).toEqual([]);
});

test.each([
  ['light', 'zh'],
  ['light', 'en'],
  ['dark', 'zh'],
  ['dark', 'en'],
] as const)('axe finds nothing to object to: %s, %s', async (colorScheme, language) => {
  const { page, complaints } = await open('/', { colorScheme, language, reducedMotion: 'reduce' });
  const violations = async () =>
    (await new AxeBuilder({ page }).analyze()).violations.map(({ id, nodes }) => ({
      id,
      nodes: nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`),
    }));
  await overviewReady(page);
  expect(await violations()).toEqual([]);
  await page.goto(`${system.stack.url}${DEMO_PATH}`);
  await stationReady(page);
  expect(await violations()).toEqual([]);
  await page.locator('main .mantine-Button-root').first().click();
  await page.getByRole('dialog').locator('textarea').waitFor();
  expect(await violations()).toEqual([]);
  expect(complaints).toEqual([]);
});

test(`the first load is at most ${FIRST_LOAD_KB_MAX} KB`, () => {
  const assets = join(console_dir, 'assets');
  const bytes = readdirSync(assets).map(
    (name) => gzipSync(readFileSync(join(assets, name)), { level: 9 }).length,
  );
  const total_kb = bytes.reduce((sum, size) => sum + size, 0) / 1024;
  expect(total_kb).toBeGreaterThan(50);
  expect(total_kb).toBeLessThanOrEqual(FIRST_LOAD_KB_MAX);
});
