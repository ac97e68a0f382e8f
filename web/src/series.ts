// Series as the chart, the legend and the table need them: named by what tells them apart, with their figures.
import type { Labels, QueryData, Sample, Series } from './api';

export interface Line {
  labels: Labels;
  name: string; // only what differs from the others
  full: string;
  samples: Sample[];
  min: number;
  max: number;
  mean: number;
  last: number;
}

export function fullName(labels: Labels): string {
  const { __name__: name = '', ...rest } = labels;
  const inner = Object.entries(rest).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(', ');
  return inner || !name ? `${name}{${inner}}` : name;
}

function figures(samples: Sample[]) {
  let [min, max, sum, n, last] = [Infinity, -Infinity, 0, 0, NaN];
  for (const s of samples) {
    const v = Number(s[1].replace('Inf', 'Infinity'));
    if (Number.isNaN(v)) continue;
    if (v < min) min = v;
    if (v > max) max = v;
    sum += v;
    n++;
    last = v;
  }
  return n ? { min, max, mean: sum / n, last } : { min: NaN, max: NaN, mean: NaN, last: NaN };
}

export const toNumber = (text: string): number => Number(text.replace('Inf', 'Infinity'));

/** The labels that all have in common are left out of the names and returned beside. */
export function linesOf(data: QueryData, query = ''): { lines: Line[]; common: Labels; histograms: number } {
  if (data.resultType !== 'matrix') return { lines: [], common: {}, histograms: 0 };
  const all = data.result;
  const common: Labels = {};
  if (all.length > 1) {
    for (const [k, v] of Object.entries(all[0].metric)) if (all.every((s) => s.metric[k] === v)) common[k] = v;
  }
  const lines = all.map((s): Line => ({ labels: s.metric, name: nameOf(s, common) || query, full: fullName(s.metric), samples: s.values ?? [], ...figures(s.values ?? []) }));
  return { lines, common, histograms: all.filter((s) => s.histograms?.length).length };
}

function nameOf(s: Series, common: Labels): string {
  const own = Object.entries(s.metric).filter(([k]) => !(k in common));
  if (!own.length) return Object.keys(s.metric).length ? fullName(s.metric) : ''; // the query names a series without labels
  const name = own.find(([k]) => k === '__name__')?.[1] ?? '';
  const rest = own.filter(([k]) => k !== '__name__');
  if (name && !rest.length) return name;
  const inner = rest.map(([k, v]) => (rest.length === 1 && !name ? v || '""' : `${k}=${v}`)).join('  ');
  return name ? `${name}  ${inner}` : inner;
}

/** Columns of equal times for uPlot: a time without a sample, NaN and ±Inf are gaps. Times in seconds. */
export function columns(lines: Line[], startMs: number, endMs: number, stepMs: number): [number[], ...(number | null)[][]] {
  const n = Math.floor((endMs - startMs) / stepMs + 1e-9) + 1;
  const times = Array.from({ length: n }, (_, i) => (startMs + i * stepMs) / 1000);
  return [times, ...lines.map((line) => {
    const column = new Array<number | null>(n).fill(null);
    for (const [t, v] of line.samples) {
      const i = Math.round((t * 1000 - startMs) / stepMs);
      const x = toNumber(v);
      if (i >= 0 && i < n && Number.isFinite(x)) column[i] = x;
    }
    return column;
  })];
}

const quote = (s: string) => (/[",\n\r]/.test(s) ? `"${s.replace(/"/g, '""')}"` : s);

/** One row a time, one column a series; times as RFC 3339 in UTC. */
export function csv(lines: Line[]): string {
  const rows = new Map<number, string[]>();
  lines.forEach((line, i) => {
    for (const [t, v] of line.samples) {
      let row = rows.get(t);
      if (!row) rows.set(t, (row = new Array<string>(lines.length).fill('')));
      row[i] = v;
    }
  });
  const body = [...rows].sort((a, b) => a[0] - b[0]).map(([t, row]) => `${new Date(t * 1000).toISOString()},${row.join(',')}`);
  return `${['time', ...lines.map((l) => quote(l.full))].join(',')}\n${body.join('\n')}\n`;
}
