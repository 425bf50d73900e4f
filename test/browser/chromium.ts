/** A real browser for the tests: the distribution's Chromium, one at a time, and pages that remember what they complained of. */
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { requirePart } from '../servers/parts.ts';

const PATIENCE_MS = 20_000;

export function startChromium(): Promise<Browser> {
  // Chinese is drawn as boxes without it, and every width is wrong.
  requirePart('chineseFont');
  return chromium.launch({
    executablePath: requirePart('chromium'),
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

export interface Visit {
  readonly page: Page;
  /** Errors on the page's console and exceptions nobody caught. */
  readonly complaints: string[];
  close(): Promise<void>;
}

/** A page of its own browser profile. `language` is kept as the console keeps it. */
export async function visit(
  browser: Browser,
  url: string,
  options: BrowserContextOptions & { language?: 'zh' | 'en' } = {},
): Promise<Visit> {
  const { language = 'zh', ...rest } = options;
  const context = await browser.newContext({ viewport: { width: 1366, height: 768 }, ...rest });
  context.setDefaultTimeout(PATIENCE_MS);
  await context.addInitScript(`localStorage.setItem('waystation-language', '${language}')`);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(url);
  return { page, complaints, close: () => context.close() };
}
