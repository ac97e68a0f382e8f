// One value of the Monitor: large, with its limits, the last five minutes, and a loud sign when it is old or out of bounds.
import { colour } from './chart';
import type { Labels, Sample } from './api';
import { h, fill } from './dom';
import { toNumber } from './series';
import { parseDuration } from './time';
import type { Unit } from './units';
import { judge, limits, type State, type Watch } from './wall';

export const windowMs = 300_000;
const pointsMax = 1500;

export class Tile {
  readonly element: HTMLElement;
  private readonly value = h('div.value');
  private readonly unitText = h('span.unit');
  private readonly word = h('span.word');
  private readonly age = h('span.age');
  private readonly last = h('p.was');
  private readonly spark = h('canvas', { 'aria-hidden': 'true' });
  private times: number[] = []; // ms
  private values: number[] = [];
  private arrived = 0; // by this browser's clock
  private ended = false;
  state: State = { level: 'stale', word: 'NO DATA' };

  constructor(private readonly watch: Watch, labels: Labels, subtitle: string, private readonly unit: Unit, private readonly slot: number, edit: () => void) {
    const name = watch.title || labels.__name__ || watch.query;
    const bounds = [['▲', watch.alarmHigh ?? watch.warnHigh], ['▼', watch.alarmLow ?? watch.warnLow]].filter((b) => b[1] !== undefined);
    this.element = h('article.tile', { tabIndex: 0, 'aria-label': `${name} ${subtitle}`, ondblclick: edit, onkeydown: (e: KeyboardEvent) => e.key === 'Enter' && edit() },
      h('header', null, h('h2', { title: watch.query }, name), this.word), subtitle && h('p.sub', { title: subtitle }, subtitle),
      h('div.reading', null, h('div.limits', { title: 'Limits' }, bounds.map(([sign, v]) => h('span', null, `${sign} ${v}`))), this.value, this.unitText),
      this.last, this.spark, h('footer', null, this.age));
  }

  /** Adds samples; older ones than the newest known are ignored. */
  take(values: (Sample | [number, null])[], history = false): void {
    for (const [t, v] of values) {
      const ms = t * 1000;
      if (ms <= (this.times[this.times.length - 1] ?? -Infinity)) continue;
      this.ended = v === null;
      if (v === null) continue;
      this.times.push(ms);
      this.values.push(toNumber(v));
      this.arrived = history ? Math.min(Date.now(), ms) : Date.now();
    }
    const old = this.times.findIndex((t) => t > this.times[this.times.length - 1] - windowMs);
    const drop = Math.max(old, this.times.length - pointsMax);
    if (drop > 0) {
      this.times.splice(0, drop);
      this.values.splice(0, drop);
    }
  }

  /** Once a second, and after samples. */
  paint(now: number): void {
    const value = this.values[this.values.length - 1];
    const age = now - this.arrived;
    const stale = value === undefined || this.ended || age > this.staleAfter();
    this.state = stale ? { level: 'stale', word: '⚠ NO DATA' } : judge(this.watch, value);
    this.element.dataset.level = this.state.level;
    const [number, unit] = this.split(value);
    const text = stale ? '– – –' : number; // an old number, or any other one, could be taken for the value
    this.value.style.setProperty('--chars', String(Math.max(2.6, widthOf(text))));
    setText(this.value, text);
    setText(this.unitText, stale ? '' : unit);
    setText(this.word, this.state.word);
    setText(this.last, stale && value !== undefined ? `for ${clock(age)}; it was ${number} ${unit}` : '');
    setText(this.age, stale ? '' : age < 1500 ? 'now' : `${Math.round(age / 1000)} s ago`);
    this.draw(now);
  }

  private split(value: number | undefined): [string, string] {
    if (value === undefined) return ['', ''];
    const text = this.unit.format(value, 3);
    const m = /^(\S+) (.+)$/.exec(text);
    return m ? [m[1], m[2]] : [text, ''];
  }

  /** Four times the usual distance of samples, at least ten seconds. */
  private staleAfter(): number {
    const own = parseDuration(this.watch.stale ?? '');
    return own ?? Math.max(10_000, 4 * this.rhythm());
  }

  private rhythm(): number {
    const recent = this.times.slice(-20);
    const gaps = recent.slice(1).map((t, i) => t - recent[i]).sort((a, b) => a - b);
    return gaps[gaps.length >> 1] ?? 0;
  }

  private draw(now: number): void {
    const ratio = devicePixelRatio || 1;
    const { clientWidth: w, clientHeight: hgt } = this.spark;
    if (!w || !hgt) return;
    if (this.spark.width !== Math.round(w * ratio) || this.spark.height !== Math.round(hgt * ratio)) {
      this.spark.width = Math.round(w * ratio);
      this.spark.height = Math.round(hgt * ratio);
    }
    const c = this.spark.getContext('2d')!;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, w, hgt);
    const finite = this.values.filter(Number.isFinite);
    if (!finite.length) return;
    const style = getComputedStyle(this.element);
    const bounds = limits.map((l) => this.watch[l]).filter((v): v is number => v !== undefined);
    let [min, max] = [Math.min(...finite), Math.max(...finite)];
    const reach = Math.max(max - min, Math.abs(max) * 0.02, 1e-9);
    for (const b of bounds) if (b > min - reach * 1.5 && b < max + reach * 1.5) [min, max] = [Math.min(min, b), Math.max(max, b)];
    [min, max] = max - min < reach ? [(min + max - reach) / 2, (min + max + reach) / 2] : [min, max];
    const y = (v: number) => 4 + (hgt - 8) * (1 - (v - min) / (max - min));
    const end = Math.max(now, this.times[this.times.length - 1]);
    const x = (t: number) => w - 4 - (w - 4) * ((end - t) / windowMs);
    c.lineWidth = 1;
    c.setLineDash([5, 5]);
    c.strokeStyle = style.getPropertyValue('--limit');
    for (const b of bounds) if (b >= min && b <= max) line(c, [[0, y(b)], [w, y(b)]]);
    c.setLineDash([]);
    c.lineWidth = 2;
    c.lineJoin = 'round';
    c.strokeStyle = c.fillStyle = this.state.level === 'ok' ? colour(this.slot) : style.color;
    const gap = 4 * this.rhythm() + 1;
    let run: [number, number][] = [];
    this.times.forEach((t, i) => {
      if (!Number.isFinite(this.values[i]) || (i && t - this.times[i - 1] > gap)) {
        line(c, run);
        run = [];
      }
      if (Number.isFinite(this.values[i])) run.push([x(t), y(this.values[i])]);
    });
    line(c, run);
    const tip = run[run.length - 1];
    if (!tip) return;
    c.beginPath();
    c.arc(tip[0], tip[1], 3, 0, 7);
    c.fill();
  }
}

function line(c: CanvasRenderingContext2D, points: [number, number][]): void {
  c.beginPath();
  points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
  c.stroke();
}

/** In digits; the narrow signs count half. */
const widthOf = (text: string) => [...text].reduce((n, c) => n + (/[.:,\u202f]/.test(c) ? 0.45 : 1), 0);

const clock = (ms: number) => {
  const s = Math.floor(ms / 1000);
  return s < 3600 ? `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}` : `${Math.floor(s / 3600)} h`;
};

function setText(e: Element, text: string): void {
  if (e.textContent !== text) fill(e, text);
}
