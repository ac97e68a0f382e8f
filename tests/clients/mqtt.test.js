// mqtt (MQTT.js) publishes to a mosquitto that Silex subscribes to.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import mqtt from 'mqtt';
import { freePort, start, until } from './lib.js';

const mosquitto = ['/usr/sbin/mosquitto', '/usr/bin/mosquitto'].find(existsSync) ?? 'mosquitto';
const folder = mkdtempSync(join(tmpdir(), 'silex-mosquitto-'));
let broker;
let client;
let server;

before(async () => {
  const port = await freePort();
  writeFileSync(join(folder, 'mosquitto.conf'), `listener ${port} 127.0.0.1\nallow_anonymous true\n`);
  broker = spawn(mosquitto, ['-c', join(folder, 'mosquitto.conf')], { stdio: 'ignore' });
  await once(broker, 'spawn');
  server = await start(`mqtt:
  - host: 127.0.0.1
    port: ${port}
    topics:
      - pattern: plant/{site}/{sensor}
        metric: plant_{sensor}
        time: ts
`);
  client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 100 });
  // Silex subscribes some time after it has connected: what is published before that is nobody's.
  await until(async () => {
    await client.publishAsync('plant/hello/probe', '1', { qos: 1 });
    return (await server.values('plant_probe', 'site')).hello === '1';
  });
});
after(async () => {
  await client?.endAsync();
  await server?.stop();
  if (broker?.exitCode === null) {
    broker.kill();
    await once(broker, 'exit');
  }
  rmSync(folder, { recursive: true, force: true });
});

test('plain numbers', async () => {
  for (const [i, qos] of [0, 1, 2].entries()) await client.publishAsync(`plant/north/temp${qos}`, `${21.5 + i}`, { qos });
  await server.arrived('{__name__=~"plant_temp.",site="north"}', '__name__', { plant_temp0: '21.5', plant_temp1: '22.5', plant_temp2: '23.5' });
});

test('JSON with times: every message is a sample', async () => {
  const begin = Date.now() - 60_000;
  const sent = Array.from({ length: 100 }, (_, i) => [begin + i * 100, i / 4]);
  for (const [ts, value] of sent) await client.publishAsync('plant/south/air', JSON.stringify({ ts, value, in: { hum: 40 }, note: 'text' }), { qos: 1 });
  await server.arrived('count_over_time(plant_air{site="south"}[1h])', 'site', { south: '100' });
  assert.deepEqual(await server.samples('plant_air{site="south"}'), sent);
  assert.deepEqual(await server.samples('plant_air_in_hum{site="south"}'), sent.map(([t]) => [t, 40]));
});

test('what is no number is passed over, what follows is stored', async () => {
  await client.publishAsync('plant/west/temp', 'not a number', { qos: 1 });
  await client.publishAsync('plant/west/temp', '', { qos: 1 });
  await client.publishAsync('plant/west/temp', '7', { qos: 1 });
  await server.arrived('plant_temp{site="west"}', 'site', { west: '7' });
});
