// Units: which one a query's values have, from the metadata and the names of its metrics, and how values are shown in it.
import { aggregators, lex, type Token } from './promql';
import { formatTime } from './time';

export interface Unit { id: string; label: string; format: (v: number, digits?: number) => string; base2?: boolean; time?: boolean }

function trim(v: number, digits: number): string {
  if (v === 0) return '0';
  const decimals = Math.max(0, Math.min(20, digits - 1 - Math.floor(Math.log10(Math.abs(v)))));
  const s = v.toFixed(decimals);
  return s.includes('.') ? s.replace(/\.?0+$/, '') : s;
}

function special(v: number): string | null {
  if (Number.isNaN(v)) return 'NaN';
  return v === Infinity ? '+Inf' : v === -Infinity ? '−Inf' : null;
}

const minus = (s: string) => s.replace(/^-/, '−');

function scaled(steps: [number, string][], space = ' ') {
  return (v: number, digits = 4): string => {
    const s = special(v);
    if (s) return s;
    const a = Math.abs(v);
    const [by, name] = steps.find((x) => a >= x[0] * 0.99999) ?? (a === 0 ? [1, steps.find((x) => x[0] === 1)?.[1] ?? ''] : steps[steps.length - 1]);
    return minus(trim(v / by, digits)) + (name ? space + name : '');
  };
}

const si = (unit: string): [number, string][] =>
  ([[1e15, 'P'], [1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, ''], [1e-3, 'm'], [1e-6, 'µ'], [1e-9, 'n']] as [number, string][]).map(([by, p]) => [by, p + unit]);
const binary = (unit: string): [number, string][] =>
  ([[2 ** 50, 'Pi'], [2 ** 40, 'Ti'], [2 ** 30, 'Gi'], [2 ** 20, 'Mi'], [2 ** 10, 'Ki'], [1, '']] as [number, string][]).map(([by, p]) => [by, p + unit]);

export function plain(v: number, digits = 6): string {
  const s = special(v);
  if (s) return s;
  const a = Math.abs(v);
  if (a >= 1e15 || (a > 0 && a < 1e-6)) return minus(v.toExponential(3));
  if (a >= 1e6) return scaled([[1e12, 'T'], [1e9, 'G'], [1e6, 'M']])(v, Math.max(4, digits - 1));
  const t = minus(trim(v, a >= 1e3 ? Math.max(digits, Math.floor(Math.log10(a)) + 1) : digits));
  return a >= 1e4 ? t.replace(/\B(?=(\d{3})+(?!\d))(?<!\..*)/g, '\u202f') : t;
}

const fixed = (label: string, by = 1) => (v: number, digits = 5) => special(v) ?? `${minus(trim(v * by, digits))} ${label}`;

const seconds: [number, string][] = [[86400 * 3, 'd'], [3600 * 3, 'h'], [60 * 3, 'min'], [1, 's'], [1e-3, 'ms'], [1e-6, 'µs'], [1e-9, 'ns']];
function duration(v: number, digits = 4): string {
  const s = special(v);
  if (s) return s;
  if (v === 0) return '0 s';
  const a = Math.abs(v);
  const [from, name] = seconds.find((x) => a >= x[0] * 0.99999) ?? seconds[seconds.length - 1];
  const by = name === 'd' ? 86400 : name === 'h' ? 3600 : name === 'min' ? 60 : from;
  return `${minus(trim(v / by, digits))} ${name}`;
}

const units: Record<string, Unit> = {
  none: { id: 'none', label: '', format: plain },
  bytes: { id: 'bytes', label: 'bytes', format: scaled(binary('B')), base2: true },
  'bytes/s': { id: 'bytes/s', label: 'bytes per second', format: scaled(binary('B/s')), base2: true },
  bits: { id: 'bits', label: 'bits', format: scaled(si('bit')) },
  'bits/s': { id: 'bits/s', label: 'bits per second', format: scaled(si('bit/s')) },
  seconds: { id: 'seconds', label: 'seconds', format: duration, time: true },
  'seconds/s': { id: 'seconds/s', label: 'seconds per second', format: plain },
  milliseconds: { id: 'milliseconds', label: 'milliseconds', format: (v, d) => duration(v / 1000, d), time: true },
  ratio: { id: 'ratio', label: 'ratio', format: fixed('%', 100) },
  percent: { id: 'percent', label: 'percent', format: fixed('%') },
  timestamp: { id: 'timestamp', label: 'time', format: (v) => special(v) ?? formatTime(Math.round(v * 1000)) },
  '/s': { id: '/s', label: 'per second', format: (v, d) => `${plain(v, d)}${special(v) ? '' : ' /s'}` },
};
for (const [name, symbol] of [['volts', 'V'], ['amperes', 'A'], ['watts', 'W'], ['joules', 'J'], ['hertz', 'Hz'], ['meters', 'm'], ['grams', 'g'], ['pascals', 'Pa']]) {
  units[name] = { id: name, label: name, format: scaled(si(symbol)) };
}
for (const [name, symbol] of [['celsius', '°C'], ['fahrenheit', '°F'], ['mmhg', 'mmHg'], ['bpm', 'bpm'], ['degrees', '°'], ['rpm', 'rpm']]) {
  units[name] = { id: name, label: symbol, format: fixed(symbol) };
}

const spoken: Record<string, string> = {
  s: 'seconds', sec: 'seconds', second: 'seconds', ms: 'milliseconds', by: 'bytes', b: 'bytes', byte: 'bytes', bit: 'bits', '%': 'percent', '1': 'none',
  v: 'volts', volt: 'volts', a: 'amperes', amps: 'amperes', w: 'watts', watt: 'watts', j: 'joules', hz: 'hertz', m: 'meters', metres: 'meters',
  cel: 'celsius', '°c': 'celsius', percentage: 'percent', 'mm[hg]': 'mmhg', '/min': 'bpm', '{beats}/min': 'bpm',
};

/** The unit that a name (of a unit, in any of the usual spellings) means; null for none we know. */
export function unitNamed(name: string): Unit | null {
  const key = name.trim().toLowerCase();
  return units[spoken[key] ?? key] ?? (key ? { id: key, label: name, format: fixed(name) } : null);
}

/** The unit of one metric: what its metadata says, else the suffix of its name. */
export function unitOfMetric(metric: string, metadataUnit?: string): Unit {
  if (metadataUnit) {
    const u = unitNamed(metadataUnit);
    if (u) return u;
  }
  if (/(^|_)(timestamp|boot_time|start_time|(?<!cpu_)time)_seconds$/.test(metric)) return units.timestamp;
  const words = metric.replace(/_(total|sum|created|bucket|max|min|avg|info)$/, '').split(/[_:.]/);
  for (const word of words.slice(1).reverse().slice(0, 2)) {
    const key = word.toLowerCase();
    if (key.length > 2 && units[spoken[key] ?? key]) return units[spoken[key] ?? key];
  }
  return units.none;
}

const keepsUnit = new Set(['sum', 'avg', 'min', 'max', 'topk', 'bottomk', 'stddev', 'quantile', 'limitk', 'avg_over_time', 'min_over_time', 'max_over_time',
  'sum_over_time', 'last_over_time', 'first_over_time', 'quantile_over_time', 'stddev_over_time', 'histogram_quantile', 'histogram_avg', 'increase', 'delta', 'idelta',
  'abs', 'ceil', 'floor', 'round', 'clamp', 'clamp_min', 'clamp_max', 'sort', 'sort_desc', 'label_replace', 'label_join', 'mad_over_time', 'predict_linear']);
const perSecond = new Set(['rate', 'irate', 'deriv']);

/** The unit of a query's values, as far as its text tells; `none` when in doubt. metadata: metric -> unit. */
export function unitOfQuery(query: string, metadata: (metric: string) => string | undefined): Unit {
  const tokens = lex(query).filter((t) => t.kind !== 'space' && t.kind !== 'comment');
  const metrics = new Set<string>();
  let rate = false;
  let quantile = false;
  for (const [i, t] of tokens.entries()) {
    if (t.kind === 'metric') metrics.add(t.text);
    if (t.kind !== 'function' || !isCall(tokens, i)) continue;
    if (perSecond.has(t.text)) rate = true;
    else if (t.text === 'histogram_quantile') quantile = true;
    else if (!keepsUnit.has(t.text) && !aggregators.has(t.text)) return units.none;
    if (t.text === 'count' || t.text === 'group' || t.text === 'count_values' || t.text === 'stdvar') return units.none;
  }
  const found = [...metrics].map((m) => unitOfMetric(m, metadata(m)));
  if (!found.length || found.some((u) => u.id !== found[0].id)) return units.none;
  const operators = tokens.filter((t) => t.kind === 'operator' && '*/%^'.includes(t.text) && t.depth === 0);
  if (operators.length) {
    const ratio = operators.length === 1 && operators[0].text === '/' && metrics.size === 2;
    return ratio && found[0].id !== 'none' ? units.ratio : units.none;
  }
  if ([...metrics].every((m) => /_(count|bucket)$/.test(m)) && !quantile) return rate ? units['/s'] : units.none;
  if (!rate || quantile) return found[0];
  return found[0].id === 'none' ? units['/s'] : units[`${found[0].id}/s`] ?? units.none;
}

function isCall(tokens: Token[], i: number): boolean {
  return tokens[i + 1]?.text === '(' || /^(by|without)$/i.test(tokens[i + 1]?.text ?? '');
}
