// Explore: some queries over one range.
import { catalogue } from './catalogue';
import { copyText, h, icon } from './dom';
import { Panel, type Shows } from './panel';
import { RangePicker } from './range';
import { record } from './route';
import { onSettings } from './settings';
import { parseDuration, parseTime, resolve } from './time';
import { Welcome } from './welcome';

export class Explore {
  readonly element = h('main', { id: 'explore' });
  private readonly picker: RangePicker;
  private readonly panels: Panel[] = [];
  private readonly list = h('div.panels');
  private readonly shows: Record<Shows, HTMLButtonElement>;
  private readonly stepField: HTMLInputElement;
  private readonly tools: HTMLElement;
  private welcome: Welcome | null = null;
  private shown: Shows = 'chart';
  private live = 'off';
  private timer = 0;

  constructor() {
    this.picker = new RangePicker(() => this.run(), () => this.run(), (every) => this.setLive(every, true));
    const tab = (s: Shows, title: string) => h('button', { type: 'button', 'aria-pressed': 'false', title: `${title}  ( t )`, onclick: () => this.show(s) }, title);
    this.shows = { chart: tab('chart', 'Chart'), table: tab('table', 'Table') };
    this.stepField = h('input.step', { type: 'text', placeholder: 'auto', title: 'Step between points: 15s, 1m, …', 'aria-label': 'Step', spellcheck: false, onchange: () => this.run() });
    this.tools = h('div.toolbar', null, this.picker.element,
      h('div.group', { role: 'group', 'aria-label': 'Show as' }, this.shows.chart, this.shows.table), h('label.field.long', null, 'Step', this.stepField),
      h('button.push', { type: 'button', title: 'Copy the address of what is shown', onclick: () => void copyText(location.href, 'The address is copied.') }, icon('link'), 'Share'));
    this.element.append(this.tools, this.list,
      h('button.add', { type: 'button', onclick: () => this.add('').editor.area.focus() }, icon('plus'), 'Add a query'));
    onSettings((changed) => {
      if (changed === 'tenant' || changed === 'token') void this.open(this.params());
      else {
        this.picker.paint();
        this.panels.forEach((p) => p.redraw());
      }
    });
  }

  /** Shows what an address says. */
  async open(params: URLSearchParams): Promise<void> {
    const time = (name: string, otherwise: string) => (parseTime(params.get(name) ?? '') === null ? otherwise : params.get(name)!);
    this.picker.set({ from: time('from', 'now-1h'), to: time('to', 'now') });
    this.stepField.value = params.get('step') ?? '';
    this.setLive(params.get('live') ?? 'off', false);
    this.paintShown(params.get('view') === 'table' ? 'table' : 'chart');
    const queries = params.getAll('q').length ? params.getAll('q') : [''];
    while (this.panels.length > queries.length) this.panels.pop()!.destroy();
    queries.forEach((q, i) => (this.panels[i] ? q !== this.panels[i].editor.text && (this.panels[i].editor.text = q) : this.add(q)));
    this.execute();
    await this.greet(queries);
  }

  close(): void {
    clearInterval(this.timer);
    this.welcome?.stop();
  }

  key(key: string): boolean {
    const keys: Record<string, () => void> = {
      r: () => this.run(), t: () => this.show(this.shown === 'chart' ? 'table' : 'chart'), '[': () => this.picker.shift(-0.5), ']': () => this.picker.shift(0.5),
      '-': () => this.picker.zoomOut(), '/': () => this.panels[0].editor.area.focus(), '+': () => this.add('').editor.area.focus(),
    };
    keys[key]?.();
    return key in keys;
  }

  /** An empty store explains how data comes in, and turns into Explore with the first sample. */
  private async greet(queries: string[]): Promise<void> {
    this.welcome?.stop();
    this.welcome = null;
    const empty = await catalogue.empty().catch(() => false);
    this.element.classList.toggle('is-empty', empty && !queries.some((q) => q));
    if (!empty) {
      void catalogue.loadUnits().then(() => this.panels.forEach((p) => p.redraw())).catch(() => {});
      if (!queries.some((q) => q) && matchMedia('(min-width: 700px)').matches) this.panels[0]?.editor.area.focus();
      return;
    }
    if (queries.some((q) => q)) return;
    this.welcome = new Welcome((query) => {
      this.welcome = null;
      catalogue.forget();
      this.element.classList.remove('is-empty');
      this.picker.set({ from: 'now-15m', to: 'now' });
      this.panels[0].editor.text = query;
      this.setLive('2s', false);
      this.run();
    });
    this.element.append(this.welcome.element);
  }

  private add(query: string): Panel {
    const p: Panel = new Panel(query, {
      run: () => this.run(),
      remove: (gone) => this.remove(gone),
      zoomed: (a, b) => {
        if (this.live !== 'off') this.setLive('off', false);
        this.picker.absolute(a, b);
      },
      zoomOut: () => this.picker.zoomOut(),
      step: () => this.stepField.value.trim(),
    });
    this.panels.push(p);
    this.list.append(p.element);
    this.letters();
    return p;
  }

  private remove(p: Panel): void {
    p.destroy();
    this.panels.splice(this.panels.indexOf(p), 1);
    if (!this.panels.length) this.add('');
    this.letters();
    record('explore', this.params());
  }

  private letters(): void {
    this.panels.forEach((p, i) => (p.name = String.fromCharCode(65 + (i % 26))));
    this.element.classList.toggle('single', this.panels.length === 1);
  }

  private run(): void {
    record('explore', this.params());
    this.execute();
  }

  private execute(onlyIdle = false): void {
    const span = resolve(this.picker.range);
    this.stepField.classList.toggle('wrong', this.stepField.value.trim() !== '' && !parseDuration(this.stepField.value.trim()));
    if (span) for (const p of this.panels) if (!onlyIdle || !p.waiting) void p.run(span, this.shown);
    const first = this.panels[0]?.editor.text;
    document.title = first ? `${first.slice(0, 60)} – Silex` : 'Silex';
  }

  private show(s: Shows): void {
    this.paintShown(s);
    this.run();
  }

  private paintShown(s: Shows): void {
    this.shown = s;
    for (const [key, button] of Object.entries(this.shows)) button.setAttribute('aria-pressed', String(key === s));
  }

  private setLive(every: string, say: boolean): void {
    clearInterval(this.timer);
    this.live = parseDuration(every) ? every : 'off';
    this.picker.setLive(this.live);
    const ms = parseDuration(this.live);
    if (ms) this.timer = window.setInterval(() => document.hidden || this.execute(true), ms);
    if (!say) return;
    record('explore', this.params(), true);
    if (ms) this.execute();
  }

  private params(): URLSearchParams {
    const p = new URLSearchParams();
    for (const q of this.panels.map((x) => x.editor.text)) if (q) p.append('q', q);
    p.set('from', this.picker.range.from);
    p.set('to', this.picker.range.to);
    if (this.shown === 'table') p.set('view', 'table');
    if (this.stepField.value.trim()) p.set('step', this.stepField.value.trim());
    if (this.live !== 'off') p.set('live', this.live);
    return p;
  }
}
