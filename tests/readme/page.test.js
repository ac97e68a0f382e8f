// The README's link, opened in chromium: the processors' time by mode is drawn, with a legend. run.sh starts this.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { answered, colouredPixels, openBrowser, openPage, root, until } from '../web/lib.js';

test('the page draws what node_exporter tells of the processors', async () => {
  const url = process.env.README_URL;
  const browser = await openBrowser();
  try {
    const page = await openPage(browser, url);
    // rate() wants two scrapes, which are 5 s apart; then the lines grow.
    await until(async () => {
      await page.goto('about:blank');
      await page.goto(url);
      await answered(page);
      const drawn = await colouredPixels(page) > 50;
      if (!drawn) await new Promise((done) => setTimeout(done, 2000));
      return drawn;
    }, 60_000);
    const legend = (await page.locator('.legend-row .c-name').allInnerTexts()).join(' ');
    for (const mode of ['idle', 'system', 'user']) assert.ok(legend.includes(mode), `the legend has ${mode}: ${legend}`);
    mkdirSync(join(root, 'build/screenshots'), { recursive: true });
    await page.screenshot({ path: join(root, 'build/screenshots/readme.png') });
    assert.deepEqual(page.faults, []);
  } finally {
    await browser.close();
  }
});
