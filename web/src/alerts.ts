// Alerts: what fires, what is pending, what ended; why, since when, and who cares for it.
import { api, type Alert, type AlertEvent, type Silence } from './api';
import { AlertRow } from './alertrow';
import { dialog, fill, h, icon, toast } from './dom';
import { record } from './route';
import { isSilex } from './server';
import { onSettings, setSetting, settings } from './settings';
import { formatTime, sayDuration } from './time';
import { Stream, type Link } from './stream';

export type Group = 'firing' | 'pending' | 'muted' | 'resolved';

const titles: Record<Group, string> = { firing: 'Firing', pending: 'Pending', muted: 'Silenced or acknowledged', resolved: 'Ended within 15 minutes' };
const groups = Object.keys(titles) as Group[];
const links: Record<Link, string> = { live: '● Live', polling: '◌ Polling every 2 s', down: '⚠ Server not reachable' };
const tickMs = 1000;
const shownMax = 500; // of a group
const historyMs = 24 * 3600e3;
const ranks = ['critical', 'page', 'high', 'error', 'warning', 'warn', 'medium', 'low', 'info', 'none'];

export const ms = (at: string | null | undefined): number => (at ? Date.parse(at.replace(/(\.\d{3})\d+Z$/, '$1Z')) : 0);

export function groupOf(a: Alert): Group {
  return a.state === 'inactive' ? 'resolved' : a.silenced || a.acknowledged ? 'muted' : a.state === 'firing' ? 'firing' : 'pending';
}

const rank = (a: Alert) => {
  const i = ranks.indexOf((a.labels.severity ?? '').toLowerCase());
  return i < 0 ? ranks.length : i;
};

export class Alerts {
  readonly element = h('main', { id: 'alerts' });
  private readonly search = h('input', { type: 'search', placeholder: 'Filter by name, label, rule', 'aria-label': 'Filter alerts', spellcheck: false, oninput: () => this.filtered() });
  private readonly chips = h('div.chips', { role: 'group', 'aria-label': 'States' });
  private readonly summary = h('p.summary', { role: 'status' });
  private readonly link = h('span.link');
  private readonly says = h('p.fault-text', { role: 'alert' });
  private readonly list = h('div.alert-list');
  private readonly silences = h('section.card.silences', { hidden: true });
  private readonly alerts = new Map<string, Alert>();
  private readonly events = new Map<string, AlertEvent[]>(); // of an alert, oldest first
  private readonly rows = new Map<string, AlertRow>();
  private only: Group | '' = '';
  private stream: Stream | null = null;
  private timer = 0;
  private frame = 0;

  constructor() {
    this.element.append(h('div.toolbar', null, this.summary, this.link, this.chips, this.search,
      h('button.push', { type: 'button', title: 'Silence alerts by their labels', onclick: () => this.silence(null) }, icon('mute'), 'Silence')), this.says, this.list, this.silences);
    this.list.addEventListener('keydown', (e) => this.move(e));
    onSettings((changed) => {
      if (changed === 'tenant' || changed === 'token') this.element.isConnected && void this.start();
      else if (changed === 'theme') this.rows.forEach((r) => r.redraw());
    });
  }

  open(params: URLSearchParams): void {
    document.title = 'Alerts – Silex';
    this.search.value = params.get('find') ?? '';
    this.only = groups.find((g) => g === params.get('state')) ?? '';
    void this.start();
  }

  close(): void {
    this.stream?.stop();
    this.stream = null;
    clearInterval(this.timer);
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  key(key: string): boolean {
    const row = this.focused();
    if (key === '/') this.search.focus();
    else if (key === 'j' || key === 'k') this.step(key === 'j' ? 1 : -1);
    else if (key === 'c' && row) this.acknowledge(row.alert);
    else if (key === 'z') this.silence(row?.alert ?? null);
    else return false;
    return true;
  }

  private async start(): Promise<void> {
    this.close();
    this.alerts.clear();
    this.events.clear();
    this.rows.forEach((r) => r.destroy());
    this.rows.clear();
    if (!(await isSilex())) {
      fill(this.says, 'This server is not Silex: it has no list of alerts to show.');
      return;
    }
    if (!this.element.isConnected || this.stream) return;
    void this.loadHistory();
    void this.loadSilences();
    this.stream = new Stream((l) => {
      this.link.dataset.link = l;
      fill(this.link, links[l]);
    });
    this.stream.follow({ query: '', raw: false, take: () => {}, fail: (m) => fill(this.says, m), alerts: (all, event) => (all ? this.takeAll(all) : this.takeEvent(event!)) });
    this.timer = window.setInterval(() => document.hidden || this.tick(), tickMs);
  }

  // ---- what the server says ----

  private takeAll(all: Alert[]): void {
    fill(this.says);
    const before = new Map(this.alerts);
    this.alerts.clear();
    for (const a of all) {
      const known = before.get(a.fingerprint); // an event may have come before a list that is older
      const newer = known && ms(known.changed_at) > ms(a.changed_at);
      this.alerts.set(a.fingerprint, newer ? { ...known, silenced: a.silenced, acknowledged: a.acknowledged } : a);
    }
    void this.loadSilences();
    this.soon();
  }

  private takeEvent(e: AlertEvent): void {
    const known = this.alerts.get(e.alert.fingerprint);
    const active = e.alert.state !== 'inactive';
    if (e.type === 'inactive') this.alerts.delete(e.alert.fingerprint); // pending, and then not
    else this.alerts.set(e.alert.fingerprint, { ...e.alert, silenced: active ? known?.silenced : null, acknowledged: active ? known?.acknowledged : null });
    this.note(e);
    this.soon();
  }

  private note(e: AlertEvent): void {
    const all = this.events.get(e.alert.fingerprint) ?? [];
    if (all.some((x) => x.id === e.id)) return;
    all.push(e);
    all.sort((a, b) => ms(a.at) - ms(b.at));
    this.events.set(e.alert.fingerprint, all);
  }

  private async loadHistory(): Promise<void> {
    try {
      const { events } = await api.native<{ events: AlertEvent[] }>('POST', 'api/silex/v1/alerts/history', { start: new Date(Date.now() - historyMs).toISOString() });
      events.forEach((e) => this.note(e));
      this.soon();
    } catch (e) {
      fill(this.says, (e as Error).message);
    }
  }

  private async loadSilences(): Promise<void> {
    try {
      this.showSilences((await api.native<{ silences: Silence[] }>('GET', 'api/silex/v1/silences')).silences);
    } catch (e) {
      fill(this.says, (e as Error).message);
    }
  }

  // ---- the list ----

  private soon(): void {
    if (!this.frame) this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.show();
    });
  }

  private tick(): void {
    this.rows.forEach((r) => r.tick());
  }

  private filtered(): void {
    const p = new URLSearchParams();
    if (this.search.value) p.set('find', this.search.value);
    if (this.only) p.set('state', this.only);
    record('alerts', p, true);
    this.show();
  }

  private matches(a: Alert): boolean {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = [a.rule.name, a.rule.group, a.rule.expr, ...Object.entries(a.labels).map(([k, v]) => `${k}=${v}`), ...Object.values(a.annotations)].join(' ').toLowerCase();
    return words.every((w) => text.includes(w));
  }

  private show(): void {
    const found: Record<Group, Alert[]> = { firing: [], pending: [], muted: [], resolved: [] };
    for (const a of this.alerts.values()) if (this.matches(a)) found[groupOf(a)].push(a);
    for (const g of groups) found[g].sort((a, b) => rank(a) - rank(b) || ms(b.changed_at) - ms(a.changed_at) || (a.fingerprint < b.fingerprint ? -1 : 1));
    const n = (g: Group) => found[g].length.toLocaleString('en');
    this.summary.dataset.level = found.firing.length ? 'alarm' : found.pending.length ? 'warn' : 'ok';
    fill(this.summary, found.firing.length ? `▲ ${n('firing')} firing` : found.pending.length ? `◔ ${n('pending')} pending` : '✓ Nothing fires');
    fill(this.chips, ['' as const, ...groups].filter((g) => g === '' || found[g].length || this.only === g).map((g) => h('button', {
      type: 'button', 'aria-pressed': String(this.only === g), onclick: () => {
        this.only = g;
        this.filtered();
      } }, g ? `${titles[g].split(' ')[0]} ${n(g)}` : 'All')));
    this.paint(groups.filter((g) => !this.only || g === this.only).map((g) => [g, found[g]]));
  }

  /** Rows stay the elements that they are, so that focus, an open chart and a text selection stay. */
  private paint(parts: [Group, Alert[]][]): void {
    const kept = new Set<string>();
    const wanted: Node[] = [];
    for (const [g, alerts] of parts) {
      if (!alerts.length) continue;
      const head = (this.list.querySelector(`h2[data-group=${g}]`) as HTMLElement | null) ?? h('h2', { 'data-group': g });
      fill(head, titles[g], h('span', null, alerts.length.toLocaleString('en')));
      wanted.push(head);
      for (const a of alerts.slice(0, shownMax)) {
        const row = this.rows.get(a.fingerprint) ?? new AlertRow((x) => this.acknowledge(x), (x) => this.silence(x));
        this.rows.set(a.fingerprint, row);
        row.show(a, this.events.get(a.fingerprint) ?? []);
        kept.add(a.fingerprint);
        wanted.push(row.element);
      }
      if (alerts.length > shownMax) wanted.push(h('p.none', null, `and ${(alerts.length - shownMax).toLocaleString('en')} more: filter to see them`));
    }
    if (!wanted.length) wanted.push(h('p.none', null, this.alerts.size ? 'No alert matches.' : 'No alert is pending or firing, and none ended within 15 minutes.'));
    for (const [id, row] of this.rows) if (!kept.has(id)) {
      row.destroy();
      this.rows.delete(id);
    }
    wanted.forEach((e, i) => this.list.childNodes[i] !== e && this.list.insertBefore(e, this.list.childNodes[i] ?? null));
    while (this.list.childNodes.length > wanted.length) this.list.lastChild!.remove();
  }

  // ---- keys ----

  private focused(): AlertRow | null {
    return [...this.rows.values()].find((r) => r.element.contains(document.activeElement)) ?? null;
  }

  private step(by: number): void {
    const heads = [...this.list.querySelectorAll<HTMLElement>('.alert-head')];
    const at = heads.findIndex((x) => x.closest('article')!.contains(document.activeElement));
    heads[Math.max(0, Math.min(heads.length - 1, at + by))]?.focus();
  }

  private move(e: KeyboardEvent): void {
    if (e.key !== 'ArrowDown' && e.key !== 'ArrowUp') return;
    e.preventDefault();
    this.step(e.key === 'ArrowDown' ? 1 : -1);
  }

  // ---- acknowledging, silencing ----

  private acknowledge(a: Alert): void {
    const path = `api/silex/v1/alerts/${a.fingerprint}/acknowledge`;
    if (a.acknowledged) {
      void this.change('DELETE', path, undefined, 'The acknowledgement was taken back.');
      return;
    }
    this.ask('Acknowledge', `${a.labels.alertname ?? a.rule.name}: somebody cares for it. It is not told again while it goes on.`, [], [['until it ends', ''], ['30 minutes', '30m'], ['1 hour', '1h'], ['4 hours', '4h'], ['8 hours', '8h']],
      (x) => this.change('POST', path, { author: x.author, comment: x.comment, ...(x.duration ? { duration: x.duration } : {}) }, 'Acknowledged.'));
  }

  private silence(a: Alert | null): void {
    if (a?.silenced) {
      void this.change('DELETE', `api/silex/v1/silences/${a.silenced.id}`, undefined, 'The silence has ended.');
      return;
    }
    const text = a ? `{${Object.entries(a.labels).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(', ')}}` : '{alertname=""}';
    const match = h('input', { type: 'text', value: text, spellcheck: false, 'aria-label': 'Labels', name: 'match' });
    this.ask('Silence', 'Alerts whose labels match are shown, but nobody is told of them. Leave out labels to silence more.', [h('label', null, 'Alerts with these labels', match)],
      [['30 minutes', '30m'], ['1 hour', '1h'], ['2 hours', '2h'], ['8 hours', '8h'], ['1 day', '1d'], ['1 week', '1w']],
      (x) => this.change('POST', 'api/silex/v1/silences', { match: match.value, author: x.author, comment: x.comment, duration: x.duration }, 'Silenced.'));
  }

  private ask(title: string, hint: string, more: HTMLElement[], spans: [string, string][], done: (x: { author: string; comment: string; duration: string }) => Promise<string>): void {
    const author = h('input', { type: 'text', value: settings.author, autocomplete: 'name', required: true, name: 'author' });
    const comment = h('input', { type: 'text', autocomplete: 'off', name: 'comment' });
    const span = h('select', { name: 'duration' }, spans.map(([text, value]) => h('option', { value }, text)));
    const fault = h('p.fault-text', { role: 'alert' });
    const form = h('form.settings', { onsubmit: async (e: Event) => {
      e.preventDefault();
      setSetting('author', author.value.trim());
      const wrong = await done({ author: author.value.trim(), comment: comment.value.trim(), duration: span.value });
      if (wrong) fill(fault, wrong);
      else box.close();
    } }, h('p.hint', null, hint), more, h('label', null, 'For', span), h('label', null, 'Your name', author), h('label', null, 'Why', comment), fault,
    h('button.primary', { type: 'submit' }, title));
    const box = dialog(title, form);
    (author.value ? span : author).focus();
  }

  /** What went wrong, or ''. The list that follows comes over the stream; without one it is asked for. */
  private async change(method: string, path: string, body: unknown, said: string): Promise<string> {
    try {
      await api.native(method, path, body);
      toast(said);
      void this.loadSilences();
      return '';
    } catch (e) {
      if (method === 'DELETE') toast((e as Error).message);
      return (e as Error).message;
    }
  }

  private showSilences(all: Silence[]): void {
    this.silences.hidden = !all.length;
    fill(this.silences, h('h2', null, 'Silences'), h('ul', null, all.map((s) => h('li', null,
      h('span.silence-what', null, h('code', null, s.match), s.comment && h('span', null, s.comment)),
      h('span.silence-who', null, `${s.author}, ${s.state === 'pending' ? `from ${formatTime(ms(s.starts_at))}` : `${sayDuration(ms(s.ends_at) - Date.now())} left`}`),
      h('button', { type: 'button', title: `Until ${formatTime(ms(s.ends_at))}`, onclick: () => void this.change('DELETE', `api/silex/v1/silences/${s.id}`, undefined, 'The silence has ended.') }, 'End')))));
  }
}
