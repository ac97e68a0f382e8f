// The range: presets, two fields that take relative or absolute times, UTC or local, steps to either side, live refresh.
import { h, icon, popover, fill } from './dom';
import { settings, setSetting } from './settings';
import { describe, formatTime, isLive, parseTime, presets, resolve, type Range } from './time';

const refreshes = ['off', '1s', '2s', '5s', '10s', '30s', '1m', '5m'];

export class RangePicker {
  readonly element: HTMLElement;
  private readonly label = h('span');
  private readonly button: HTMLButtonElement;
  private readonly refresh: HTMLSelectElement;
  private close: (() => void) | null = null;
  range: Range = { from: 'now-1h', to: 'now' };

  constructor(private readonly changed: () => void, run: () => void, private readonly live: (every: string) => void) {
    this.button = h('button.range', { type: 'button', 'aria-haspopup': 'dialog', 'aria-expanded': 'false', title: 'Time range', onclick: () => this.toggle() },
      icon('clock'), this.label);
    this.refresh = h('select', { title: 'Refresh by itself', 'aria-label': 'Refresh by itself', onchange: () => this.live(this.refresh.value) },
      refreshes.map((r) => h('option', { value: r }, r === 'off' ? 'Live off' : `Every ${r}`)));
    const step = (name: string, title: string, f: () => void) => h('button.square', { type: 'button', title, 'aria-label': title, onclick: f }, icon(name));
    this.element = h('div.range-picker', null,
      h('div.group', null, step('left', 'Earlier  ( [ )', () => this.shift(-0.5)), this.button, step('right', 'Later  ( ] )', () => this.shift(0.5)),
        step('out', 'Zoom out  ( - )', () => this.zoomOut())),
      h('div.group', null, step('refresh', 'Run again  ( r )', run), this.refresh));
    this.paint();
  }

  set(range: Range): void {
    this.range = range;
    this.paint();
  }

  setLive(every: string): void {
    this.refresh.value = refreshes.includes(every) ? every : 'off';
    this.element.classList.toggle('live', this.refresh.value !== 'off');
  }

  shift(by: number): void {
    const span = resolve(this.range);
    if (!span) return;
    const d = (span.end - span.start) * by;
    this.absolute(span.start + d, span.end + d);
  }

  /** Twice as long around the same middle; a live range keeps its end. */
  zoomOut(): void {
    const span = resolve(this.range);
    if (!span) return;
    const d = span.end - span.start;
    if (isLive(this.range)) this.choose({ from: `now-${Math.max(1, Math.round((2 * d) / 1000))}s`, to: 'now' });
    else this.absolute(span.start - d / 2, span.end + d / 2);
  }

  absolute(start: number, end: number): void {
    this.choose({ from: new Date(Math.round(start)).toISOString(), to: new Date(Math.round(end)).toISOString() });
  }

  paint(): void {
    this.label.textContent = describe(this.range) + (settings.utc ? ' UTC' : '');
  }

  private choose(range: Range): void {
    this.set(range);
    this.changed();
  }

  private toggle(): void {
    if (this.close && this.button.getAttribute('aria-expanded') === 'true') {
      this.close();
      return;
    }
    this.close = popover(this.button, this.panel());
  }

  private panel(): HTMLElement {
    const span = resolve(this.range);
    const shown = (text: string, ms?: number) => (text.startsWith('now') || ms === undefined ? text : formatTime(ms));
    const from = h('input', { type: 'text', value: shown(this.range.from, span?.start), 'aria-label': 'From', spellcheck: false });
    const to = h('input', { type: 'text', value: shown(this.range.to, span?.end), 'aria-label': 'To', spellcheck: false });
    const says = h('p.fault-text', { role: 'alert' });
    const apply = (e: Event) => {
      e.preventDefault();
      const wrong = [from, to].find((f) => parseTime(f.value) === null);
      if (wrong) fill(says, `“${wrong.value}” is no time. Try now-90m or 2026-11-21 08:00.`);
      else if (parseTime(from.value)! >= parseTime(to.value)!) fill(says, 'The range ends before it begins.');
      else {
        const fixed = (text: string) => (text.trim().startsWith('now') ? text.trim() : new Date(parseTime(text)!).toISOString());
        this.close?.();
        this.choose({ from: fixed(from.value), to: fixed(to.value) });
      }
    };
    const utc = h('input', { type: 'checkbox', checked: settings.utc, onchange: () => {
      setSetting('utc', utc.checked);
      this.paint();
    } });
    return h('div.range-panel', null,
      h('div.presets', null, presets.map(([name, a, b]) => h('button.quiet', {
        type: 'button', 'aria-pressed': String(this.range.from === a && this.range.to === b), onclick: () => {
          this.close?.();
          this.choose({ from: a, to: b });
        } }, name))),
      h('form', { onsubmit: apply }, h('label', null, 'From', from), h('label', null, 'To', to), says,
        h('label.check', null, utc, 'Times in UTC'),
        h('p.hint', null, 'now-90m, 2026-11-21 08:00 or seconds since 1970'),
        h('button.primary', { type: 'submit' }, 'Apply')));
  }
}
