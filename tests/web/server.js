// A server for a test: started on a free port, asked whether it is ready, stopped by signal.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

/** Starts `silex serve` on an empty folder (or one of an earlier server) and a free port (or that one's); SILEX_TEST_URL names
 *  a server that runs already. */
export async function startServer({ data = mkdtempSync(join(tmpdir(), 'silex-')), port = 0, args = [] } = {}) {
  const given = process.env.SILEX_TEST_URL;
  if (given) return { url: given, stop: async () => {} };
  const child = spawn(process.env.SILEX ?? join(root, 'build/silex'), ['serve', '--data', data, '--listen', `127.0.0.1:${port}`, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((done) => child.on('exit', done));
  let said = '';
  const url = await new Promise((done, fail) => {
    const look = (chunk) => {
      said += chunk;
      const at = /(?:http:\/\/)?(127\.0\.0\.1:[1-9]\d*)/.exec(said);
      if (at) done(`http://${at[1]}/`);
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    ended.then((code) => fail(new Error(`silex serve ended with ${code}: ${said}`)));
  });
  await until(async () => (await fetch(new URL('-/ready', url)).catch(() => null))?.ok);
  return {
    url,
    async stop({ keep = false } = {}) {
      child.kill('SIGTERM');
      await ended;
      if (!keep) rmSync(data, { recursive: true, force: true });
      return { data, port: Number(new URL(url).port) };
    },
  };
}

export async function until(test, ms = 10_000) {
  for (const end = Date.now() + ms; Date.now() < end;) {
    const got = await test();
    if (got) return got;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`not within ${ms} ms: ${test}`);
}

/** Sends lines of the text exposition format. */
export async function send(url, lines) {
  const r = await fetch(new URL('api/v1/import/prometheus', url), { method: 'POST', body: `${lines.join('\n')}\n` });
  if (!r.ok) throw new Error(`import: ${r.status} ${await r.text()}`);
}
