// @influxdata/influxdb-client: the API of InfluxDB 2.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { InfluxDB, Point } from '@influxdata/influxdb-client';
import { start } from './lib.js';

let server;
before(async () => { server = await start(); });
after(() => server?.stop());

test('points with gzip: every one comes back with its time and value', async () => {
  const api = new InfluxDB({ url: server.url, token: 'any' }).getWriteApi('org', 'sensors', 'ms', { gzipThreshold: 1, batchSize: 70 });
  const begin = Date.now() - 60_000;
  const sent = Array.from({ length: 300 }, (_, i) => [begin + i * 100, 20 + i / 8]);
  for (const [t, v] of sent) api.writePoint(new Point('climate').tag('room', 'r1').floatField('temp', v).intField('co2', Math.trunc(v)).timestamp(new Date(t)));
  await api.close(); // waits for the last batch only
  for (const name of ['climate_temp', 'climate_co2']) await server.arrived(`count_over_time(${name}[1h])`, 'room', { r1: '300' });
  assert.deepEqual(await server.samples('climate_temp{db="sensors",room="r1"}'), sent);
  assert.deepEqual(await server.samples('climate_co2{db="sensors",room="r1"}'), sent.map(([t, v]) => [t, Math.trunc(v)]));
});

test('every type of field and precision; the client\'s escapes', async () => {
  const influx = new InfluxDB({ url: server.url, token: 'any' });
  const tag = 'a b,c=d "é\\x';
  for (const [precision, unit] of [['ns', 1e-6], ['us', 1e-3], ['ms', 1], ['s', 1000]]) {
    const now = Math.floor(Date.now() / 1000) * 1000;
    const api = influx.getWriteApi('org', 'types', precision);
    api.writePoint(new Point('kinds of').tag('unit', precision).tag('t', tag).booleanField('on', true).uintField('u', '9007199254740991').stringField('s', 'skipped "text"')
      .floatField('value', -0.1).timestamp(`${BigInt(now) * BigInt(Math.round(1 / Math.min(unit, 1))) / BigInt(Math.max(unit, 1))}`));
    await api.close();
    const selector = (name) => `{__name__="${name}",unit="${precision}",t=${JSON.stringify(tag)}}`;
    assert.deepEqual(await server.samples(selector('kinds of')), [[now, -0.1]]);
    assert.deepEqual(await server.samples(selector('kinds of_on')), [[now, 1]]);
    assert.deepEqual(await server.samples(selector('kinds of_u')), [[now, 9007199254740991]]);
  }
  assert.deepEqual(await server.values('{__name__=~".*_s",db="types"}'), {});
});

test('a bad line is told to the client, the good ones are stored', async () => {
  let told;
  const api = new InfluxDB({ url: server.url, token: 'any' }).getWriteApi('org', 'part', 'ms', { maxRetries: 0, writeFailed: (e) => { told = e; return Promise.resolve(); } });
  api.writeRecords(['good value=1', 'bad line without fields', 'alsogood value=2']);
  await api.close();
  assert.equal(told.statusCode, 400);
  assert.equal(told.code, 'invalid');
  assert.match(told.message, /line 2/);
  assert.deepEqual(await server.values('{db="part"}'), { good: '1', alsogood: '2' });
});
