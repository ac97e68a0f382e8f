// Data, a browser, pages that notice every error and every request that leaves the machine.
import { chromium } from 'playwright-core';

export * from './server.js';

const minute = 60_000;

/** An hour of a few metrics up to now, every 15 s; room b has no samples for the middle ten minutes. */
export function fixture(now = Date.now()) {
  const lines = ['# HELP test_temperature_celsius Temperature of a room.', '# TYPE test_temperature_celsius gauge', '# HELP test_requests_total Requests served.',
    '# TYPE test_requests_total counter', '# HELP test_latency_seconds How long requests took.', '# TYPE test_latency_seconds histogram'];
  const end = Math.floor(now / 15_000) * 15_000;
  for (let t = end - 60 * minute, i = 0; t <= end; t += 15_000, i++) {
    ['a', 'b', 'c'].forEach((room, k) => {
      if (room !== 'b' || t < end - 35 * minute || t > end - 25 * minute) lines.push(`test_temperature_celsius{room="${room}"} ${(20 + 4 * k + Math.sin(i / 20)).toFixed(2)} ${t}`);
    });
    ['200', '500'].forEach((code, k) => lines.push(`test_requests_total{code="${code}"} ${i * (50 - 40 * k)} ${t}`));
    [['0.1', 5], ['1', 8], ['+Inf', 10]].forEach(([le, n]) => lines.push(`test_latency_seconds_bucket{le="${le}"} ${n * i} ${t}`));
    lines.push(`test_latency_seconds_count ${10 * i} ${t}`, `test_latency_seconds_sum ${4 * i} ${t}`);
  }
  for (let n = 0; n < 1000; n++) for (let i = 0; i <= 10; i++) lines.push(`test_many{n="${String(n).padStart(3, '0')}"} ${n + i / 10} ${end - (10 - i) * minute}`);
  return lines;
}

export const openBrowser = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--enable-precise-memory-info'] });

const ours = /willReadFrequently/; // colouredPixels reads the canvas again and again

/** A page that remembers what went wrong: page.faults. expected: a pattern of console errors that a test provokes. */
export async function openPage(browser, url, options = {}, expected = null) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, acceptDownloads: true, permissions: ['clipboard-read', 'clipboard-write'], ...options });
  const page = await context.newPage();
  page.faults = [];
  page.on('console', (m) => ['error', 'warning'].includes(m.type()) && !expected?.test(m.text()) && !ours.test(m.text()) && page.faults.push(`console: ${m.text()}`));
  page.on('pageerror', (e) => page.faults.push(`page: ${e.stack}`));
  page.on('request', (r) => !r.url().startsWith(new URL(url).origin) && !/^(blob|data):/.test(r.url()) && page.faults.push(`outside: ${r.url()}`));
  return page;
}

/** How many pixels of the first chart's plot (or of its columns from..to, as shares of the width) have a colour: not the grid's grey. */
export function colouredPixels(page, from = 0, to = 1, chart = 0) {
  return page.evaluate(([a, b, n]) => {
    const canvas = document.querySelectorAll('.chart canvas')[n];
    const over = document.querySelectorAll('.chart .u-over')[n];
    if (!canvas || !over) return 0;
    const ratio = canvas.width / canvas.clientWidth;
    const box = [over.offsetLeft + over.clientWidth * a, over.offsetTop, over.clientWidth * (b - a), over.clientHeight].map((v) => Math.round(v * ratio));
    const { data } = canvas.getContext('2d').getImageData(...box);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] > 128 && Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 60) count++;
    }
    return count;
  }, [from, to, chart]);
}

export const explore = (url, params) => `${url}#/explore?${new URLSearchParams(params)}`;

/** Until every query has an answer on the screen. */
export const answered = (page) => page.waitForFunction(() => {
  const panels = [...document.querySelectorAll('.panel')];
  return panels.length > 0 && panels.every((p) => !p.classList.contains('busy') && (p.querySelector('.stats b') || !p.querySelector('.fault-line').hidden));
});
