// A long list of equal rows: only those in sight are in the document.
import { h } from './dom';

export class Rows {
  readonly element: HTMLElement;
  private readonly body = h('div.rows-body', { role: 'rowgroup' });
  private first = -1;
  private count = 0;

  constructor(private readonly rowHeight: number, private readonly heightMax: number, private readonly row: (i: number) => HTMLElement) {
    this.element = h('div.rows', { tabIndex: 0, onscroll: () => this.paint(false) }, this.body);
  }

  show(count: number): void {
    this.count = count;
    this.element.style.height = `${Math.min(this.heightMax, count * this.rowHeight)}px`;
    this.body.style.height = `${count * this.rowHeight}px`;
    this.paint(true);
  }

  private paint(all: boolean): void {
    const inSight = Math.ceil(this.heightMax / this.rowHeight) + 1;
    const first = Math.max(0, Math.min(Math.floor(this.element.scrollTop / this.rowHeight), this.count - inSight));
    if (first === this.first && !all) return;
    this.first = first;
    const rows = [];
    for (let i = first; i < Math.min(this.count, first + inSight); i++) {
      const r = this.row(i);
      r.style.top = `${i * this.rowHeight}px`;
      rows.push(r);
    }
    this.body.replaceChildren(...rows);
  }
}
