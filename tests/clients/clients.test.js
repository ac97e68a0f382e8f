// Each client as its manual shows it, pointed at Silex; what it sent is read back exactly.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { InfluxDB, Point } from '@influxdata/influxdb-client';
import { OTLPMetricExporter as JsonExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as ProtoExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { Resource } from '@opentelemetry/resources';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import * as influx1 from 'influx';
import mqtt from 'mqtt';
import prom from 'prom-client';
import { startServer, until } from '../web/server.js';

const mosquitto = ['/usr/sbin/mosquitto', '/usr/bin/mosquitto'].find(existsSync);
const folder = mkdtempSync(join(tmpdir(), 'silex-clients-'));
const registry = new prom.Registry();
let target; // prom-client's page
let broker;
let brokerPort;
let server;

const freePort = () => new Promise((done) => {
  const s = createSocket().listen(0, '127.0.0.1', () => {
    const { port } = s.address();
    s.close(() => done(port));
  });
});

before(async () => {
  target = createServer(async (_, r) => r.writeHead(200, { 'Content-Type': registry.contentType }).end(await registry.metrics()));
  await new Promise((done) => target.listen(0, '127.0.0.1', done));
  brokerPort = await freePort();
  if (mosquitto) {
    writeFileSync(join(folder, 'mosquitto.conf'), `listener ${brokerPort} 127.0.0.1\nallow_anonymous true\n`);
    broker = spawn(mosquitto, ['-c', join(folder, 'mosquitto.conf')], { stdio: 'ignore' });
  }
  const config = join(folder, 'silex.yml');
  writeFileSync(config, `scrape_configs:
  - job_name: app
    scrape_interval: 500ms
    scrape_timeout: 400ms
    static_configs:
      - targets: ['127.0.0.1:${target.address().port}']
${mosquitto ? `mqtt:
  - host: 127.0.0.1
    port: ${brokerPort}
    topics:
      - pattern: plant/{site}/{sensor}
        metric: plant_{sensor}
` : ''}`);
  server = await startServer({ args: ['--config', config] });
});
after(async () => {
  await server?.stop();
  broker?.kill();
  target?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The values of a query by one label. */
async function values(query, label = '__name__') {
  const r = await (await fetch(new URL(`api/v1/query?query=${encodeURIComponent(query)}`, server.url))).json();
  assert.equal(r.status, 'success', r.error);
  return Object.fromEntries(r.data.result.map((s) => [s.metric[label] ?? '', s.value[1]]));
}

const arrived = (query, label, expected) => until(async () => {
  const got = await values(query, label);
  return JSON.stringify(got) === JSON.stringify(expected) && got;
}).catch(async () => assert.deepEqual(await values(query, label), expected));

test('@influxdata/influxdb-client writes by the API of InfluxDB 2, with gzip', async () => {
  const api = new InfluxDB({ url: server.url, token: 'any' }).getWriteApi('org', 'sensors', 'ms', { gzipThreshold: 1 });
  for (let i = 0; i < 100; i++) api.writePoint(new Point('climate').tag('room', `r${i % 3}`).floatField('temp', 20 + (i % 3)).intField('co2', 400 + i).timestamp(new Date(Date.now() - (99 - i) * 10)));
  await api.close();
  await arrived('climate_temp', 'room', { r0: '20', r1: '21', r2: '22' });
  assert.deepEqual(await values('climate_co2{db="sensors"}', 'room'), { r0: '499', r1: '497', r2: '498' });
});

test('influx writes by the API of InfluxDB 1, and finds its database', async () => {
  const { hostname, port } = new URL(server.url);
  const db = new influx1.InfluxDB({ host: hostname, port: Number(port), database: 'plant' });
  await db.createDatabase('plant');
  assert.ok(Array.isArray(await db.getDatabaseNames()));
  await db.writePoints([{ measurement: 'motor', tags: { line: 'a b' }, fields: { rpm: 1450.5, on: true } }, { measurement: 'motor', tags: { line: 'c,d' }, fields: { rpm: 0 } }]);
  await arrived('motor_rpm', 'line', { 'a b': '1450.5', 'c,d': '0' });
  assert.ok((await db.ping(2000))[0].online);
});

for (const [name, Exporter] of [['proto', ProtoExporter], ['http (JSON)', JsonExporter]]) {
  test(`@opentelemetry/exporter-metrics-otlp-${name}`, async () => {
    const service = `shop-${name.slice(0, 4)}`;
    const reader = new PeriodicExportingMetricReader({ exporter: new Exporter({ url: new URL('v1/metrics', server.url).href }), exportIntervalMillis: 3_600_000 });
    const provider = new MeterProvider({ resource: new Resource({ 'service.name': service }), readers: [reader] });
    const meter = provider.getMeter('test');
    meter.createCounter('orders', { unit: '1' }).add(7, { kind: 'book' });
    meter.createObservableGauge('queue.depth').addCallback((o) => o.observe(3));
    const duration = meter.createHistogram('request.duration', { unit: 's', advice: { explicitBucketBoundaries: [0.1, 1] } });
    [0.05, 0.5, 5].forEach((v) => duration.record(v));
    await provider.forceFlush();
    await provider.shutdown();
    await arrived(`orders_total{job="${service}"}`, 'kind', { book: '7' });
    assert.deepEqual(await values(`queue_depth{job="${service}"}`, 'job'), { [service]: '3' });
    assert.deepEqual(await values(`request_duration_seconds_bucket{job="${service}"}`, 'le'), { 0.1: '1', 1: '2', '+Inf': '3' });
  });
}

test('prom-client is scraped', async () => {
  const counter = new prom.Counter({ name: 'jobs_total', help: 'Jobs done.', labelNames: ['kind'], registers: [registry] });
  counter.inc({ kind: 'odd "one"' }, 5);
  new prom.Histogram({ name: 'wait_seconds', help: 'Waiting.', buckets: [1], registers: [registry] }).observe(0.5);
  await arrived('jobs_total', 'kind', { 'odd "one"': '5' });
  assert.deepEqual(await values('wait_seconds_sum', 'job'), { app: '0.5' });
  assert.deepEqual(await values('up', 'job'), { app: '1' });
  const metadata = await (await fetch(new URL('api/v1/metadata?metric=jobs_total', server.url))).json();
  assert.deepEqual(metadata.data.jobs_total.map((m) => [m.type, m.help]), [['counter', 'Jobs done.']]);
});

test('mqtt: what is published is stored', { skip: mosquitto ? false : 'mosquitto is not installed' }, async () => {
  await until(async () => (await (await fetch(new URL('metrics', server.url))).text()).includes(`silex_mqtt_connected{broker="127.0.0.1:${brokerPort}"} 1`));
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${brokerPort}`);
  await until(async () => {
    await client.publishAsync('plant/north/temp', '21.5', { qos: 1 });
    return (await values('plant_temp', 'site')).north === '21.5';
  });
  await client.publishAsync('plant/south/air', JSON.stringify({ value: 5, hum: 40 }), { qos: 1 });
  await arrived('{__name__=~"plant_air.*"}', '__name__', { plant_air: '5', plant_air_hum: '40' });
  await client.endAsync();
});
