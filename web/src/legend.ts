// The legend of one chart: every series with its figures, sortable; it decides which ones are drawn.
import { drawnMax, swatch } from './chart';
import { h, fill } from './dom';
import { Rows } from './rows';
import type { Line } from './series';
import type { Unit } from './units';

type Column = 'name' | 'min' | 'mean' | 'max' | 'last';
const columns: [Column, string][] = [['name', 'Series'], ['min', 'Min'], ['mean', 'Mean'], ['max', 'Max'], ['last', 'Last']];
const rowHeight = 27;

export class Legend {
  private readonly head = h('div.legend-head', { role: 'row' });
  private readonly note = h('p.note');
  private readonly rows = new Rows(rowHeight, rowHeight * 9, (i) => this.row(i));
  readonly element = h('div.legend', { role: 'table', 'aria-label': 'Series' }, this.note, this.head, this.rows.element);
  private lines: Line[] = [];
  private order: number[] = [];
  private sort: { by: Column; down: boolean } | null = null;
  private hidden = new Set<string>();
  private only: string | null = null;
  private unit: Unit | null = null;
  private slots = new Map<string, number>();

  constructor(private readonly changed: () => void, private readonly hover: (i: number | null) => void) {}

  show(lines: Line[], unit: Unit): void {
    this.lines = lines;
    this.unit = unit;
    if (this.only !== null && !lines.some((l) => l.full === this.only)) this.only = null;
    this.arrange();
  }

  /** The series to draw, in order of the legend, with the colour that each keeps while it is drawn. */
  drawn(): { line: Line; slot: number }[] {
    const chosen = this.order.slice(0, drawnMax).map((i) => this.lines[i]);
    const slots = new Map<string, number>();
    const taken = new Set<number>();
    for (const l of chosen) {
      const slot = this.slots.get(l.full);
      if (slot !== undefined && !taken.has(slot)) {
        slots.set(l.full, slot);
        taken.add(slot);
      }
    }
    let next = 0;
    for (const l of chosen) {
      if (slots.has(l.full)) continue;
      while (taken.has(next)) next++;
      slots.set(l.full, next);
      taken.add(next);
    }
    this.slots = slots;
    return chosen.map((line) => ({ line, slot: slots.get(line.full)! })).filter((d) => this.visible(d.line));
  }

  private visible(l: Line): boolean {
    return this.only === null ? !this.hidden.has(l.full) : this.only === l.full;
  }

  private arrange(): void {
    const { lines, sort } = this;
    this.order = lines.map((_, i) => i);
    if (sort) {
      const way = sort.down ? -1 : 1;
      const empty = sort.down ? -Infinity : Infinity; // series without figures come last
      const figure = (l: Line) => (Number.isNaN(l[sort.by] as number) ? empty : (l[sort.by] as number));
      this.order.sort((a, b) => way * (sort.by === 'name' ? lines[a].name.localeCompare(lines[b].name, undefined, { numeric: true }) : figure(lines[a]) - figure(lines[b])) || a - b);
    }
    this.drawn(); // fixes the colours
    const by = sort ? `the first by ${columns.find((c) => c[0] === sort.by)![1].toLowerCase()}` : 'the first ones';
    fill(this.note, lines.length > drawnMax && `Drawing ${drawnMax} of ${lines.length.toLocaleString('en')} series: ${by}. Sort the list to draw others.`);
    this.note.hidden = lines.length <= drawnMax;
    fill(this.head, columns.map(([key, title]) => h('button.quiet', {
      type: 'button', role: 'columnheader', className: `quiet c-${key}`, 'aria-sort': sort?.by === key ? (sort.down ? 'descending' : 'ascending') : 'none', onclick: () => this.sortBy(key),
    }, title, h('i', { 'aria-hidden': 'true' }, sort?.by === key ? (sort.down ? '↓' : '↑') : ''))));
    this.rows.show(lines.length);
  }

  private sortBy(by: Column): void {
    const same = this.sort?.by === by;
    const down = same ? !this.sort!.down : by !== 'name';
    this.sort = same && this.sort!.down === (by === 'name') ? null : { by, down };
    this.arrange();
    this.changed();
  }

  private row(place: number): HTMLElement {
    const line = this.lines[this.order[place]];
    const slot = place < drawnMax ? this.slots.get(line.full) : undefined;
    const figure = (v: number) => (Number.isNaN(v) ? '–' : this.unit!.format(v, 5));
    return h('div.legend-row', {
      role: 'row', className: `legend-row${slot === undefined ? ' undrawn' : ''}${this.visible(line) ? '' : ' off'}`, title: `${line.full}\nClick: show only this one. Ctrl-click: hide or show.`,
      onclick: (e: MouseEvent) => this.click(line, e.ctrlKey || e.metaKey || e.shiftKey), onmouseenter: () => this.hover(this.drawn().findIndex((d) => d.line === line)),
      onmouseleave: () => this.hover(null),
    },
    h('button.quiet', { type: 'button', role: 'cell', className: 'quiet c-name', 'aria-pressed': String(this.visible(line)) }, slot === undefined ? h('span.swatch') : swatch(slot), h('span', null, line.name)),
    (['min', 'mean', 'max', 'last'] as const).map((c) => h('span', { role: 'cell', className: `c-${c}` }, figure(line[c]))));
  }

  private click(line: Line, toggle: boolean): void {
    if (toggle) {
      this.only = null;
      if (!this.hidden.delete(line.full)) this.hidden.add(line.full);
    } else {
      this.only = this.only === line.full ? null : line.full;
      this.hidden.clear();
    }
    const place = this.order.findIndex((i) => this.lines[i] === line);
    if (place >= drawnMax) { // an undrawn one was asked for: to the top
      this.order.splice(place, 1);
      this.order.unshift(this.lines.indexOf(line));
    }
    this.drawn();
    this.rows.show(this.lines.length);
    this.changed();
  }
}
