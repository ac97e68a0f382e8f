// Live values: over one WebSocket for all subscriptions (docs/protocols/stream.md); by polling while there is none.
import { api, base, type Alert, type AlertEvent, type Labels, type QueryData, type Sample } from './api';
import { isSilex } from './server';
import { settings } from './settings';

export interface LiveSeries { labels: Labels; values: (Sample | [number, null])[] } // null: the series ended
export interface Follower {
  query: string;
  raw: boolean; // a plain selector: its samples; else the query's result, again and again
  take(series: LiveSeries[]): void;
  alerts?(all: Alert[] | null, event: AlertEvent | null): void; // instead: the alerts whose labels match the query ('': all)
  fail(message: string): void;
}
export type Link = 'live' | 'polling' | 'down';

const intervalMs = 2000;
const retryMs = 5000;
const overlapMs = 10_000; // samples may come late: look back a little further than the last poll

interface Message { id?: number; type: string; series?: LiveSeries[]; data?: QueryData; error?: string; alerts?: Alert[]; event?: AlertEvent }

export class Stream {
  private readonly followers = new Map<number, Follower>();
  private readonly polled = new Map<number, number>(); // id -> when it was last heard of
  private socket: WebSocket | null = null;
  private next = 1;
  private timer = 0;
  private tried = -Infinity;
  private stopped = false;

  constructor(private readonly linked: (l: Link) => void) {
    this.timer = window.setInterval(() => void this.poll(), intervalMs);
  }

  follow(f: Follower): number {
    const id = this.next++;
    this.followers.set(id, f);
    if (this.socket?.readyState === WebSocket.OPEN) this.subscribe(id, f);
    else void this.poll();
    return id;
  }

  stop(): void {
    this.stopped = true;
    clearInterval(this.timer);
    this.followers.clear();
    this.socket?.close();
  }

  /** True when a socket is open or on its way. */
  private async connect(): Promise<boolean> {
    if (this.socket) return true;
    if (performance.now() - this.tried < retryMs) return false;
    this.tried = performance.now();
    if (!(await isSilex()) || this.stopped) return false;
    if (this.socket) return true;
    const url = new URL('api/silex/v1/stream', base);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = (this.socket = new WebSocket(url));
    socket.onopen = () => {
      this.tried = -Infinity; // one that worked is opened again at once
      this.linked('live');
      this.followers.forEach((f, id) => this.subscribe(id, f));
    };
    socket.onmessage = (e) => this.message(JSON.parse(e.data as string) as Message);
    socket.onclose = () => {
      this.socket = null;
      if (!this.stopped) void this.poll();
    };
    return true;
  }

  private subscribe(id: number, f: Follower): void {
    const who = { tenant: settings.tenant || undefined, token: settings.token || undefined };
    this.socket!.send(JSON.stringify(f.alerts ? { id, type: 'alerts', selector: f.query, ...who } : f.raw ? { id, type: 'subscribe', selector: f.query, ...who } : { id, type: 'query', query: f.query, interval: '1s', ...who }));
    if (f.raw && !f.alerts) void this.ask(id, f); // what came before the subscription held
  }

  private message(m: Message): void {
    const f = this.followers.get(m.id ?? 0);
    if (!f) return;
    this.polled.set(m.id!, Date.now());
    if (m.type === 'alerts') f.alerts?.(m.alerts ?? [], null);
    else if (m.type === 'alert') f.alerts?.(null, m.event!);
    else if (m.type === 'samples') f.take(m.series ?? []);
    else if (m.type === 'result') f.take(latest(m.data!));
    else if (m.type === 'error') f.fail(m.error ?? 'the stream failed');
  }

  private async poll(): Promise<void> {
    if (this.stopped || !this.followers.size || document.hidden || (await this.connect())) return;
    const alive = await Promise.all([...this.followers].map(([id, f]) => this.ask(id, f)));
    if (!this.stopped && !this.socket) this.linked(alive.every(Boolean) ? 'polling' : 'down');
  }

  /** One look at what is new since the last one; false when the server does not answer. */
  private async ask(id: number, f: Follower): Promise<boolean> {
    const now = Date.now();
    const since = Math.min(300_000, now - (this.polled.get(id) ?? now) + overlapMs);
    this.polled.set(id, now);
    try {
      if (f.alerts) f.alerts((await alertsNow(f.query)).alerts, null);
      else f.take(latest((await api.query(f.raw ? `${f.query}[${since}ms]` : f.query)).data));
      return true;
    } catch (e) {
      if ((e as { status?: number }).status === 0) return false;
      f.fail((e as Error).message);
      return true;
    }
  }
}

export const alertsNow = (selector: string) => api.native<{ alerts: Alert[] }>('POST', 'api/silex/v1/alerts', { state: 'all', ...(selector ? { selector } : {}) });

function latest(data: QueryData): LiveSeries[] {
  if (data.resultType === 'scalar' || data.resultType === 'string') return [{ labels: {}, values: [data.result] }];
  return data.result.map((s) => ({ labels: s.metric, values: s.values ?? (s.value ? [s.value] : []) }));
}
