// What the clients' tests share: the server, a free port, answers of the query API.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer, until } from '../web/server.js';

export { until };

export const freePort = () => new Promise((done) => {
  const s = createServer().listen(0, '127.0.0.1', () => {
    const { port } = s.address();
    s.close(() => done(port));
  });
});

/** A server of the test file's own, with the text of a configuration. */
export async function start(config = '') {
  const folder = mkdtempSync(join(tmpdir(), 'silex-clients-'));
  writeFileSync(join(folder, 'silex.yml'), config);
  const server = await startServer({ args: ['--config', join(folder, 'silex.yml')] });
  const get = async (path, params) => (await fetch(`${new URL(path, server.url)}?${new URLSearchParams(params)}`)).json();

  /** What the API answers: its `data`. */
  async function data(path, params = {}) {
    const r = await get(`api/v1/${path}`, params);
    assert.equal(r.status, 'success', r.error);
    return r.data;
  }

  /** The values of an instant query by one label. */
  async function values(query, label = '__name__') {
    const { result } = await data('query', { query });
    return Object.fromEntries(result.map((s) => [s.metric[label] ?? '', s.value[1]]));
  }

  /** The same, waited for; says what there is when it does not come. */
  async function arrived(query, label, expected) {
    const there = async () => {
      try {
        assert.deepEqual(await values(query, label), expected);
        return true;
      } catch {
        return false;
      }
    };
    await until(there).catch(async () => assert.deepEqual(await values(query, label), expected));
  }

  /** Every sample of one series' last hour: [[ms, value]...]. */
  async function samples(selector) {
    const { result } = await data('query', { query: `${selector}[1h]` });
    assert.equal(result.length, 1, `${selector}: ${result.length} series`);
    return result[0].values.map(([t, v]) => [Math.round(t * 1000), Number(v)]);
  }

  async function stop() {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  return { url: server.url, data, values, arrived, samples, stop };
}
