// What people do with the page, in a real browser against a real server.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { answered, colouredPixels, explore, fixture, openBrowser, openPage, send, startServer, until } from './lib.js';

const temperature = 'test_temperature_celsius';
let server;
let browser;
let url;

before(async () => {
  server = await startServer();
  url = server.url;
  await send(url, fixture());
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A test with a page of its own; whatever went wrong in it fails the test. */
function pageTest(name, body, { options, expected } = {}) {
  test(name, { timeout: 180_000 }, async () => {
    const page = await openPage(browser, url, options, expected);
    try {
      await body(page);
      assert.deepEqual(page.faults, []);
    } finally {
      await page.context().close();
    }
  });
}

const query = (page, n = 0) => page.locator('.panel textarea').nth(n);
const params = async (page) => Object.fromEntries(await page.evaluate(() => [...new URLSearchParams(location.hash.split('?')[1])]));

pageTest('a query typed gives a chart with pixels and a legend with names', async (page) => {
  await page.goto(url);
  await query(page).fill(temperature);
  await query(page).press('Enter');
  await answered(page);
  assert.ok((await colouredPixels(page)) > 1000);
  const names = await page.locator('.legend-row .c-name').allInnerTexts();
  assert.deepEqual(names.map((n) => n.trim()), ['a', 'b', 'c']);
  assert.match(await page.locator('.stats').innerText(), /\d ms.*3 series.*points.*step.*°C/s);
  assert.match(await page.locator('.legend-row').first().innerText(), /°C/);
});

pageTest('the first chart stands within 500 ms', async (page) => {
  const times = [];
  for (let i = 0; i < 5; i++) {
    await page.goto('about:blank');
    await page.goto(explore(url, { q: temperature }), { waitUntil: 'commit' });
    await page.waitForSelector('.chart canvas', { state: 'attached' });
    await until(async () => (await colouredPixels(page)) > 500);
    times.push(await page.evaluate(() => performance.getEntriesByName('silex-first-chart')[0].startTime));
  }
  times.sort((a, b) => a - b);
  console.log(`first chart: ${times.map(Math.round).join(', ')} ms`);
  assert.ok(times[2] < 500, `median ${times[2]} ms`);
});

pageTest('a gap is a gap', async (page) => {
  await page.goto(explore(url, { q: `last_over_time(${temperature}{room="b"}[1m])`, from: 'now-1h', to: 'now', step: '15s' }));
  await answered(page);
  assert.ok((await colouredPixels(page, 0.1, 0.3)) > 100);
  assert.equal(await colouredPixels(page, 0.46, 0.54), 0);
  assert.ok((await colouredPixels(page, 0.7, 0.9)) > 100);
});

pageTest('an error stands under the character it is about', async (page) => {
  const text = 'sum(rate(test_requests_total[5m])) bi (code)';
  await page.goto(explore(url, { q: text }));
  await page.waitForSelector('.editor .fault');
  const mark = await page.locator('.editor .fault').evaluate((e) => {
    const before = document.createRange();
    before.setStart(e.parentElement, 0);
    before.setEndBefore(e);
    return before.toString();
  });
  assert.equal(mark, 'sum(rate(test_requests_total[5m])) ');
  assert.match(await page.locator('.fault-line').innerText(), /unexpected/);
  const [x, arrow] = await page.evaluate(() => {
    const line = document.querySelector('.fault-line');
    return [document.querySelector('.fault').getBoundingClientRect().left, line.getBoundingClientRect().left + parseFloat(line.style.getPropertyValue('--x'))];
  });
  assert.ok(Math.abs(x - arrow) < 12, `${x} ${arrow}`);
  await query(page).fill('test_requests_total');
  await query(page).press('Enter');
  await answered(page);
  assert.equal(await page.locator('.fault').count(), 0);
}, { expected: /status of 400/ });

pageTest('completion: metrics, functions, labels, values', async (page) => {
  await page.goto(url);
  const words = () => page.locator('.completions:not([hidden]) .word').allInnerTexts();
  await query(page).focus();
  await page.keyboard.type('rat');
  await until(async () => (await words())[0] === 'rate');
  await page.keyboard.press('Enter');
  await page.keyboard.type('test_req');
  await until(async () => (await words())[0] === 'test_requests_total');
  await page.keyboard.press('Tab');
  await page.keyboard.type('{');
  await page.keyboard.type('co');
  await until(async () => (await words())[0] === 'code');
  await page.keyboard.press('Enter');
  await page.keyboard.type('="');
  await until(async () => (await words()).join() === '200,500');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  assert.equal(await query(page).inputValue(), 'rate(test_requests_total{code="500"})');
  await page.keyboard.press('End');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.type('[5');
  await page.keyboard.type('m');
  await page.keyboard.press('Escape');
  await query(page).press('Enter');
  await answered(page);
  assert.equal(await query(page).inputValue(), 'rate(test_requests_total{code="500"}[5m])');
  assert.match(await page.locator('.stats').innerText(), /1 series/);
});

pageTest('the address shared shows the same, and Back goes back', async (page) => {
  await page.goto(explore(url, { q: temperature, from: 'now-30m', to: 'now' }));
  await answered(page);
  await page.getByRole('button', { name: 'Add a query' }).click();
  await query(page, 1).fill('rate(test_requests_total[5m])');
  await query(page, 1).press('Enter');
  await answered(page);
  await page.getByRole('button', { name: 'Share' }).click();
  const shared = await page.evaluate(() => navigator.clipboard.readText());
  const other = await openPage(browser, url);
  await other.goto(shared);
  await answered(other);
  assert.equal(await query(other, 0).inputValue(), temperature);
  assert.equal(await query(other, 1).inputValue(), 'rate(test_requests_total[5m])');
  assert.equal(await other.locator('.range').innerText(), 'Last 30m');
  assert.ok((await colouredPixels(other, 0, 1, 1)) > 200);
  assert.deepEqual(other.faults, []);
  await other.context().close();
  await page.goBack();
  await answered(page);
  assert.equal(await page.locator('.panel').count(), 1);
  assert.equal(await query(page).inputValue(), temperature);
  await page.goForward();
  await answered(page);
  assert.equal(await page.locator('.panel').count(), 2);
});

pageTest('drag zooms, double click zooms out, the crosshair is shared', async (page) => {
  await page.goto(explore(url, { q: temperature, from: 'now-1h', to: 'now' }).concat(`&q=test_requests_total`));
  await answered(page);
  const box = await page.locator('.u-over').first().boundingBox();
  await page.mouse.move(box.x + box.width * 0.7, box.y + 80);
  await page.waitForSelector('.tip:not([hidden])');
  assert.match(await page.locator('.tip:not([hidden])').innerText(), /\d\d:\d\d:\d\d.*°C/s);
  const lines = await page.locator('.u-cursor-x').evaluateAll((all) => all.map((e) => e.getBoundingClientRect().left));
  assert.equal(lines.length, 2);
  assert.ok(Math.abs(lines[0] - lines[1]) <= 3, `${lines}`);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.9, box.y + 90, { steps: 5 });
  await page.mouse.up();
  await until(async () => (await params(page)).from?.endsWith('Z'));
  const { from, to } = await params(page);
  const minutes = (Date.parse(to) - Date.parse(from)) / 60_000;
  assert.ok(minutes > 11 && minutes < 13, `${minutes} minutes`);
  await answered(page);
  await page.locator('.u-over').first().dblclick();
  await until(async () => (await params(page)).from !== from);
  const wide = await params(page);
  assert.ok(Math.abs((Date.parse(wide.to) - Date.parse(wide.from)) / 60_000 - 2 * minutes) < 0.1);
  await page.goBack();
  await until(async () => (await params(page)).from === from);
});

pageTest('export: CSV and PNG', async (page) => {
  await page.goto(explore(url, { q: temperature, from: 'now-30m', to: 'now', step: '1m' }));
  await answered(page);
  const get = async (name) => {
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export' }).click().then(() => page.getByRole('button', { name }).click())]);
    return readFileSync(await file.path());
  };
  const rows = (await get('Data as CSV')).toString().trim().split('\n');
  assert.match(rows[0], /^time,"test_temperature_celsius\{.*room=""a"".*\}",/);
  assert.ok(rows.length >= 29 && rows.length <= 32, `${rows.length} rows`);
  assert.match(rows[2], /^\d{4}-\d\d-\d\dT\d\d:\d\d:00\.000Z,(19|20|21)\.\d*,/);
  const png = await get('Chart as PNG');
  assert.equal(png.subarray(1, 4).toString(), 'PNG');
  assert.ok(png.length > 5000);
});

pageTest('a thousand series: fifty are drawn, and the page says so', async (page) => {
  await page.goto(explore(url, { q: 'test_many', from: 'now-15m', to: 'now' }));
  await answered(page);
  assert.match(await page.locator('.note').innerText(), /Drawing 50 of 1,000 series/);
  assert.match(await page.locator('.stats').innerText(), /1.000 series/);
  const first = () => page.locator('.legend-row .c-name').first().innerText();
  assert.equal((await first()).trim(), '000');
  await page.getByRole('columnheader', { name: 'Max' }).click();
  assert.equal((await first()).trim(), '999');
  assert.match(await page.locator('.note').innerText(), /by max/);
  await page.getByRole('columnheader', { name: 'Max' }).click();
  assert.equal((await first()).trim(), '000');
  await page.locator('.legend .rows').evaluate((e) => (e.scrollTop = e.scrollHeight));
  await until(async () => (await page.locator('.legend-row .c-name').last().innerText()).trim() === '999');
  assert.ok((await page.locator('.legend-row').count()) < 40);
  assert.ok((await colouredPixels(page)) > 1000);
});

pageTest('table: values at the end of the range, sortable', async (page) => {
  await page.goto(explore(url, { q: temperature, view: 'table' }));
  await answered(page);
  const rows = () => page.locator('.table-row').allInnerTexts();
  assert.equal((await rows()).length, 3);
  await page.getByRole('columnheader', { name: 'value' }).click();
  assert.match((await rows())[0], /\bc\b.*2[789]/s);
  assert.match((await rows())[2], /\ba\b.*(19|20|21)/s);
});

pageTest('ranges: presets, absolute times, UTC, and what is no time', async (page) => {
  await page.goto(explore(url, { q: temperature }));
  await page.locator('.range').click();
  await page.getByRole('button', { name: 'Last 15 minutes' }).click();
  assert.equal((await params(page)).from, 'now-15m');
  await page.locator('.range').click();
  await page.getByLabel('From').fill('yesterday');
  await page.getByRole('button', { name: 'Apply' }).click();
  assert.match(await page.locator('.range-panel .fault-text').innerText(), /no time/);
  await page.getByLabel('Times in UTC').check();
  await page.getByLabel('From').fill('2026-03-01 08:00');
  await page.getByLabel('To').fill('2026-03-01 09:30');
  await page.getByRole('button', { name: 'Apply' }).click();
  const { from, to } = await params(page);
  assert.deepEqual([from, to], ['2026-03-01T08:00:00.000Z', '2026-03-01T09:30:00.000Z']);
  assert.match(await page.locator('.range').innerText(), /2026-03-01 08:00:00 → 09:30:00 UTC/);
  await until(async () => (await page.locator('.panel').innerText()).includes('No samples in this range'));
});

pageTest('metrics: one click gives the query that fits the type', async (page) => {
  await page.goto(`${url}#/metrics`);
  const search = page.getByLabel('Search metrics');
  const pick = async (word) => {
    await search.fill(word);
    await page.locator('.metric').first().click();
    await answered(page);
    return query(page).inputValue();
  };
  await search.fill('temper');
  await until(async () => /gauge.*3 series/s.test(await page.locator('.metric').first().innerText()));
  assert.match(await page.locator('.metric').first().innerText(), /Temperature of a room/);
  assert.equal(await pick('temperature'), temperature);
  await page.goBack();
  assert.equal(await pick('requests_total'), 'rate(test_requests_total[5m])');
  await page.goBack();
  assert.equal(await pick('latency_seconds_bucket'), 'histogram_quantile(0.95, sum by (le) (rate(test_latency_seconds_bucket[5m])))');
  assert.ok((await colouredPixels(page)) > 200);
});

const wall = (watches) => `${url}#/monitor?${new URLSearchParams(watches.map((w) => ['w', JSON.stringify(w)]))}`;

pageTest('monitor: large values, limits in words, old data loud', async (page) => {
  await send(url, [`test_pulse{bed="1"} 72 ${Date.now()}`, `test_pulse{bed="2"} 180 ${Date.now()}`, `test_old 5 ${Date.now() - 120_000}`]);
  await page.goto(wall([{ query: 'test_pulse', title: 'HR', unit: 'bpm', alarmHigh: 140, alarmLow: 40, stale: '1m' }, { query: 'test_old' }, { query: 'test_absent', title: 'SpO₂' }]));
  await page.waitForFunction(() => document.querySelectorAll('.tile[data-level]').length === 4);
  const text = (n) => page.locator('.tile').nth(n).innerText();
  assert.match(await text(0), /HR.*72.*bpm/s);
  assert.match(await text(1), /▲▲ HIGH.*180/s);
  assert.match(await text(2), /NO DATA.*2:\d\d.*it was 5/s);
  assert.match(await text(3), /SpO₂.*NO DATA/s);
  assert.match(await page.locator('.summary').innerText(), /1 alarm.*2 without data/);
  const height = await page.locator('.tile .value').first().evaluate((e) => parseFloat(getComputedStyle(e).fontSize));
  assert.ok(height >= 64, `${height} px`); // 3 m away: figures of 12 mm
  assert.match(await page.locator('.link').innerText(), /Live/); // by the WebSocket
  await send(url, [`test_pulse{bed="1"} 35 ${Date.now() + 1}`]);
  await until(async () => /▼▼ LOW.*35/s.test(await text(0)));
});

pageTest('monitor: a value is added by hand', async (page) => {
  await page.goto(`${url}#/monitor`);
  await page.getByRole('button', { name: 'Add a value' }).first().click();
  await page.locator('dialog textarea').fill('test_temperature_celsius{');
  await page.getByRole('button', { name: 'Add to the wall' }).click();
  await page.waitForSelector('dialog .fault-text:not(:empty)');
  await page.locator('dialog textarea').fill('test_temperature_celsius{room="a"}');
  await page.getByLabel('Title').fill('Room');
  await page.getByRole('button', { name: 'Add to the wall' }).click();
  await page.waitForSelector('.tile .value:not(:empty)');
  assert.match(await page.locator('.tile').innerText(), /Room/);
  await page.reload();
  await page.waitForSelector('.tile .value:not(:empty)');
}, { expected: /status of 400/ });

pageTest('status: what is stored', async (page) => {
  await page.goto(`${url}#/status`);
  await page.waitForSelector('.cards .figure');
  const text = await page.locator('#status').innerText();
  assert.match(text, /Server.*Ready.*Series.*1.0\d\d/s);
  assert.match(text, /Storage.*on disk.*Log.*Head.*Blocks.*Memory.*limit of.*Power cut\s+At most 1 s/s);
  assert.match(text, /Slow queries.*Most series.*test_many.*1.000/s);
  await until(async () => /Ingest\s+\d+\s*samples per second/.test(await page.locator('#status').innerText()));
});

pageTest('keys: views, help, theme, chart or table', async (page) => {
  await page.goto(explore(url, { q: temperature }));
  await answered(page);
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await ground();
  await page.keyboard.press('d');
  assert.notEqual(await ground(), before);
  await page.keyboard.press('t');
  await page.waitForSelector('.table-row');
  await page.keyboard.press('?');
  assert.match(await page.locator('dialog').innerText(), /Ctrl\+Space/);
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', { state: 'detached' });
  await page.keyboard.press('m');
  await page.waitForSelector('#metrics');
  await page.locator('.brand').focus();
  await page.keyboard.press('e');
  await page.waitForSelector('#explore');
  assert.equal(await query(page).inputValue(), temperature);
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'TEXTAREA');
});

for (const colorScheme of ['light', 'dark']) {
  pageTest(`phone width, ${colorScheme}: nothing is wider than the screen`, async (page) => {
    for (const at of [explore(url, { q: temperature }), explore(url, { q: temperature, view: 'table' }), `${url}#/metrics`, wall([{ query: temperature }]), `${url}#/status`]) {
      await page.goto(at);
      await page.waitForTimeout(400);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), at);
    }
  }, { options: { viewport: { width: 360, height: 740 }, colorScheme, hasTouch: true } });
}

pageTest('a tenant of one\'s own has its own data', async (page) => {
  await page.goto(explore(url, { q: temperature }));
  await answered(page);
  await page.getByRole('button', { name: 'Settings' }).click();
  const sent = page.waitForRequest((r) => r.url().includes('query_range') && r.headers()['x-scope-orgid'] === 'other' && r.headers().authorization === 'Bearer secret');
  await page.getByLabel('Token').fill('secret');
  await page.getByLabel('Token').blur();
  await page.getByLabel('Tenant').fill('other');
  await page.getByLabel('Tenant').blur();
  await sent;
  await until(async () => (await page.locator('.panel').innerText()).includes('No samples in this range'));
  assert.equal(await page.evaluate(() => JSON.stringify(localStorage).includes('secret')), false);
});

pageTest('links made for Prometheus lead to the same query', async (page) => {
  await page.goto(`${url}graph?g0.expr=${encodeURIComponent(temperature)}&g0.range_input=30m&g0.tab=0`);
  await answered(page);
  assert.equal(await query(page).inputValue(), temperature);
  assert.ok((await colouredPixels(page)) > 500);
});

test('an empty store says how to fill it, and turns into a chart with the first sample', { timeout: 60_000, skip: Boolean(process.env.SILEX_TEST_URL) }, async () => {
  const empty = await startServer();
  const page = await openPage(browser, empty.url);
  try {
    await page.goto(empty.url);
    await page.waitForSelector('.welcome');
    const host = new URL(empty.url).host;
    for (const tab of await page.getByRole('tab').all()) {
      await tab.click();
      assert.match(await page.locator('.snippet pre').innerText(), new RegExp(`${host}|scrape_configs`));
    }
    await page.getByRole('tab', { name: 'Line protocol' }).click();
    assert.match(await page.locator('.snippet pre').innerText(), /curl -X POST/);
    await send(empty.url, [`first_value{room="lab"} 21.5 ${Date.now()}`]);
    await page.waitForSelector('.legend-row');
    assert.equal(await query(page).inputValue(), 'first_value');
    assert.equal(await page.locator('.welcome').count(), 0);
    assert.deepEqual(page.faults, []);
  } finally {
    await page.context().close();
    await empty.stop();
  }
});

test('a server that goes and comes back is noticed, and data flows again', { timeout: 90_000, skip: Boolean(process.env.SILEX_TEST_URL) }, async () => {
  let own = await startServer();
  const page = await openPage(browser, own.url, {}, /WebSocket|ERR_CONNECTION|status of 50/);
  try {
    const value = (v) => send(own.url, [`test_value ${v} ${Date.now()}`]);
    await value(11);
    await page.goto(wall([{ query: 'test_value', stale: '3s' }]).replace(url, own.url));
    await until(async () => /11/.test(await page.locator('.tile .value').innerText()));
    await page.waitForSelector('.link[data-link=live]');
    const left = await own.stop({ keep: true });
    await page.waitForSelector('.link[data-link=down]');
    await page.waitForSelector('.tile[data-level=stale]');
    assert.match(await page.locator('.tile').innerText(), /NO DATA/);
    own = await startServer(left);
    await page.waitForSelector('.link[data-link=live]', { timeout: 20_000 });
    await value(12);
    await until(async () => /12/.test(await page.locator('.tile .value').innerText()));
    assert.deepEqual(page.faults, []);
  } finally {
    await page.context().close();
    await own.stop();
  }
});

pageTest('a minute of live updates leaves no memory behind', async (page) => {
  const second = await page.context().newPage(); // the wall, at the same time
  const meter = async (p) => {
    const cdp = await page.context().newCDPSession(p);
    return async () => {
      for (let i = 0; i < 3; i++) await cdp.send('HeapProfiler.collectGarbage');
      return (await cdp.send('Runtime.getHeapUsage')).usedSize;
    };
  };
  const meters = [await meter(page), await meter(second)];
  const counts = () => Promise.all([page, second].map((p) => p.evaluate(() => document.getElementsByTagName('*').length)));
  await page.goto(explore(url, { q: 'test_many', from: 'now-5m', to: 'now', live: '1s' }));
  await second.goto(wall([{ query: 'test_live', title: 'Live' }, { query: 'sum(test_live)' }]));
  await answered(page);
  const pulse = async (seconds) => {
    for (let i = 0; i < seconds * 2; i++) {
      await send(url, [`test_many{n="000"} ${i} ${Date.now()}`, `test_live{n="1"} ${i} ${Date.now()}`, `test_live{n="2"} ${-i} ${Date.now()}`]);
      await page.waitForTimeout(500);
    }
  };
  // Measured at rest: an answer under way is not a leak.
  const live = (every) => page.getByLabel('Refresh by itself').selectOption(every);
  const atRest = async () => {
    await live('off');
    await page.waitForTimeout(2000);
    await answered(page);
    return [await meters[0](), await meters[1]()];
  };
  await pulse(10);
  const before = await atRest();
  await live('1s');
  const elements = await counts();
  await pulse(60);
  const now = await atRest();
  for (const [i, name] of ['explore', 'monitor'].entries()) {
    const growth = now[i] - before[i];
    console.log(`heap of ${name}: ${(before[i] / 1e6).toFixed(1)} MB, after 60 s of live updates ${growth >= 0 ? '+' : ''}${(growth / 1e6).toFixed(2)} MB`);
    assert.ok(growth < 1_000_000, `${growth} bytes more`);
    assert.ok((await counts())[i] < elements[i] + 50);
  }
});
