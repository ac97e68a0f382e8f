// What needs no browser: units, times, the words of PromQL. The sources are bundled by the esbuild that Vite brings.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { root } from './lib.js';

let m;

before(async () => {
  const { build } = createRequire(join(root, 'web/node_modules/vite/package.json'))('esbuild');
  const contents = ['units', 'time', 'promql', 'series', 'wall'].map((f) => `export * from './${f}';`).join('\n');
  const out = await build({ stdin: { contents, resolveDir: join(root, 'web/src'), loader: 'ts' }, bundle: true, format: 'esm', write: false, loader: { '.css': 'empty' } });
  // What modules look at when they are loaded; a browser has it.
  globalThis.localStorage = globalThis.sessionStorage = { getItem: () => null, setItem() {} };
  globalThis.matchMedia = () => ({ matches: false, addEventListener() {} });
  globalThis.document = { baseURI: 'http://localhost/' };
  globalThis.window = globalThis;
  m = await import(`data:text/javascript;base64,${Buffer.from(out.outputFiles[0].contents).toString('base64')}`);
});

test('units of queries', () => {
  const metadata = { odd_metric: 'bytes', pressure: 'mm[Hg]' };
  for (const [query, unit] of [
    ['node_memory_MemFree_bytes', 'bytes'], ['rate(node_network_receive_bytes_total[5m])', 'bytes/s'], ['sum by (job) (rate(x_bytes_total[5m]))', 'bytes/s'],
    ['rate(http_requests_total[5m])', '/s'], ['increase(http_requests_total[5m])', 'none'], ['histogram_quantile(0.9, sum by (le) (rate(x_seconds_bucket[5m])))', 'seconds'],
    ['rate(x_seconds_count[5m])', '/s'], ['rate(cpu_seconds_total[1m])', 'seconds/s'], ['count(x_bytes)', 'none'], ['a_bytes / b_bytes', 'ratio'], ['a_bytes / 2 ^ 30', 'none'],
    ['a_bytes + b_bytes', 'bytes'], ['a_bytes + b_seconds', 'none'], ['odd_metric', 'bytes'], ['pressure{bed="1"}', 'mmhg'], ['room_temperature_celsius', 'celsius'],
    ['x_ratio', 'ratio'], ['process_start_time_seconds', 'timestamp'], ['up', 'none'], ['', 'none'], ['sum(', 'none'],
  ]) assert.equal(m.unitOfQuery(query, (name) => metadata[name]).id, unit, query);
});

test('values in units', () => {
  for (const [unit, value, text] of [
    ['bytes', 0, '0 B'], ['bytes', 1536, '1.5 KiB'], ['bytes', 5 * 2 ** 30, '5 GiB'], ['seconds', 0.00025, '250 µs'], ['seconds', 90, '90 s'], ['seconds', 3600, '60 min'],
    ['seconds', 86400 * 5, '5 d'], ['ratio', 0.256, '25.6 %'], ['celsius', 36.6, '36.6 °C'], ['none', 1234567, '1.2346 M'], ['none', 12345, '12\u202f345'], ['none', -0.5, '−0.5'],
    ['none', NaN, 'NaN'], ['none', Infinity, '+Inf'], ['volts', 0.0021, '2.1 mV'],
  ]) assert.equal(m.unitNamed(unit).format(value), text, `${value} ${unit}`);
});

test('times', () => {
  const now = Date.UTC(2026, 10, 21, 8, 0, 0);
  assert.equal(m.parseTime('now', now), now);
  assert.equal(m.parseTime('now-1h30m', now), now - 90 * 60_000);
  assert.equal(m.parseTime('2026-11-21T08:00:00Z'), now);
  assert.equal(m.parseTime('2026-11-21 08:00 UTC'), now);
  assert.equal(m.parseTime('1795248000'), now);
  for (const wrong of ['', 'yesterday', 'now-', 'now-1', '2026-13-01', '21.11.2026']) assert.equal(m.parseTime(wrong), null, wrong);
  assert.equal(m.formatDuration(90_500), '1m30s500ms');
  assert.equal(m.chooseStep({ start: 0, end: 3_600_000 }, 900), 10_000);
  assert.equal(m.chooseStep({ start: 0, end: 1000 }, 900), 5);
});

test('the lexer loses nothing', () => {
  for (const text of ['sum by (a) (rate(x{b=~"c\\"d"}[5m] offset 1h)) > bool 0x1F # end', '{"my.metric", l=\'x\'}', 'a"unclosed', '§ ] } ) ((', 'x @ start() [1h:5m]']) {
    assert.equal(m.lex(text).map((t) => t.text).join(''), text);
  }
  const kinds = (text) => m.lex(text).filter((t) => t.kind !== 'space').map((t) => t.kind);
  assert.deepEqual(kinds('sum by (a) (x{b="c"}[5m])'), ['function', 'keyword', 'bracket', 'label', 'bracket', 'bracket', 'metric', 'bracket', 'label', 'operator', 'string', 'bracket',
    'bracket', 'duration', 'bracket', 'bracket']);
  assert.deepEqual(kinds('sum'), ['metric']); // a metric may be called so
});

test('limits', () => {
  const w = { query: 'x', alarmLow: 40, warnLow: 50, warnHigh: 100, alarmHigh: 140 };
  assert.deepEqual([39, 40, 49.9, 50, 100, 101, 140, 141].map((v) => m.judge(w, v).level), ['alarm', 'warn', 'warn', 'ok', 'ok', 'warn', 'warn', 'alarm']);
  assert.deepEqual(['up', 'up{a="b"}', '{a="b"}', 'up offset 5m', 'rate(up[5m])', 'up > 0', 'a + b'].map(m.isSelector), [true, true, true, false, false, false, false]);
});

test('CSV quotes what it must and leaves gaps empty', () => {
  const { lines } = m.linesOf({ resultType: 'matrix', result: [{ metric: { __name__: 'a', l: 'x,"y"' }, values: [[1, '1'], [3, 'NaN']] }, { metric: { __name__: 'b' }, values: [[2, '+Inf']] }] });
  assert.equal(m.csv(lines), 'time,"a{l=""x,\\""y\\""""}",b\n1970-01-01T00:00:01.000Z,1,\n1970-01-01T00:00:02.000Z,,+Inf\n1970-01-01T00:00:03.000Z,NaN,\n');
});
