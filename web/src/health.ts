// The state of the server in one shape: from Silex's own document, or, of any other server, from what Prometheus shows too.
import { api } from './api';
import { build, isSilex } from './server';
import { settings } from './settings';

export interface SlowQuery { query: string; seconds: number; at?: number; tenant?: string; series?: number; points?: number }
export interface Health {
  version: string;
  ready: boolean;
  state?: string; // in words; 'ok' when there is nothing to say
  uptimeS?: number;
  series?: number;
  points?: number; // stored
  ingested?: number; // counter since the start
  tiers: { name: string; bytes: number; inMemory?: boolean }[];
  disk?: { free: number; total: number; mark: number }; // bytes; writes are refused when less than mark is free
  bytesPerPoint?: number;
  memory?: number; // resident
  memoryUsed?: number; // what counts against the limit
  memoryLimit?: number;
  sync?: string; // always, interval, never, none
  syncIntervalS?: number;
  p50?: number; // seconds
  p99?: number;
  slow: SlowQuery[] | null; // null: the server does not tell
  active: { query: string; seconds: number }[];
  tenants: string[];
  top: { name: string; series: number }[];
}

interface Tsdb { headStats?: { numSeries: number }; seriesCountByMetricName?: { name: string; value: number }[] }

let counted: { at: number; tenant: string; value: Promise<Tsdb> } | null = null;

/** Counting all series by name costs more than the rest: twice a minute is enough. */
function cardinality(): Promise<Tsdb> {
  if (!counted || counted.tenant !== settings.tenant || performance.now() - counted.at > 30_000) {
    counted = { at: performance.now(), tenant: settings.tenant, value: api.get<Tsdb>('api/v1/status/tsdb', { limit: 10 }).then((a) => a.data) };
    counted.value.catch(() => (counted = null));
  }
  return counted.value;
}

export async function health(): Promise<Health> {
  const [{ version, silexVersion }, tsdb] = await Promise.all([build(), cardinality()]);
  const top = (tsdb.seriesCountByMetricName ?? []).map((x) => ({ name: x.name, series: x.value }));
  const common = { version: silexVersion ? `Silex ${silexVersion}` : `Prometheus ${version}`, ready: true, tiers: [], slow: null, active: [], tenants: [], top, series: tsdb.headStats?.numSeries };
  return (await isSilex()) ? { ...common, ...(await ofSilex()) } : { ...common, ...(await ofPrometheus()) };
}

interface Own {
  status: string;
  health: string;
  uptime_s: number;
  series: number;
  points: { total: number };
  bytes: { head: number; blocks: number; wal: number };
  disk: { free: number; total: number; mark: number };
  bytes_per_point: number | null;
  wal: { sync: string; interval_s: number | null };
  memory: { used: number; limit: number; resident: number };
  ingest: { rate: number; accepted: number };
  queries: { count: number; p50_s: number | null; p99_s: number | null };
  slow_queries: { recent: { query: string; tenant: string; start: string; seconds: number; series: number; samples: number }[] };
  active_queries: { query: string; seconds: number }[];
}

async function ofSilex(): Promise<Partial<Health>> {
  const [d, t] = await Promise.all([api.json<Own>('api/silex/v1/metrics'), api.json<{ tenants: string[] }>('api/silex/v1/tenants')]);
  if (!d) throw new Error('The server does not tell how it is.');
  return {
    ready: d.status === 'ok', state: d.health, uptimeS: d.uptime_s, series: d.series, points: d.points.total, ingested: d.ingest.accepted,
    tiers: [{ name: 'Log', bytes: d.bytes.wal }, { name: 'Head, in memory', bytes: d.bytes.head, inMemory: true }, { name: 'Blocks', bytes: d.bytes.blocks }],
    disk: d.disk.total ? d.disk : undefined, bytesPerPoint: d.bytes_per_point ?? undefined, memory: d.memory.resident, memoryUsed: d.memory.used, memoryLimit: d.memory.limit, sync: d.wal.sync, syncIntervalS: d.wal.interval_s ?? undefined,
    p50: d.queries.p50_s ?? undefined, p99: d.queries.p99_s ?? undefined,
    slow: d.slow_queries.recent.map((q) => ({ query: q.query, seconds: q.seconds, at: Date.parse(q.start), tenant: q.tenant, series: q.series, points: q.samples })),
    active: d.active_queries, tenants: t?.tenants ?? [],
  };
}

const metricLine = /^([a-zA-Z_:][\w:]*)(\{[^}]*\})? (\S+)/gm;

async function ofPrometheus(): Promise<Partial<Health>> {
  const text = (await api.text('metrics')) ?? '';
  const sum = new Map<string, number>();
  for (const m of text.matchAll(metricLine)) sum.set(m[1], (sum.get(m[1]) ?? 0) + Number(m[3]));
  const v = (name: string) => sum.get(name);
  const started = v('process_start_time_seconds');
  const tiers: [string, number | undefined][] = [['Log', v('prometheus_tsdb_wal_storage_size_bytes')], ['Head', v('prometheus_tsdb_head_chunks_storage_size_bytes')], ['Blocks', v('prometheus_tsdb_storage_blocks_bytes')]];
  return {
    uptimeS: started && Date.now() / 1000 - started,
    ingested: v('prometheus_tsdb_head_samples_appended_total'),
    memory: v('process_resident_memory_bytes'),
    tiers: tiers.flatMap(([name, bytes]) => (bytes === undefined ? [] : [{ name, bytes }])),
  };
}
