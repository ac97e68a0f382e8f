// Metric search: names with type, help, unit and number of series; a click shows the metric by the query that suits it.
import { bestQuery, catalogue, type Metric } from './catalogue';
import { score } from './complete';
import { h, fill } from './dom';
import { exploreParams, go } from './route';
import { Rows } from './rows';

const rowHeight = 58;

export class Metrics {
  readonly element: HTMLElement;
  private readonly search: HTMLInputElement;
  private readonly types = h('div.chips', { role: 'group', 'aria-label': 'Types' });
  private readonly summary = h('p.stats', { role: 'status' });
  private readonly rows = new Rows(rowHeight, 640, (i) => this.row(this.found[i]));
  private all: Metric[] = [];
  private found: Metric[] = [];
  private type = '';
  private counts = new Map<string, number>();

  constructor() {
    this.search = h('input', { type: 'search', placeholder: 'Search names and help', 'aria-label': 'Search metrics', spellcheck: false, oninput: () => this.filter(), onkeydown: (e: KeyboardEvent) => {
      if (e.key === 'Enter' && this.found[0]) this.pick(this.found[0]);
      if (e.key === 'ArrowDown') this.rows.element.querySelector<HTMLElement>('button')?.focus();
    } });
    this.element = h('main', { id: 'metrics' }, h('div.search', null, this.search, this.types), this.summary, h('div.card', null, this.rows.element));
    this.rows.element.addEventListener('keydown', (e) => this.move(e));
  }

  async open(params: URLSearchParams): Promise<void> {
    this.search.value = params.get('find') ?? '';
    if (matchMedia('(min-width: 700px)').matches) this.search.focus();
    document.title = 'Metrics – Silex';
    try {
      this.all = await catalogue.metrics();
    } catch (e) {
      fill(this.summary, (e as Error).message);
      return;
    }
    const names = [...new Set(this.all.map((m) => m.type))].filter((t) => t).sort();
    const chip = (t: string, text: string) => h('button', { type: 'button', 'aria-pressed': String(this.type === t), onclick: (e: Event) => {
      this.type = t;
      this.types.querySelectorAll('button').forEach((b) => b.setAttribute('aria-pressed', String(b === e.currentTarget)));
      this.filter();
    } }, text);
    fill(this.types, names.length > 1 && [chip('', 'All'), ...names.map((t) => chip(t, t))]);
    this.filter();
    void this.count();
  }

  close(): void {}

  key(key: string): boolean {
    if (key === '/') this.search.focus();
    return key === '/';
  }

  private filter(): void {
    const word = this.search.value.trim();
    this.found = this.all
      .filter((m) => !this.type || m.type === this.type)
      .map((m, i) => ({ m, i, s: Math.max(score(m.name, word), word && m.help.toLowerCase().includes(word.toLowerCase()) ? 20 : 0) }))
      .filter((x) => x.s > 0)
      .sort((a, b) => b.s - a.s || a.i - b.i)
      .map((x) => x.m);
    fill(this.summary, `${this.found.length.toLocaleString('en')} of ${this.all.length.toLocaleString('en')} metrics`);
    this.rows.element.scrollTop = 0;
    this.rows.show(this.found.length);
  }

  /** All numbers of series by one query where that is cheap enough; else the list goes without. */
  private async count(): Promise<void> {
    try {
      this.counts = await catalogue.counts();
    } catch {
      return;
    }
    this.rows.show(this.found.length);
  }

  private row(m: Metric): HTMLElement {
    const n = this.counts.get(m.name);
    return h('button.metric.quiet', { type: 'button', title: bestQuery(m), onclick: () => this.pick(m) },
      h('span.what', null, h('code', null, m.name), h('span.help', null, m.help || ' ')),
      m.unit && h('span.unit', null, m.unit), m.type && h(`span.type.type-${m.type}` as 'span', null, m.type),
      h('span.series', null, n === undefined ? '' : `${n.toLocaleString('en')} series`));
  }

  private pick(m: Metric): void {
    go('explore', exploreParams([bestQuery(m)], { from: 'now-1h', to: 'now' }));
  }

  private move(e: KeyboardEvent): void {
    const next = e.key === 'ArrowDown' ? 'nextElementSibling' : e.key === 'ArrowUp' ? 'previousElementSibling' : null;
    if (!next) return;
    e.preventDefault();
    ((document.activeElement?.[next] as HTMLElement | null) ?? (e.key === 'ArrowUp' ? this.search : null))?.focus();
  }
}
