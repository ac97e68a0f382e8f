// What the server has: metrics with their metadata, labels, values. Fetched when first wanted, kept for a minute.
import { api, type Metadata } from './api';
import { onSettings } from './settings';

export interface Metric { name: string; type: string; help: string; unit: string }

const keepMs = 60_000;
const valuesMax = 1000;
const countsMax = 10_000;
const countedMax = 100_000;

interface Tsdb { headStats: { numSeries: number }; seriesCountByMetricName: { name: string; value: number }[] }
const cache = new Map<string, { at: number; value: Promise<unknown> }>();

function kept<T>(key: string, make: () => Promise<T>): Promise<T> {
  const hit = cache.get(key);
  if (hit && performance.now() - hit.at < keepMs) return hit.value as Promise<T>;
  if (cache.size > 200) cache.clear();
  const value = make();
  cache.set(key, { at: performance.now(), value });
  value.catch(() => cache.delete(key));
  return value;
}

onSettings((changed) => (changed === 'tenant' || changed === 'token') && cache.clear());

const bare = /^[a-zA-Z_:][\w:]*$/;

/** A selector of one metric, in braces where the name is not a plain word. */
export const selector = (metric: string) => (bare.test(metric) ? metric : `{${JSON.stringify(metric)}}`);

/** The histogram, summary or counter that a series' name belongs to has the metadata. */
function metadataOf(all: Record<string, Metadata[]>, name: string): Metadata | undefined {
  return (all[name] ?? all[name.replace(/_(bucket|count|sum|total|created|info)$/, '')])?.[0];
}

function guessType(name: string, names: Set<string>): string {
  if (name.endsWith('_bucket') && names.has(name.replace(/_bucket$/, '_count'))) return 'histogram';
  if (/_(total|count|sum)$/.test(name)) return 'counter';
  return '';
}

export const catalogue = {
  async metrics(): Promise<Metric[]> {
    return kept('metrics', async () => {
      const [names, metadata] = await Promise.all([api.values('__name__'), api.metadata().catch(() => ({ data: {} as Record<string, Metadata[]> }))]);
      const set = new Set(names.data);
      return names.data.map((name) => {
        const m = metadataOf(metadata.data, name);
        let type = m?.type && m.type !== 'unknown' ? m.type : guessType(name, set);
        if ((type === 'histogram' || type === 'summary') && /_(count|sum)$/.test(name)) type = 'counter';
        return { name, type, help: m?.help ?? '', unit: m?.unit ?? '' };
      });
    });
  },
  /** Known already, without waiting: for units. */
  units: new Map<string, string>(),
  async loadUnits(): Promise<void> {
    for (const m of await catalogue.metrics()) if (m.unit) catalogue.units.set(m.name, m.unit);
  },
  labels: (metric?: string) =>
    kept(`labels ${metric ?? ''}`, async () => (await api.labels(metric && selector(metric))).data),
  /** Up to a thousand; where there are more, those with the prefix. */
  async values(label: string, metric: string | undefined, prefix: string): Promise<string[]> {
    const ask = (match?: string) => kept(`values ${label} ${match ?? ''}`, async () => (await api.values(label, match, valuesMax)).data);
    const all = await ask(metric && selector(metric));
    if (all.length < valuesMax || !prefix) return all;
    const begins = `${bare.test(label) ? label : JSON.stringify(label)}=~${JSON.stringify(`${prefix.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}.*`)}`;
    return ask(!metric ? `{${begins}}` : bare.test(metric) ? `${metric}{${begins}}` : `{${JSON.stringify(metric)},${begins}}`);
  },
  /** Number of series of each metric. */
  counts: () =>
    kept('counts', async () => {
      const { data } = await api.get<Tsdb>('api/v1/status/tsdb', { limit: countsMax });
      const told = data.seriesCountByMetricName;
      if (told.length > 10 || data.headStats.numSeries > countedMax) return new Map(told.map((x) => [x.name, x.value]));
      // Ten names only: a server that knows no limit. Counting is cheap when there are few series.
      const counted = (await api.query('count by (__name__) ({__name__!=""})')).data;
      return new Map(counted.resultType === 'vector' ? counted.result.map((s) => [s.metric.__name__, Number(s.value?.[1])]) : []);
    }),
  /** True when there is no series at all. */
  async empty(): Promise<boolean> {
    return (await api.values('__name__', undefined, 1)).data.length === 0;
  },
  forget: () => cache.clear(),
};

/** The query that shows a metric best: the rate of counters, quantiles of histograms, the value of gauges. */
export function bestQuery(m: Metric): string {
  const s = selector(m.name);
  if (m.type === 'histogram') {
    if (m.name.endsWith('_bucket')) return `histogram_quantile(0.95, sum by (le) (rate(${s}[5m])))`;
    return `histogram_quantile(0.95, sum(rate(${s}[5m])))`;
  }
  if (m.type === 'counter') return `rate(${s}[5m])`;
  if (m.type === 'info' || m.name.endsWith('_info')) return s;
  if (m.name.endsWith('_timestamp_seconds')) return `time() - ${s}`;
  return s;
}
