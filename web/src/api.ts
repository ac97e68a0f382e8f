// The server's HTTP API, as far as the page needs it.
import { settings } from './settings';

export type Labels = Record<string, string>;
export type Sample = [number, string];
export interface Series { metric: Labels; values?: Sample[]; value?: Sample; histogram?: [number, { count: string; sum: string }]; histograms?: unknown[] }
export type QueryData =
  | { resultType: 'matrix'; result: Series[] }
  | { resultType: 'vector'; result: Series[] }
  | { resultType: 'scalar'; result: Sample }
  | { resultType: 'string'; result: Sample };
export interface Answer<T> { data: T; warnings: string[]; infos: string[]; ms: number }
export interface Metadata { type: string; help: string; unit: string }

export type AlertState = 'inactive' | 'pending' | 'firing';
export interface Alert {
  fingerprint: string; tenant: string; rule: { id: string; group: string; name: string; expr: string; query: string }; labels: Labels; annotations: Labels; state: AlertState; value: string;
  active_at: string | null; fired_at: string | null; resolved_at: string | null; changed_at: string | null;
  silenced?: { id: string; by: string; until: string } | null; acknowledged?: { by: string; until: string | null } | null;
}
export interface AlertEvent { id: string; type: 'pending' | 'firing' | 'resolved' | 'inactive'; from: AlertState; at: string; alert: Alert }
export interface Silence { id: string; state: 'pending' | 'active' | 'expired'; match: string; author: string; comment: string; starts_at: string; ends_at: string }

/** An error that the server explained. line and column (from 1, in characters) when it named the place in a query. */
export class ApiError extends Error {
  line = 0;
  column = 0;

  constructor(message: string, readonly kind: string, readonly status: number) {
    super(message);
    const place = /(?:^|[\s:])(\d+):(\d+): parse error: ?([^]*)$/.exec(message);
    if (place) {
      this.line = Number(place[1]);
      this.column = Number(place[2]);
      this.message = place[3];
    }
  }
}

export const base = new URL('.', document.baseURI);

export function headers(): Record<string, string> {
  const all: Record<string, string> = {};
  if (settings.tenant) all['X-Scope-OrgID'] = settings.tenant;
  if (settings.token) all.Authorization = `Bearer ${settings.token}`;
  return all;
}

type Params = Record<string, string | number | string[] | undefined>;

function form(params: Params): URLSearchParams {
  const p = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) p.append(key, String(one));
  }
  return p;
}

async function request(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(new URL(path, base), { ...init, headers: { ...headers(), ...(init.headers as Record<string, string>) } });
  } catch (e) {
    if ((e as Error).name === 'AbortError') throw e;
    throw new ApiError('The server does not answer. Is it running?', 'unreachable', 0);
  }
}

async function answer<T>(path: string, init: RequestInit): Promise<Answer<T>> {
  const begin = performance.now();
  const r = await request(path, init);
  const text = await r.text();
  let body: { status?: string; data?: T; error?: string; errorType?: string; detail?: string; title?: string; warnings?: string[]; infos?: string[] };
  try {
    body = JSON.parse(text);
  } catch {
    throw new ApiError(text.trim().slice(0, 300) || `${r.status} ${r.statusText}`, 'http', r.status);
  }
  if (!r.ok || body.status === 'error') {
    throw new ApiError(body.error ?? body.detail ?? body.title ?? `${r.status} ${r.statusText}`, body.errorType ?? 'http', r.status);
  }
  return { data: body.data as T, warnings: body.warnings ?? [], infos: body.infos ?? [], ms: performance.now() - begin };
}

/** A request of the native API: JSON in, JSON out, no envelope. */
async function native<T>(method: string, path: string, body?: unknown): Promise<T> {
  const r = await request(path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }) });
  const text = await r.text();
  let got: T & { detail?: string; title?: string };
  try {
    got = JSON.parse(text) as typeof got;
  } catch {
    throw new ApiError(text.trim().slice(0, 300) || `${r.status} ${r.statusText}`, 'http', r.status);
  }
  if (!r.ok) throw new ApiError(got.detail ?? got.title ?? `${r.status} ${r.statusText}`, 'http', r.status);
  return got;
}

const post = <T>(path: string, params: Params, signal?: AbortSignal) => answer<T>(path, { method: 'POST', body: form(params), signal });
const get = <T>(path: string, params: Params = {}, signal?: AbortSignal) => {
  const query = form(params).toString();
  return answer<T>(query ? `${path}?${query}` : path, { signal });
};

export const api = {
  queryRange: (query: string, start: number, end: number, step: number, signal?: AbortSignal) =>
    post<QueryData>('api/v1/query_range', { query, start, end, step }, signal),
  query: (query: string, time?: number, signal?: AbortSignal) => post<QueryData>('api/v1/query', { query, time }, signal),
  format: (query: string) => get<string>('api/v1/format_query', { query }),
  labels: (match?: string, signal?: AbortSignal) => get<string[]>('api/v1/labels', { 'match[]': match }, signal),
  values: (label: string, match?: string, limit?: number, signal?: AbortSignal) =>
    get<string[]>(`api/v1/label/${encodeURIComponent(label)}/values`, { 'match[]': match, limit }, signal),
  metadata: (metric?: string) => get<Record<string, Metadata[]>>('api/v1/metadata', { metric }),
  get,
  native,
  /** Any document of the server; null when it has none there. */
  async json<T>(path: string): Promise<T | null> {
    const r = await request(path, {});
    return r.ok && r.headers.get('content-type')?.includes('json') ? (r.json() as Promise<T>) : null;
  },
  async text(path: string): Promise<string | null> {
    const r = await request(path, {});
    return r.ok ? r.text() : null;
  },
};
