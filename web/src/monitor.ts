// Monitor: a wall of values that is read from across the room.
import { api } from './api';
import { catalogue } from './catalogue';
import { dialog, fill, h, icon } from './dom';
import { Editor } from './editor';
import { isSelector } from './promql';
import { record } from './route';
import { fullName } from './series';
import { parseDuration } from './time';
import { Stream, type Link, type LiveSeries } from './stream';
import { Tile, windowMs } from './tile';
import { unitNamed, unitOfQuery, type Unit } from './units';
import { fromParams, limits, remember, remembered, toParams, type Watch } from './wall';

const tilesMax = 24; // of one query
const historyStepMs = 2000;

const links: Record<Link, string> = { live: '● Live', polling: '◌ Polling every 2 s', down: '⚠ Server not reachable' };

export class Monitor {
  readonly element = h('main', { id: 'monitor' });
  private readonly summary = h('p.summary', { role: 'status' });
  private readonly link = h('span.link');
  private readonly grid = h('div.wall');
  private readonly faults = h('ul.notes');
  private wall: Watch[] = [];
  private tiles = new Map<string, Tile>();
  private stream: Stream | null = null;
  private timer = 0;
  private frame = 0;

  constructor() {
    this.element.append(
      h('div.toolbar', null, this.summary, this.link,
        h('button.push', { type: 'button', title: 'Add a value  ( + )', onclick: () => this.edit(null) }, icon('plus'), 'Add'),
        h('button', { type: 'button', title: 'Full screen  ( f )', onclick: () => this.full() }, icon('wide'), h('span.long', null, 'Full screen'))),
      this.faults, this.grid);
  }

  open(params: URLSearchParams): void {
    const given = fromParams(params);
    this.wall = given.length ? given : remembered();
    record('monitor', toParams(this.wall), true);
    document.title = 'Monitor – Silex';
    void catalogue.loadUnits().catch(() => {}).then(() => this.start());
  }

  close(): void {
    this.stream?.stop();
    this.stream = null;
    clearInterval(this.timer);
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  key(key: string): boolean {
    if (key === 'f') this.full();
    else if (key === '+') this.edit(null);
    else return false;
    return true;
  }

  private full(): void {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void this.element.requestFullscreen();
  }

  private start(): void {
    if (!this.element.isConnected) return; // another view was opened meanwhile
    this.close();
    this.tiles.clear();
    fill(this.faults);
    fill(this.link);
    this.grid.replaceChildren();
    if (!this.wall.length) {
      fill(this.grid, this.invitation());
      fill(this.summary);
      return;
    }
    const stream = (this.stream = new Stream((l) => {
      fill(this.link, links[l]);
      this.link.dataset.link = l;
    }));
    this.wall.forEach((w, i) => void this.follow(stream, w, i));
    this.timer = window.setInterval(() => this.paint(), 1000);
  }

  private async follow(stream: Stream, w: Watch, place: number): Promise<void> {
    const raw = isSelector(w.query);
    const unit: Unit = (w.unit && unitNamed(w.unit)) || unitOfQuery(w.query, (m) => catalogue.units.get(m));
    const said = h('li.warning', { hidden: true });
    this.faults.append(said);
    const fail = (message: string) => {
      said.hidden = false;
      fill(said, icon('warn'), `${w.title || w.query}: ${message}`);
    };
    const take = (series: LiveSeries[], history = false) => {
      for (const s of series) this.tileOf(w, place, s, unit, series.length)?.take(s.values, history);
      this.frame ||= requestAnimationFrame(() => {
        this.frame = 0;
        this.paint();
      });
    };
    try {
      const end = Date.now() / 1000;
      const { data } = raw ? await api.query(`${w.query}[${windowMs}ms]`) : await api.queryRange(w.query, end - windowMs / 1000, end, historyStepMs / 1000);
      if (this.stream !== stream) return;
      if (data.resultType === 'matrix') take(data.result.map((s) => ({ labels: s.metric, values: s.values ?? [] })), true);
      if (data.resultType === 'matrix' && data.result.length > tilesMax) fail(`${data.result.length} series; the first ${tilesMax} are shown.`);
      if (data.resultType === 'matrix' && !data.result.length) take([{ labels: {}, values: [] }]);
    } catch (e) {
      fail((e as Error).message);
    }
    if (this.stream === stream) stream.follow({ query: w.query, raw, take, fail });
  }

  /** The tile of a series; null when the query has too many. A query without any series has one, which says so. */
  private tileOf(w: Watch, place: number, s: LiveSeries, unit: Unit, count: number): Tile | null {
    const key = `${place} ${fullName(s.labels)}`;
    const known = this.tiles.get(key);
    if (known) return known;
    const own = [...this.tiles.keys()].filter((k) => k.startsWith(`${place} `));
    if (own.length >= tilesMax) return null;
    const nothing = this.tiles.get(`${place} {}`);
    if (nothing) {
      nothing.element.remove();
      this.tiles.delete(`${place} {}`);
    }
    const { __name__: _, ...rest } = s.labels;
    const subtitle = count > 1 || !w.title ? Object.entries(rest).map(([k, v]) => (k === 'instance' || k === 'job' ? v : `${k} ${v}`)).join(' · ') : '';
    const tile = new Tile(w, s.labels, subtitle, unit, this.tiles.size, () => this.edit(place));
    this.tiles.set(key, tile);
    const after = [...this.grid.children].find((e) => Number((e as HTMLElement).dataset.place) > place) ?? null;
    tile.element.dataset.place = String(place);
    this.grid.insertBefore(tile.element, after);
    return tile;
  }

  private paint(): void {
    const now = Date.now();
    const n = { ok: 0, warn: 0, alarm: 0, stale: 0 };
    for (const t of this.tiles.values()) {
      t.paint(now);
      n[t.state.level]++;
    }
    const worst = n.alarm ? 'alarm' : n.stale ? 'stale' : n.warn ? 'warn' : 'ok';
    this.summary.dataset.level = worst;
    const parts = [n.alarm && `▲▼ ${n.alarm} alarm${n.alarm > 1 ? 's' : ''}`, n.stale && `⚠ ${n.stale} without data`, n.warn && `${n.warn} warning${n.warn > 1 ? 's' : ''}`].filter(Boolean);
    const text = parts.length ? parts.join('  ·  ') : `✓ ${this.tiles.size} value${this.tiles.size === 1 ? '' : 's'} within limits`;
    if (this.summary.textContent !== text) fill(this.summary, text);
  }

  private invitation(): HTMLElement {
    return h('section.welcome', null, h('h1', null, 'Nothing on the wall yet'),
      h('p', null, 'Choose the values to watch: each gets a tile that is read from across the room, with limits, a trace of the last five minutes and a loud sign when its data stops.'),
      h('button.primary', { type: 'button', onclick: () => this.edit(null) }, icon('plus'), 'Add a value'));
  }

  private save(wall: Watch[]): void {
    this.wall = wall;
    remember(wall);
    record('monitor', toParams(wall));
    this.start();
  }

  private edit(place: number | null): void {
    const w: Watch = place === null ? { query: '' } : this.wall[place];
    const editor = new Editor(w.query, () => form.requestSubmit(), 'heart_rate{bed="7"}');
    const field = (name: keyof Watch, title: string, hint: string, type = 'text') =>
      h('label', null, title, h('input', { name, type, step: 'any', placeholder: hint, value: w[name] === undefined ? '' : String(w[name]), spellcheck: false }));
    const says = h('p.fault-text', { role: 'alert' });
    const form = h('form.watch', { onsubmit: (e: Event) => {
      e.preventDefault();
      void this.accept(form, editor, place, says).then((good) => good && d.close());
    } },
    h('label', null, 'Selector or expression', editor.element),
    h('div.fields', null, field('title', 'Title', 'the metric'), field('unit', 'Unit', 'by its name')),
    h('div.fields', null, field('alarmLow', '▼▼ Alarm below', '–', 'number'), field('warnLow', '▼ Warn below', '–', 'number'),
      field('warnHigh', '▲ Warn above', '–', 'number'), field('alarmHigh', '▲▲ Alarm above', '–', 'number')),
    h('div.fields', null, field('stale', 'No data after', '4 × the usual interval')),
    says,
    h('div.buttons', null, place !== null && h('button.quiet', { type: 'button', onclick: () => {
      this.save(this.wall.filter((_, i) => i !== place));
      d.close();
    } }, 'Remove from the wall'), h('button.primary.push', { type: 'submit' }, place === null ? 'Add to the wall' : 'Save')));
    const d = dialog(place === null ? 'Add a value' : 'Change a value', form);
    editor.area.focus();
  }

  private async accept(form: HTMLFormElement, editor: Editor, place: number | null, says: HTMLElement): Promise<boolean> {
    const data = new FormData(form);
    const w: Watch = { query: editor.text };
    for (const key of ['title', 'unit', 'stale'] as const) if (String(data.get(key)).trim()) w[key] = String(data.get(key)).trim();
    for (const key of limits) if (data.get(key) !== '') w[key] = Number(data.get(key));
    try {
      if (!w.query) throw new Error('Which series? Type a selector such as heart_rate{bed="7"}.');
      if (w.stale && !parseDuration(w.stale)) throw new Error('“No data after” is a duration such as 30s.');
      const { data: now } = await api.query(w.query);
      if (now.resultType === 'matrix') throw new Error('This is a range of samples: leave out the [ ].');
    } catch (e) {
      fill(says, (e as Error).message);
      const at = e as { line?: number; column?: number };
      if (at.line) editor.mark(at.line, at.column!);
      return false;
    }
    this.save(place === null ? [...this.wall, w] : this.wall.map((old, i) => (i === place ? w : old)));
    return true;
  }
}
