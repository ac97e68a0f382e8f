// Times: ranges as people type them (now-1h, 2026-11-21 08:00), durations as PromQL writes them, and how both are shown.
// All times are milliseconds since the epoch.
import { settings } from './settings';

export interface Range { from: string; to: string }
export interface Span { start: number; end: number }

const unitMs: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5, y: 31536e6 };

export function parseDuration(text: string): number | null {
  if (!/^(\d+(\.\d+)?(ms|[smhdwy]))+$/.test(text)) return null;
  let sum = 0;
  for (const m of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdwy])/g)) sum += Number(m[1]) * unitMs[m[2]];
  return sum;
}

export function formatDuration(ms: number): string {
  if (ms <= 0) return '0s';
  let out = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms']) {
    const n = Math.floor(ms / unitMs[unit]);
    if (n) out += `${n}${unit}`;
    ms -= n * unitMs[unit];
  }
  return out || '0s';
}

/** 75 s -> "1 min 15 s": for people. */
export function sayDuration(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s % 60 ? ` ${s % 60} s` : ''}`;
  if (s < 86400) return `${Math.floor(s / 3600)} h${Math.floor((s % 3600) / 60) ? ` ${Math.floor((s % 3600) / 60)} min` : ''}`;
  return `${Math.floor(s / 86400)} d${Math.floor((s % 86400) / 3600) ? ` ${Math.floor((s % 86400) / 3600)} h` : ''}`;
}

export const presets: [string, string, string][] = [
  ['Last 5 minutes', 'now-5m', 'now'], ['Last 15 minutes', 'now-15m', 'now'], ['Last hour', 'now-1h', 'now'],
  ['Last 3 hours', 'now-3h', 'now'], ['Last 6 hours', 'now-6h', 'now'], ['Last 12 hours', 'now-12h', 'now'],
  ['Last 24 hours', 'now-24h', 'now'], ['Last 2 days', 'now-2d', 'now'], ['Last 7 days', 'now-7d', 'now'],
  ['Last 30 days', 'now-30d', 'now'], ['Last 90 days', 'now-90d', 'now'], ['Last year', 'now-1y', 'now'],
];

/** now, now-90m, 2026-11-21 08:00:00, the same with T and Z, or seconds since the epoch; null when it is none of these. */
export function parseTime(text: string, now = Date.now()): number | null {
  const t = text.trim();
  const relative = /^now(?:\s*([-+])\s*(\S+))?$/.exec(t);
  if (relative) {
    if (!relative[1]) return now;
    const d = parseDuration(relative[2]);
    return d === null ? null : now + (relative[1] === '-' ? -d : d);
  }
  if (/^-?\d{9,}(\.\d+)?$/.test(t)) return Number(t) * 1000;
  const m = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d?:\d\d)(:\d\d(?:\.\d+)?)?)?\s*(Z|UTC|[-+]\d\d:\d\d)?$/i.exec(t);
  if (!m) return null;
  const zone = m[4] ? m[4].replace(/utc/i, 'Z').toUpperCase() : settings.utc ? 'Z' : '';
  const ms = Date.parse(`${m[1]}T${(m[2] ?? '00:00').padStart(5, '0')}${m[3] ?? ':00'}${zone}`);
  return Number.isNaN(ms) ? null : ms;
}

export function resolve(range: Range, now = Date.now()): Span | null {
  const start = parseTime(range.from, now);
  const end = parseTime(range.to, now);
  return start === null || end === null || start >= end ? null : { start, end };
}

export const isLive = (range: Range) => range.to.trim() === 'now';

const pad = (n: number, width = 2) => String(n).padStart(width, '0');

interface Parts { y: number; mo: number; d: number; h: number; mi: number; s: number; ms: number }

function parts(ms: number): Parts {
  const t = new Date(ms);
  return settings.utc
    ? { y: t.getUTCFullYear(), mo: t.getUTCMonth(), d: t.getUTCDate(), h: t.getUTCHours(), mi: t.getUTCMinutes(), s: t.getUTCSeconds(), ms: t.getUTCMilliseconds() }
    : { y: t.getFullYear(), mo: t.getMonth(), d: t.getDate(), h: t.getHours(), mi: t.getMinutes(), s: t.getSeconds(), ms: t.getMilliseconds() };
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** 2026-11-21 08:00:00, with milliseconds when there are any. */
export function formatTime(ms: number): string {
  const p = parts(ms);
  return `${p.y}-${pad(p.mo + 1)}-${pad(p.d)} ${pad(p.h)}:${pad(p.mi)}:${pad(p.s)}${p.ms ? `.${pad(p.ms, 3)}` : ''}`;
}

export const formatClock = (ms: number) => formatTime(ms).slice(11, 19);

/** Labels of a time axis: the day stands below the hour where it changes. */
export function axisTimes(splits: number[], incr: number): string[] {
  let day = '';
  return splits.map((sec) => {
    const p = parts(sec * 1000);
    const date = incr >= 2_419_200 ? (incr >= 31_536_000 ? `${p.y}` : `${months[p.mo]}\n${p.y}`) : `${p.d} ${months[p.mo]}`;
    if (incr >= 86_400) return date;
    const clock = `${pad(p.h)}:${pad(p.mi)}${incr < 60 ? `:${pad(p.s)}` : ''}${incr < 1 ? `.${pad(p.ms, 3)}` : ''}`;
    const line = date === day ? clock : `${clock}\n${date}`;
    day = date;
    return line;
  });
}

export function describe(range: Range): string {
  const preset = presets.find((p) => p[1] === range.from && p[2] === range.to);
  if (preset) return preset[0];
  const relative = /^now-(\S+)$/.exec(range.from);
  if (relative && isLive(range)) return `Last ${relative[1]}`;
  const span = resolve(range);
  if (!span) return 'Choose a range';
  const [a, b] = [formatTime(span.start), formatTime(span.end)];
  return `${a} → ${a.slice(0, 10) === b.slice(0, 10) ? b.slice(11) : b}`;
}

const niceSteps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 108e5, 216e5, 432e5,
  864e5, 1728e5, 6048e5, 2592e6, 31536e6];

/** The step for a chart of so many pixels: about one point in three pixels, never finer than a millisecond. */
export function chooseStep(span: Span, pixels: number): number {
  const least = (span.end - span.start) / Math.max(60, Math.min(1000, pixels / 2.5));
  return niceSteps.find((s) => s >= least) ?? Math.ceil(least / 31536e6) * 31536e6;
}
