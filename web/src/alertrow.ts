// One alert: severity, name, labels, value, since when, a day of its states as a strip; opened: why, and the chart that fired.
import { api, type Alert, type AlertEvent, type Labels } from './api';
import { groupOf, ms } from './alerts';
import { Chart } from './chart';
import { h, fill, icon } from './dom';
import { exploreParams, go } from './route';
import { columns, linesOf, toNumber, type Line } from './series';
import { chooseStep, formatTime, sayDuration } from './time';
import { plain, unitNamed } from './units';

const stripMs = 24 * 3600e3;
const chartMs = 3600e3;
const chartEveryMs = 15_000;
const eventsShown = 12;

const signs: Record<string, string> = { firing: '▲', pending: '◔', muted: '∅', resolved: '✓' };
const severities: Record<string, string> = { critical: '▲▲', page: '▲▲', error: '▲', high: '▲', warning: '!', warn: '!' };

/** `cpu > 90` is a query and a limit: what stands on the left is drawn, the number as a line; of `hr outside 40 to 120` both. */
export function threshold(expr: string, words = ''): { query: string; at: number[] } | null {
  const range = /\s(?:outside|inside) (\S+) to ([^\s,]+)/.exec(words);
  if (range) return { query: expr, at: [Number(range[1]), Number(range[2])] };
  const m = /^([^]+?)\s*(?:>=|<=|==|!=|>|<)\s*(?:bool\s+)?([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*$/i.exec(expr);
  if (!m || /\b(and|or|unless)\b/i.test(m[1]) || /[<>=!]=?\s*[-+\d.]+\s*$/.test(m[1])) return null;
  return { query: m[1], at: [Number(m[2])] };
}

/** The series of the rule's expression that are this alert's: none of their labels says otherwise. */
const own = (series: Labels, alert: Labels) => Object.entries(series).every(([k, v]) => k === '__name__' || alert[k] === undefined || alert[k] === v);

export class AlertRow {
  readonly element = h('article.card.alert');
  alert!: Alert;
  private events: AlertEvent[] = [];
  private readonly sign = h('span.sign');
  private readonly name = h('b');
  private readonly labels = h('span.labels');
  private readonly says = h('span.says');
  private readonly value = h('span.alert-value');
  private readonly since = h('span.since');
  private readonly care = h('span.care');
  private readonly strip = h('div.strip');
  private readonly detail = h('div.detail', { hidden: true });
  private readonly head: HTMLButtonElement;
  private readonly ack: HTMLButtonElement;
  private readonly mute: HTMLButtonElement;
  private chart: Chart | null = null;
  private timer = 0;

  constructor(acknowledge: (a: Alert) => void, silence: (a: Alert) => void) {
    this.head = h('button.quiet.alert-head', { type: 'button', 'aria-expanded': 'false', onclick: () => this.toggle() }, this.sign, h('span.what', null, this.name, this.labels, this.says));
    this.ack = h('button', { type: 'button', onclick: () => acknowledge(this.alert) });
    this.mute = h('button', { type: 'button', onclick: () => silence(this.alert) });
    this.element.append(h('div.alert-line', null, this.head, h('span.figures', null, this.value, this.since, this.care), h('span.tools', null, this.ack, this.mute)), this.strip, this.detail);
  }

  show(a: Alert, events: AlertEvent[]): void {
    const severity = a.labels.severity ?? '';
    const group = groupOf(a);
    this.alert = a;
    this.events = events;
    this.element.dataset.state = group;
    this.element.dataset.severity = severity.toLowerCase();
    fill(this.sign, h('i', { 'aria-hidden': 'true' }, group === 'firing' ? severities[severity.toLowerCase()] ?? signs.firing : signs[group]), h('span', null, severity || a.state));
    fill(this.name, a.labels.alertname ?? a.rule.name);
    fill(this.labels, Object.entries(a.labels).filter(([k]) => k !== 'alertname' && k !== 'severity').map(([k, v]) => h('code', null, `${k}=${v}`)));
    fill(this.says, a.annotations.summary ?? a.annotations.description ?? '');
    const v = toNumber(a.value);
    fill(this.value, Number.isFinite(v) ? plain(v, 5) : a.value);
    this.value.title = 'Value at the last change';
    fill(this.care, a.acknowledged && `✓ ${a.acknowledged.by}`, a.silenced && `∅ ${a.silenced.by}, ${sayDuration(ms(a.silenced.until) - Date.now())} left`);
    this.ack.hidden = this.mute.hidden = a.state === 'inactive';
    fill(this.ack, icon('check'), h('span', null, a.acknowledged ? 'Take back' : 'Acknowledge'));
    fill(this.mute, icon(a.silenced ? 'bell' : 'mute'), h('span', null, a.silenced ? 'End silence' : 'Silence'));
    this.tick();
    this.paintStrip();
    if (this.chart) this.paintWords();
  }

  tick(): void {
    const a = this.alert;
    const at = ms(a.state === 'firing' ? a.fired_at : a.state === 'pending' ? a.active_at : a.resolved_at);
    fill(this.since, at ? `${a.state === 'inactive' ? 'ended ' : ''}${sayDuration(Date.now() - at)}${a.state === 'inactive' ? ' ago' : ''}` : '');
    this.since.title = at ? formatTime(at) : '';
  }

  redraw(): void {
    this.chart?.redraw();
  }

  destroy(): void {
    clearInterval(this.timer);
    this.chart?.destroy();
    this.chart = null;
    this.element.remove();
  }

  /** A day, from left to right; firing is high, pending half, so that the shape says it without the colour. */
  private paintStrip(): void {
    const end = Date.now();
    const start = end - stripMs;
    const parts: { state: string; from: number; to: number }[] = [];
    let state: string = this.events[0]?.from ?? this.alert.state;
    let from = start;
    for (const e of this.events) {
      const at = Math.max(start, ms(e.at));
      if (at > from) parts.push({ state, from, to: at });
      state = e.alert.state;
      from = at;
    }
    parts.push({ state, from, to: end });
    const fired = parts.filter((p) => p.state === 'firing');
    const total = fired.reduce((n, p) => n + p.to - p.from, 0);
    this.strip.setAttribute('role', 'img');
    this.strip.setAttribute('aria-label', `Last 24 hours: fired ${fired.length} ${fired.length === 1 ? 'time' : 'times'}, ${sayDuration(total)} in all`);
    this.strip.title = this.strip.getAttribute('aria-label')!;
    fill(this.strip, parts.filter((p) => p.state !== 'inactive').map((p) => h(`i.${p.state}` as 'i', {
      style: `left:${((p.from - start) / stripMs) * 100}%;width:max(2px,${((p.to - p.from) / stripMs) * 100}%)` })));
  }

  // ---- opened ----

  private toggle(): void {
    const open = this.detail.hidden;
    this.detail.hidden = !open;
    this.head.setAttribute('aria-expanded', String(open));
    clearInterval(this.timer);
    this.chart?.destroy();
    this.chart = null;
    fill(this.detail);
    if (!open) return;
    this.chart = new Chart((a, b) => this.explore({ from: new Date(a).toISOString(), to: new Date(b).toISOString() }), () => {}, 200);
    this.detail.append(h('div.words'), this.chart.element);
    this.paintWords();
    void this.draw();
    this.timer = window.setInterval(() => document.hidden || void this.draw(), chartEveryMs);
  }

  private explore(range: { from: string; to: string }): void {
    go('explore', exploreParams([this.alert.rule.query], range));
  }

  private paintWords(): void {
    const a = this.alert;
    const notes = Object.entries(a.annotations);
    fill(this.detail.querySelector<HTMLElement>('.words')!,
      h('p', null, h('code', null, a.rule.expr), h('button.quiet', { type: 'button', onclick: () => this.explore({ from: 'now-1h', to: 'now' }) }, icon('search'), 'Explore')),
      notes.length > 0 && h('dl', null, notes.map(([k, v]) => [h('dt', null, k), h('dd', null, /^https?:\/\/\S+$/.test(v) ? h('a', { href: v, rel: 'noreferrer' }, v) : v)])),
      this.events.length > 0 && h('ol.events', null, this.events.slice(-eventsShown).reverse().map((e) => h('li', null, h('time', null, formatTime(ms(e.at))), h('span', null, `${signs[e.type] ?? '○'} ${e.type}`), e.type === 'firing' && plain(toNumber(e.alert.value), 5)))),
      h('p.hint', null, `rule ${a.rule.name}${a.rule.group ? ` of ${a.rule.group}` : ''}`));
  }

  private async draw(): Promise<void> {
    const { query, expr } = this.alert.rule;
    const limit = threshold(query, expr);
    const end = Date.now();
    const since = ms(this.alert.active_at) || end;
    const span = { start: Math.min(end - chartMs, Math.max(since - chartMs / 2, end - stripMs)), end };
    const step = Math.max(1000, chooseStep(span, this.element.clientWidth));
    const first = Math.ceil(span.start / step) * step;
    try {
      const got = (await api.queryRange(limit?.query ?? query, first / 1000, end / 1000, step / 1000)).data;
      const lines: Line[] = linesOf(got).lines.filter((l) => own(l.labels, this.alert.labels)).slice(0, 10);
      const values = columns(lines, first, end, step);
      for (const at of limit?.at ?? []) values.push(values[0].map(() => at));
      this.chart?.show({ columns: values, drawn: [...lines.map((l, i) => ({ name: l.full, slot: i })), ...(limit?.at ?? []).map((at) => ({ name: `limit ${at}`, slot: 17 }))], unit: unitNamed('none')!, span: [span.start / 1000, end / 1000] });
    } catch (e) {
      fill(this.detail, h('p.fault-text', { role: 'alert' }, (e as Error).message));
    }
  }
}
