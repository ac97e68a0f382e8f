// The build that is committed and embedded: up to date, small, and served as browsers like it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { root, startServer } from './lib.js';

const dist = join(root, 'web/dist');

function files(folder, below = '') {
  return readdirSync(join(folder, below), { withFileTypes: true })
    .flatMap((e) => (e.isDirectory() ? files(folder, join(below, e.name)) : [join(below, e.name)])).sort();
}

test('web/dist is what the sources give', () => {
  const out = mkdtempSync(join(tmpdir(), 'silex-dist-'));
  const vite = (args) => spawnSync(process.execPath, [join(root, 'web/node_modules/vite/bin/vite.js'), 'build', ...args], { cwd: join(root, 'web'), encoding: 'utf8' });
  try {
    const built = vite(['--outDir', out, '--emptyOutDir', '--logLevel', 'error']);
    assert.equal(built.status, 0, built.stderr);
    assert.deepEqual(files(dist), files(out), 'run `make page` and commit web/dist');
    for (const f of files(out)) assert.ok(readFileSync(join(dist, f)).equals(readFileSync(join(out, f))), `${f}: run \`make page\` and commit web/dist`);
  } finally {
    rmSync(out, { recursive: true });
  }
});

test('the types of the sources are right', () => {
  const r = spawnSync(process.execPath, [join(root, 'web/node_modules/typescript/bin/tsc'), '--noEmit'], { cwd: join(root, 'web'), encoding: 'utf8' });
  assert.equal(r.status, 0, r.stdout);
});

test('the scripts are below 150 kB gzipped', () => {
  const bytes = files(dist).filter((f) => f.endsWith('.js')).reduce((n, f) => n + gzipSync(readFileSync(join(dist, f)), { level: 9 }).length, 0);
  console.log(`scripts: ${(bytes / 1000).toFixed(1)} kB gzipped`);
  assert.ok(bytes < 150_000);
});

test('the server says type, tag, how long to keep and what may load', async () => {
  const server = await startServer();
  try {
    const page = await fetch(server.url);
    assert.equal(page.status, 200);
    assert.match(page.headers.get('content-type'), /^text\/html/);
    assert.equal(page.headers.get('cache-control'), 'no-cache');
    assert.match(page.headers.get('content-security-policy'), /default-src 'none'/);
    assert.doesNotMatch(page.headers.get('content-security-policy'), /https?:|unsafe/);
    assert.equal(await page.text(), readFileSync(join(dist, 'index.html'), 'utf8'));
    const again = await fetch(server.url, { headers: { 'If-None-Match': page.headers.get('etag') } });
    assert.equal(again.status, 304);
    for (const f of files(dist).filter((x) => x.startsWith('assets'))) {
      for (const coding of ['identity', 'gzip']) {
        const r = await fetch(new URL(f, server.url), { headers: { 'Accept-Encoding': coding } });
        assert.equal(r.status, 200, f);
        assert.match(r.headers.get('cache-control'), /immutable/);
        assert.equal(r.headers.get('content-encoding') ?? 'identity', coding === 'gzip' && !f.endsWith('.woff2') ? 'gzip' : 'identity', f);
        assert.ok(Buffer.from(await r.arrayBuffer()).equals(readFileSync(join(dist, f))), f);
      }
    }
    assert.equal((await fetch(new URL('assets/none.js', server.url))).status, 404);
    assert.equal((await fetch(server.url, { method: 'HEAD' })).status, 200);
  } finally {
    await server.stop();
  }
});
