/** `npm run screenshots`: docs/console.png and docs/station.png, taken of the real system with 60 stations and a card at the door. */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DEMO_STATION } from '@waystation/cloud/seed/demo-station';
import { Series } from '@waystation/protocol/api';
import { systemClock } from '@waystation/runtime/clock';
import { startChromium, visit } from '@waystation/test/browser/chromium';
import { startTestStack, until, type TestStack } from '@waystation/test/system/local-stack';
import { buildConsole } from './local/console.ts';

const DOCS = fileURLToPath(new URL('../docs/', import.meta.url));
const FLEET_SIZE = 60;
const PEOPLE = 8;
const STATE_WITHIN_MS = 60_000;
const HOUR_MS = 3_600_000;
const clock = systemClock();

async function prompt(system: TestStack, station: string, line: string): Promise<void> {
  await (await system.fleet()).ask({ do: 'prompt', station, line });
}

/** A day with people in it: some stations are used, in one it smokes, somebody opened the case of another. */
async function liven(system: TestStack): Promise<void> {
  const codes = system.fleet_codes;
  for (const code of codes.slice(0, PEOPLE)) await system.letIn(code);
  await prompt(system, codes[20] ?? '', 'tamper on');
  await prompt(system, codes[41] ?? '', 'smoke on');
  const member = await system.member('张师傅');
  await system.visit(member);
}

async function picture(system: TestStack): Promise<void> {
  const browser = await startChromium();
  const view = { viewport: { width: 1440, height: 900 }, colorScheme: 'light' } as const;
  try {
    const overview = await visit(browser, `${system.stack.url}/`, view);
    await overview.page.locator('[data-line=live]').waitFor();
    await until(
      'alarms and use on the overview',
      async () => {
        const alarm = overview.page.locator('.count[data-status=alarm] b');
        const used = overview.page.locator('.count[data-status=inUse] b');
        return Number(await alarm.textContent()) >= 2 && Number(await used.textContent()) >= 2;
      },
      STATE_WITHIN_MS,
    );
    await overview.page.screenshot({ path: `${DOCS}console.png` });
    await until(
      'the newest values are stored',
      async () => {
        const now = clock.wall();
        const path = `/stations/${DEMO_STATION}/series?measurement=temperature_cel&from=${now - HOUR_MS}&to=${now}`;
        return Series.parse(await system.get(path)).points.length > 0;
      },
      STATE_WITHIN_MS,
    );
    const station = await visit(browser, `${system.stack.url}/stations/${DEMO_STATION}`, view);
    await station.page.locator('.events li[data-kind=access]').first().waitFor();
    await station.page.locator('.sparkline').first().waitFor();
    await station.page.screenshot({ path: `${DOCS}station.png` });
  } finally {
    await browser.close();
  }
}

mkdirSync(DOCS, { recursive: true });
const system = await startTestStack({ console_dir: buildConsole(), fleet_size: FLEET_SIZE });
try {
  await liven(system);
  await picture(system);
} finally {
  await system.stop();
}
