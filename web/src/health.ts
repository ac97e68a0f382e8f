// The state of the server in one shape: from Silex's own document, or, of any other server, from what Prometheus shows too.
import { api } from './api';
import { build, isSilex } from './server';

export interface SlowQuery { query: string; seconds: number; at?: number; tenant?: string; series?: number; points?: number }
export interface Health {
  version: string;
  ready: boolean;
  uptimeS?: number;
  series?: number;
  points?: number; // stored
  ingested?: number; // counter since the start
  ingestPerS?: number;
  tiers: { name: string; bytes: number }[];
  ratio?: number; // raw bytes to stored bytes
  memory?: number;
  memoryLimit?: number;
  sync?: string; // always, interval, never, none
  syncIntervalS?: number;
  p50?: number; // seconds
  p99?: number;
  slow: SlowQuery[] | null; // null: the server does not tell
  active: { query: string; seconds: number }[];
  tenants: { name: string; series: number; points?: number }[];
  top: { name: string; series: number }[];
}

interface Tsdb { headStats?: { numSeries: number }; seriesCountByMetricName?: { name: string; value: number }[] }

export async function health(): Promise<Health> {
  const [{ version, silexVersion }, tsdb] = await Promise.all([build(), api.get<Tsdb>('api/v1/status/tsdb', { limit: 10 }).then((a) => a.data)]);
  const top = (tsdb.seriesCountByMetricName ?? []).map((x) => ({ name: x.name, series: x.value }));
  const common = { version: silexVersion ? `Silex ${silexVersion}` : `Prometheus ${version}`, ready: true, tiers: [], slow: null, active: [], tenants: [], top, series: tsdb.headStats?.numSeries };
  return (await isSilex()) ? { ...common, ...(await ofSilex()) } : { ...common, ...(await ofPrometheus()) };
}

async function ofSilex(): Promise<Partial<Health>> {
  return ofPrometheus();
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
