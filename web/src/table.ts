// The answer of an instant query as a table: one column a label, sortable; long answers scroll.
import type { QueryData, Series } from './api';
import { h, fill } from './dom';
import { Rows } from './rows';
import { toNumber } from './series';
import { formatTime } from './time';
import type { Unit } from './units';

const rowHeight = 29;

interface Row { labels: Record<string, string>; value: string; number: number }

export class Table {
  readonly element = h('div.table', { role: 'table', 'aria-label': 'Values' });
  private rows: Row[] = [];
  private names: string[] = [];
  private sort: { by: string; down: boolean } | null = null;
  private unit: Unit | null = null;

  show(data: QueryData, unit: Unit): void {
    this.unit = unit;
    this.rows = data.resultType === 'scalar' || data.resultType === 'string'
      ? [{ labels: {}, value: data.result[1], number: toNumber(data.result[1]) }]
      : data.result.map(rowOf);
    const names = new Set(this.rows.flatMap((r) => Object.keys(r.labels)));
    this.names = [...names].sort((a, b) => Number(b === '__name__') - Number(a === '__name__') || a.localeCompare(b));
    this.paint();
  }

  private paint(): void {
    const { sort } = this;
    const rows = [...this.rows];
    if (sort) {
      const way = sort.down ? -1 : 1;
      rows.sort((a, b) => way * (sort.by ? (a.labels[sort.by] ?? '').localeCompare(b.labels[sort.by] ?? '', undefined, { numeric: true }) : a.number - b.number || 0));
    }
    if (!rows.length) {
      fill(this.element, h('p.none', null, 'No series at the end of the range.'));
      return;
    }
    const template = `${this.names.map((n) => `minmax(${Math.min(200, 50 + 8 * this.widest(n))}px, ${n === '__name__' ? 2 : 1}fr)`).join(' ')} minmax(150px, auto)`;
    const style = (e: HTMLElement) => {
      e.style.gridTemplateColumns = template;
      return e;
    };
    const head = (by: string, title: string) => h('button.quiet', {
      type: 'button', role: 'columnheader', className: by ? 'quiet' : 'quiet value', 'aria-sort': sort?.by === by ? (sort.down ? 'descending' : 'ascending') : 'none', onclick: () => {
        this.sort = sort?.by === by && sort.down !== !by ? null : { by, down: sort?.by === by ? !sort.down : !by };
        this.paint();
      } }, title, h('i', { 'aria-hidden': 'true' }, sort?.by === by ? (sort.down ? '↓' : '↑') : ''));
    const list = new Rows(rowHeight, rowHeight * 16, (i) => style(h('div.table-row', { role: 'row' },
      this.names.map((n) => h('span', { role: 'cell', title: rows[i].labels[n] ?? '' }, rows[i].labels[n] ?? '')),
      h('span.value', { role: 'cell', title: rows[i].value }, this.text(rows[i])))));
    fill(this.element, h('div.table-wide', null, style(h('div.table-head', { role: 'row' }, this.names.map((n) => head(n, n === '__name__' ? 'metric' : n)), head('', 'value'))), list.element));
    list.show(rows.length);
  }

  private widest(name: string): number {
    return this.rows.slice(0, 100).reduce((n, r) => Math.max(n, (r.labels[name] ?? '').length), 0);
  }

  private text(r: Row): string {
    return Number.isNaN(r.number) ? r.value : this.unit!.format(r.number, 7);
  }
}

function rowOf(s: Series): Row {
  if (s.value) return { labels: s.metric, value: s.value[1], number: toNumber(s.value[1]) };
  if (s.values) { // a range of raw samples
    const last = s.values[s.values.length - 1];
    return { labels: s.metric, number: NaN, value: `${s.values.length} samples, last ${last[1]} at ${formatTime(Math.round(last[0] * 1000))}` };
  }
  const h = s.histogram?.[1];
  return { labels: s.metric, number: NaN, value: h ? `histogram of ${h.count}, sum ${h.sum}` : 'histograms' };
}
