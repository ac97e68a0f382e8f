// influx: the API of InfluxDB 1.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { InfluxDB } from 'influx';
import { start } from './lib.js';

let server;
let db;
before(async () => {
  server = await start();
  const { hostname, port } = new URL(server.url);
  db = new InfluxDB({ host: hostname, port: Number(port), database: 'plant', username: 'u', password: 'p' });
});
after(() => server?.stop());

test('ping and databases', async () => {
  const [host] = await db.ping(2000);
  assert.ok(host.online);
  assert.match(host.version, /\d/);
  await db.createDatabase('plant');
  assert.ok(Array.isArray(await db.getDatabaseNames()));
});

test('points come back with their times and values', async () => {
  const begin = Date.now() - 60_000;
  const sent = Array.from({ length: 200 }, (_, i) => [begin + i * 250, 1450.5 + i]);
  await db.writePoints(sent.map(([t, rpm]) => ({ measurement: 'motor', tags: { line: 'a b' }, fields: { rpm, on: rpm % 2 > 1, state: 'text' }, timestamp: new Date(t) })));
  assert.deepEqual(await server.samples('motor_rpm{db="plant",line="a b"}'), sent);
  assert.deepEqual(await server.samples('motor_on{db="plant",line="a b"}'), sent.map(([t, rpm]) => [t, Number(rpm % 2 > 1)]));
  assert.deepEqual(await server.values('motor_state'), {});
});

test('precisions, another database, no time', async () => {
  const now = Math.floor(Date.now() / 1000);
  await db.writePoints([{ measurement: 'load', fields: { value: 0.25 }, timestamp: now }], { precision: 's', database: 'other' });
  assert.deepEqual(await server.samples('load{db="other"}'), [[now * 1000, 0.25]]);
  await db.writeMeasurement('load', [{ tags: { k: 'c,d=e' }, fields: { value: 0 } }]);
  assert.deepEqual(await server.values('load{db="plant"}', 'k'), { 'c,d=e': '0' });
});

test('InfluxQL is refused in words', async () => {
  await assert.rejects(db.query('select * from motor'), /400 Bad Request.*ask in PromQL/);
});
