// One query of Explore: editor, what the answer cost, warnings and faults, chart with legend or table.
import { ApiError, api, type Answer, type QueryData } from './api';
import { catalogue } from './catalogue';
import { Chart } from './chart';
import { copyText, download, fill, h, icon, popover, toast } from './dom';
import { Editor } from './editor';
import { go } from './route';
import { Legend } from './legend';
import { chartPng } from './png';
import { columns, csv, linesOf, type Line } from './series';
import { Table } from './table';
import { chooseStep, formatDuration, parseDuration, type Span } from './time';
import { unitOfQuery, type Unit } from './units';

export type Shows = 'chart' | 'table';

export interface PanelHost {
  run(): void; // all queries, and into the address
  remove(p: Panel): void;
  zoomed(start: number, end: number): void;
  zoomOut(): void;
  step(): string; // as the user set it; '' chooses by width
}

const retryMs = 3000;

const count = (n: number) => n.toLocaleString('en').replace(/,/g, '\u202f');
const plural = (n: number, word: string) => `${count(n)} ${word}${n === 1 || word.endsWith('s') ? '' : 's'}`;

export class Panel {
  readonly editor: Editor;
  readonly element: HTMLElement;
  private readonly letter = h('span.letter', { 'aria-hidden': 'true' });
  private readonly stats = h('p.stats', { role: 'status' });
  private readonly faultLine = h('p.fault-line', { role: 'alert', hidden: true });
  private readonly notes = h('ul.notes');
  private readonly common = h('p.common');
  private readonly body = h('div.panel-body');
  private readonly chart: Chart;
  private readonly legend: Legend;
  private readonly table = new Table();
  private running: AbortController | null = null;
  private lines: Line[] = [];
  private answer: QueryData | null = null;
  private unit: Unit = unitOfQuery('', () => undefined);
  private span: Span = { start: 0, end: 1 };
  private step = 1000;
  private again = 0; // a server that starts or was restarted is asked again

  constructor(query: string, private readonly host: PanelHost) {
    this.editor = new Editor(query, () => host.run());
    this.chart = new Chart((a, b) => host.zoomed(a, b), () => host.zoomOut());
    this.legend = new Legend(() => this.draw(), (i) => this.chart.focus(i === -1 ? null : i));
    const menu = h('button.quiet.square', { type: 'button', title: 'Export', 'aria-label': 'Export', 'aria-haspopup': 'dialog', onclick: () => this.exports(menu) }, icon('download'));
    this.element = h('section.card.panel', { 'aria-label': 'Query' },
      h('div.query', null, this.letter, this.editor.element,
        h('div.tools', null, h('button.primary', { type: 'button', title: 'Run (Enter)', onclick: () => host.run() }, 'Run'), menu,
          h('button.quiet.square', { type: 'button', title: 'Remove this query', 'aria-label': 'Remove this query', onclick: () => host.remove(this) }, icon('close')))),
      this.faultLine, h('div.answer-line', null, this.stats, this.common), this.notes, this.body);
  }

  set name(letter: string) {
    this.letter.textContent = letter;
    this.element.setAttribute('aria-label', `Query ${letter}`);
  }

  async run(span: Span, shows: Shows): Promise<void> {
    this.running?.abort();
    clearTimeout(this.again);
    const query = this.editor.text;
    if (!query) {
      this.clear();
      return;
    }
    const running = (this.running = new AbortController());
    const busy = window.setTimeout(() => this.element.classList.add('busy'), 150);
    this.settle(span);
    try {
      const answer = shows === 'chart'
        ? await api.queryRange(query, this.span.start / 1000, this.span.end / 1000, this.step / 1000, running.signal)
        : await api.query(query, span.end / 1000, running.signal);
      if (this.running !== running) return;
      this.unit = unitOfQuery(query, (m) => catalogue.units.get(m));
      this.succeeded(answer, shows);
    } catch (e) {
      if (this.running !== running || (e as Error).name === 'AbortError') return;
      this.failed(e as Error);
      if (e instanceof ApiError && (e.status === 503 || e.status === 0)) this.again = window.setTimeout(() => void this.run(span, shows), retryMs);
    } finally {
      clearTimeout(busy);
      if (this.running === running) {
        this.running = null;
        this.element.classList.remove('busy');
      }
    }
  }

  /** An answer is under way: a live refresh waits for it, however slow it is. */
  get waiting(): boolean {
    return this.running !== null;
  }

  /** After a change of theme or time zone. */
  redraw(): void {
    if (this.answer?.resultType === 'matrix' && this.body.contains(this.chart.element)) {
      this.legend.show(this.lines, this.unit);
      this.draw();
    }
  }

  destroy(): void {
    this.running?.abort();
    clearTimeout(this.again);
    this.chart.destroy();
    this.element.remove();
  }

  /** The span on whole steps, so that a live chart does not shimmer. */
  private settle(span: Span): void {
    const asked = parseDuration(this.host.step());
    this.step = asked || chooseStep(span, this.body.clientWidth || 900);
    this.span = { start: Math.floor(span.start / this.step) * this.step, end: Math.floor(span.end / this.step) * this.step };
  }

  private clear(): void {
    this.answer = null;
    this.lines = [];
    fill(this.stats);
    fill(this.notes);
    fill(this.common);
    this.faultLine.hidden = true;
    this.body.replaceChildren(h('p.none', null, 'Type an expression (', h('kbd', null, 'Ctrl+Space'), ' shows what could stand there), or ',
      h('a', { href: '#/metrics', onclick: (e: Event) => (e.preventDefault(), go('metrics')) }, 'browse the metrics'), '.'));
  }

  private succeeded(a: Answer<QueryData>, shows: Shows): void {
    this.answer = a.data;
    this.faultLine.hidden = true;
    this.editor.unmark();
    this.element.classList.remove('failed');
    const { lines, common, histograms } = linesOf(a.data, this.editor.text.replace(/\s+/g, ' '));
    this.lines = lines;
    const n = a.data.resultType === 'matrix' || a.data.resultType === 'vector' ? a.data.result.length : 1;
    const points = lines.length ? lines.reduce((s, l) => s + l.samples.length, 0) : n;
    fill(this.stats, h('b', null, `${a.ms < 10 ? a.ms.toFixed(1) : Math.round(a.ms)} ms`), h('span', null, plural(n, 'series')), h('span', null, plural(points, 'point')),
      shows === 'chart' && h('span', null, `step ${formatDuration(this.step)}`), this.unit.label && h('span', null, this.unit.label));
    fill(this.common, Object.entries(common).map(([k, v]) => h('code', null, k === '__name__' ? v : `${k}="${v}"`)));
    fill(this.notes, a.warnings.map((w) => h('li.warning', null, icon('warn'), w)), a.infos.map((w) => h('li', null, w)),
      histograms > 0 && shows === 'chart' && h('li', null, `${plural(histograms, 'series')} of native histograms: chart them with histogram_quantile(0.95, …).`));
    if (shows === 'table') {
      this.body.replaceChildren(this.table.element);
      this.table.show(a.data, this.unit);
    } else if (n === 0) {
      this.body.replaceChildren(h('p.none', null, 'No samples in this range.'));
    } else {
      if (!this.body.contains(this.chart.element)) this.body.replaceChildren(this.chart.element, this.legend.element);
      this.legend.show(lines, this.unit);
      this.draw();
    }
  }

  private failed(e: Error): void {
    this.element.classList.add('failed');
    fill(this.stats);
    fill(this.notes);
    fill(this.common);
    this.body.replaceChildren();
    const place = e instanceof ApiError && e.line > 0 ? e : null;
    this.faultLine.hidden = false;
    if (place) {
      const x = this.editor.mark(place.line, place.column);
      this.faultLine.style.setProperty('--x', `${this.editor.element.offsetLeft - this.faultLine.offsetLeft + x}px`);
    }
    this.faultLine.classList.toggle('placed', place !== null);
    fill(this.faultLine, e.message, place && h('small', null, `line ${place.line}, column ${place.column}`));
  }

  private draw(): void {
    const drawn = this.legend.drawn();
    this.chart.show({
      columns: columns(drawn.map((d) => d.line), this.span.start, this.span.end, this.step),
      drawn: drawn.map((d) => ({ name: d.line.name, slot: d.slot })),
      unit: this.unit,
      span: [this.span.start / 1000, this.span.end / 1000],
    });
  }

  private exports(anchor: HTMLElement): void {
    const item = (text: string, f: () => void) => h('button.quiet', { type: 'button', onclick: () => {
      close();
      f();
    } }, text);
    const close = popover(anchor, h('div.menu', null, item('Data as CSV', () => this.toCsv()), item('Chart as PNG', () => void this.toPng()),
      item('Copy curl command', () => this.toCurl()), item('Format the query', () => void this.reformat())));
  }

  private toCsv(): void {
    const d = this.answer;
    if (!d) return toast('There is nothing to export: run the query first.');
    const lines = d.resultType === 'vector'
      ? linesOf({ resultType: 'matrix', result: d.result.map((s) => ({ metric: s.metric, values: s.value ? [s.value] : s.values })) }).lines : this.lines;
    download('silex.csv', new Blob([csv(lines)], { type: 'text/csv' }));
  }

  private async toPng(): Promise<void> {
    if (!this.chart.canvas || !this.body.contains(this.chart.element)) return toast('There is no chart to export.');
    const drawn = this.legend.drawn();
    download('silex.png', await chartPng(this.chart.canvas, this.editor.text, drawn.map((d) => ({ name: d.line.name, slot: d.slot })), this.lines.length));
  }

  private toCurl(): void {
    const url = new URL('api/v1/query_range', document.baseURI.replace(/#.*/, ''));
    const quoted = (s: string) => `'${s.replace(/'/g, `'\\''`)}'`;
    const data = [`query=${this.editor.text}`, `start=${this.span.start / 1000}`, `end=${this.span.end / 1000}`, `step=${this.step / 1000}`];
    void copyText(`curl ${url} ${data.map((d) => `--data-urlencode ${quoted(d)}`).join(' ')}`, 'The curl command is copied.');
  }

  private async reformat(): Promise<void> {
    try {
      this.editor.text = (await api.format(this.editor.text)).data;
    } catch (e) {
      this.failed(e as Error);
    }
  }
}
