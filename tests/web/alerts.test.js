// The list of alerts: live, by keyboard, on a phone, in both themes; acknowledging, silencing, the chart that fired.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { colouredPixels, openBrowser, openPage, send, startServer, until } from './lib.js';

let server;
let browser;
let url;
let hash;

const api = async (path, body, method = 'POST') => {
  const r = await fetch(new URL(`api/silex/v1/${path}`, url), { method, headers: { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) });
  assert.ok(r.ok, await r.clone().text());
  return r.json();
};

before(async () => {
  server = await startServer();
  url = server.url;
  hash = `${url}#/alerts`;
  await api('rules', { name: 'Tachycardia', selector: 'hr', condition: '>', limit: 120, labels: { severity: 'critical' }, annotations: { summary: 'Heart rate is high' } });
  await api('rules', { name: 'Fever', selector: 'temp', condition: '>', limit: 38.5, delay_on: '10m', labels: { severity: 'warning' } });
  const now = Date.now();
  const past = Array.from({ length: 120 }, (_, i) => now - 3600e3 + i * 30e3);
  await send(url, ['1', '2'].flatMap((bed) => past.map((t, i) => `hr{bed="${bed}"} ${70 + (i % 9)} ${t}`)));
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

function pageTest(name, body, options = {}, expected = null) {
  test(name, { timeout: 120_000 }, async () => {
    const page = await openPage(browser, url, options, expected);
    try {
      await body(page);
      assert.deepEqual(page.faults, []);
    } finally {
      await page.context().close();
    }
  });
}

const alert = (page, text) => page.locator('article.alert', { hasText: text });
const vitals = (bed, value) => send(url, [`hr{bed="${bed}"} ${value}`]);

pageTest('nothing fires; then something does, without a reload', async (page) => {
  await page.goto(hash);
  await page.waitForSelector('.summary:has-text("Nothing fires")');
  await page.waitForSelector('.link:has-text("Live")');
  await vitals('1', 131);
  await alert(page, 'bed=1').waitFor();
  assert.match(await page.locator('.summary').innerText(), /▲ 1 firing/);
  const text = await alert(page, 'bed=1').innerText();
  for (const part of ['critical', 'Tachycardia', 'Heart rate is high', '131', 'Acknowledge', 'Silence']) assert.ok(text.includes(part), `${part}: ${text}`);
  assert.match(await alert(page, 'bed=1').locator('.sign').innerText(), /▲▲/); // the state has a shape, not a colour alone
  await send(url, ['temp{bed="3"} 39.4']);
  await page.waitForSelector('h2[data-group=pending]');
  assert.equal(await alert(page, 'Fever').getAttribute('data-state'), 'pending');
});

pageTest('opened: the expression, its history, the chart with its limit', async (page) => {
  await page.goto(hash);
  await alert(page, 'bed=1').locator('.alert-head').click();
  await until(async () => (await colouredPixels(page)) > 500);
  assert.match(await alert(page, 'bed=1').locator('.words').innerText(), /hr > 120/);
  assert.match(await alert(page, 'bed=1').locator('.events').innerText(), /▲ firing/);
  assert.match(await alert(page, 'bed=1').locator('.strip').getAttribute('aria-label'), /fired 1 time/);
  await alert(page, 'bed=1').getByRole('button', { name: 'Explore' }).click();
  await page.waitForSelector('.panel');
  assert.equal(await page.locator('.panel textarea').first().inputValue(), 'hr > 120');
});

pageTest('acknowledged with a name, by keyboard, and taken back', async (page) => {
  await page.goto(hash);
  await alert(page, 'bed=1').waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('c');
  await page.getByLabel('Your name').fill('Dr. Grün');
  await page.getByLabel('Why').fill('on my way');
  await page.keyboard.press('Enter');
  await page.waitForSelector('h2[data-group=muted]');
  assert.match(await alert(page, 'bed=1').innerText(), /✓ Dr\. Grün/);
  assert.equal((await api('alerts', { selector: '{bed="1"}' })).alerts[0].acknowledged.by, 'Dr. Grün');
  await alert(page, 'bed=1').getByRole('button', { name: 'Take back' }).click();
  await page.waitForSelector('h2[data-group=firing]');
});

pageTest('silenced: a refusal is explained, the name is remembered, End ends it', async (page) => {
  await page.goto(hash);
  await alert(page, 'bed=1').getByRole('button', { name: 'Silence' }).click();
  const match = page.locator('input[name=match]');
  assert.equal(await match.inputValue(), '{alertname="Tachycardia", bed="1", severity="critical"}');
  await match.fill('{bed=~".*"}');
  await page.getByLabel('Your name').fill('Anna');
  await page.getByRole('button', { name: 'Silence', exact: true }).last().click();
  await page.waitForSelector('dialog .fault-text:has-text("every alert")');
  await match.fill('{bed="1"}');
  await page.getByRole('button', { name: 'Silence', exact: true }).last().click();
  await page.waitForSelector('h2[data-group=muted]');
  assert.match(await page.locator('.silences').innerText(), /\{bed="1"\}.*Anna, .*left/s);
  await page.reload();
  await page.locator('.silences').getByRole('button', { name: 'End' }).click();
  await page.waitForSelector('h2[data-group=firing]');
  await page.keyboard.press('z');
  assert.equal(await page.getByLabel('Your name').inputValue(), 'Anna');
}, {}, /status of 400/);

pageTest('filter by words and by state, kept in the address', async (page) => {
  await vitals('2', 140);
  await page.goto(hash);
  await alert(page, 'bed=2').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('tachy bed=2');
  await until(async () => (await page.locator('article.alert').count()) === 1);
  await page.reload();
  await until(async () => (await page.locator('article.alert').count()) === 1);
  await page.locator('input[type=search]').fill('nothing like this');
  await page.waitForSelector('.none:has-text("No alert matches")');
});

pageTest('ended: it says so, and since when', async (page) => {
  await page.goto(hash);
  await alert(page, 'bed=2').waitFor();
  await vitals('2', 80);
  await until(async () => (await alert(page, 'bed=2').getAttribute('data-state')) === 'resolved');
  assert.match(await alert(page, 'bed=2').innerText(), /ended .* ago/);
  assert.equal(await alert(page, 'bed=2').getByRole('button', { name: 'Acknowledge' }).count(), 0);
});

for (const colorScheme of ['light', 'dark']) {
  pageTest(`a phone, ${colorScheme}: nothing is wider than the screen, words have contrast`, async (page) => {
    await page.goto(hash);
    await alert(page, 'bed=1').locator('.alert-head').click();
    await until(async () => (await colouredPixels(page)) > 200);
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 390);
    const least = await page.evaluate(() => {
      const light = (c) => c.match(/[\d.]+/g).slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((n, v, i) => n + v * [0.2126, 0.7152, 0.0722][i], 0);
      const ground = light(getComputedStyle(document.querySelector('.alert')).backgroundColor);
      return Math.min(...[...document.querySelectorAll('.alert b, .alert .says, .alert .sign span, .alert .since')].filter((e) => e.textContent).map((e) => {
        const ink = light(getComputedStyle(e).color);
        return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
      }));
    });
    assert.ok(least >= 4.5, `contrast ${least}`);
  }, { viewport: { width: 390, height: 780 }, colorScheme });
}

pageTest('the server goes away and comes back: the list is live again', async (page) => {
  await page.goto(hash);
  await page.waitForSelector('.link:has-text("Live")');
  const left = await server.stop({ keep: true });
  await page.waitForSelector('.link:has-text("not reachable")', { timeout: 20_000 });
  server = await startServer(left);
  await page.waitForSelector('.link:has-text("Live")', { timeout: 30_000 });
  await vitals('5', 150);
  await alert(page, 'bed=5').waitFor();
}, {}, /WebSocket|ERR_CONNECTION_REFUSED|Failed to load/);
