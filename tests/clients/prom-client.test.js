// prom-client: its page scraped, as text and as OpenMetrics with exemplars; its exposition pushed.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import prom from 'prom-client';
import { start, until } from './lib.js';

const text = new prom.Registry();
const open = new prom.Registry(prom.Registry.OPENMETRICS_CONTENT_TYPE);
let exporter;
let server;

/** One metric of each type; what the page must then hold. */
function fill(registry, prefix) {
  const registers = [registry];
  new prom.Counter({ name: `${prefix}_done_total`, help: 'Jobs done.', labelNames: ['kind'], registers }).inc({ kind: 'odd "one"\\\n' }, 5);
  new prom.Gauge({ name: `${prefix}_level`, help: 'Level.', registers }).set(-1.5e-7);
  const wait = new prom.Histogram({ name: `${prefix}_wait_seconds`, help: 'Waiting.', buckets: [0.5, 2], registers });
  [0.25, 1, 8].forEach((v) => wait.observe(v));
  const size = new prom.Summary({ name: `${prefix}_size`, help: 'Sizes.', percentiles: [0.5], registers });
  [1, 2, 3].forEach((v) => size.observe(v));
}

before(async () => {
  fill(text, 'text');
  const counter = new prom.Counter({ name: 'open_requests', help: 'Requests.', labelNames: ['code'], enableExemplars: true, registers: [open] });
  counter.inc({ labels: { code: '200' }, value: 3, exemplarLabels: { trace_id: 'abc' } });
  exporter = createServer(async (request, response) => {
    const registry = request.url === '/open' ? open : text;
    response.writeHead(200, { 'Content-Type': registry.contentType }).end(await registry.metrics());
  });
  await new Promise((done) => exporter.listen(0, '127.0.0.1', done));
  server = await start(`scrape_configs:
${['text', 'open'].map((name) => `  - job_name: ${name}
    metrics_path: /${name}
    scrape_interval: 500ms
    scrape_timeout: 400ms
    static_configs:
      - targets: ['127.0.0.1:${exporter.address().port}']`).join('\n')}
`);
});
after(async () => {
  await server?.stop();
  exporter?.close();
});

/** bound: how the upper bound 2 is kept: scraping spells it as Prometheus does. */
async function check(prefix, bound) {
  await server.arrived(`${prefix}_done_total`, 'kind', { 'odd "one"\\\n': '5' });
  assert.deepEqual(await server.values(`${prefix}_wait_seconds_bucket`, 'le'), { 0.5: '1', [bound]: '2', '+Inf': '3' });
  assert.deepEqual(await server.values(`{__name__=~"${prefix}_(level|wait_seconds_(sum|count)|size_(sum|count))"}`), {
    [`${prefix}_level`]: '-1.5e-07', [`${prefix}_wait_seconds_sum`]: '9.25', [`${prefix}_wait_seconds_count`]: '3', [`${prefix}_size_sum`]: '6', [`${prefix}_size_count`]: '3',
  });
  assert.deepEqual(await server.values(`${prefix}_size`, 'quantile'), { 0.5: '2' });
}

test('scraped as text', async () => {
  await check('text', '2.0');
  await server.arrived('up', 'job', { open: '1', text: '1' });
  const metadata = await server.data('metadata', { metric: 'text_done_total' });
  assert.deepEqual(metadata.text_done_total.map((m) => [m.type, m.help]), [['counter', 'Jobs done.']]);
});

test('scraped as OpenMetrics, with exemplars', async () => {
  await server.arrived('open_requests_total', 'code', { 200: '3' });
  const now = Date.now() / 1000;
  const exemplars = await server.data('query_exemplars', { query: 'open_requests_total', start: now - 60, end: now + 60 });
  assert.equal(exemplars[0].seriesLabels.code, '200');
  assert.deepEqual([exemplars[0].exemplars[0].labels, exemplars[0].exemplars[0].value], [{ trace_id: 'abc' }, '3']);
});

test('pushed', async () => {
  const registry = new prom.Registry();
  fill(registry, 'pushed');
  const r = await fetch(new URL('api/v1/import/prometheus', server.url), { method: 'POST', body: await registry.metrics(), headers: { 'Content-Type': registry.contentType } });
  assert.ok(r.ok, `${r.status}`);
  await check('pushed', '2');
});

test('the process\' own metrics, all of them', async () => {
  prom.collectDefaultMetrics({ register: text, prefix: 'node_' });
  const names = (await text.getMetricsAsJSON()).filter((m) => m.values.length && m.type === 'gauge' && m.name.startsWith('node_')).map((m) => m.name);
  assert.ok(names.length > 10);
  const missing = async () => {
    const got = await server.values('{__name__=~"node_.*",job="text"}');
    return names.filter((name) => !(name in got));
  };
  await until(async () => (await missing()).length === 0).catch(async () => assert.deepEqual(await missing(), []));
});
