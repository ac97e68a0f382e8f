// One chart: uPlot with our axes, a tooltip, a crosshair shared by all charts of the page, drag to zoom.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { h, fill } from './dom';
import { isDark } from './settings';
import { axisTimes, formatTime } from './time';
import type { Unit } from './units';

export const drawnMax = 50;

// Ten colours that differ in hue and lightness, for each ground; the eleventh series begins again with a dashed line.
const palettes = {
  dark: ['#ff9650', '#5ab0f2', '#7fce6b', '#e78bd0', '#f2c94c', '#5fd3c6', '#b79cf5', '#f27878', '#b5bf6b', '#c9a583'],
  light: ['#d4580a', '#1f77b4', '#2e8b3d', '#b8429a', '#a87900', '#0e8a80', '#7154c4', '#c8322f', '#697a1c', '#8a6642'],
};
const dashes = [[], [6, 3], [2, 3], [9, 3, 2, 3], [4, 6]];

export const colour = (i: number) => palettes[isDark() ? 'dark' : 'light'][i % 10];
export const dash = (i: number) => dashes[Math.floor(i / 10) % dashes.length];

export interface Drawn { name: string; slot: number } // slot: which colour and dash
export interface ChartData { columns: [number[], ...(number | null)[][]]; drawn: Drawn[]; unit: Unit; span: [number, number]; fromZero?: boolean }

const tooltipMax = 10;
const binarySteps = Array.from({ length: 60 }, (_, i) => 2 ** i);
const timeSteps = [1e-9, 2e-9, 5e-9, 1e-8, 2e-8, 5e-8, 1e-7, 2e-7, 5e-7, 1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2,
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 432000, 864000, 1728000, 4320000, 8640000, 31536000, 315360000];

export class Chart {
  readonly element = h('div.chart');
  private readonly tip = h('div.tip', { hidden: true });
  private plot: uPlot | null = null;
  private shown: ChartData | null = null;
  private shape = '';
  private readonly resize = new ResizeObserver(() => this.plot?.setSize(this.size()));

  constructor(private readonly zoomed: (startMs: number, endMs: number) => void, private readonly zoomOut: () => void, private readonly height = 260) {
    this.resize.observe(this.element);
  }

  /** Draws; where only values changed, into the plot that is there. */
  show(data: ChartData): void {
    const shape = JSON.stringify([data.drawn, data.unit.id, isDark()]);
    this.shown = data;
    if (this.plot && shape === this.shape) {
      this.plot.batch(() => {
        this.plot!.setData(data.columns as uPlot.AlignedData, false);
        this.plot!.setScale('x', { min: data.span[0], max: data.span[1] });
      });
      return;
    }
    this.shape = shape;
    this.plot?.destroy();
    this.plot = new uPlot(this.options(data), data.columns as uPlot.AlignedData, this.element);
    this.plot.over.append(this.tip);
    this.plot.over.setAttribute('role', 'img');
    this.plot.over.setAttribute('aria-label', `Chart of ${data.drawn.length} series`);
  }

  redraw(): void {
    if (this.shown) this.show(this.shown);
  }

  /** Brings one series (by its place among the drawn) to the front; null: none. */
  focus(i: number | null): void {
    this.plot?.setSeries(i === null ? null : i + 1, { focus: i !== null });
  }

  get canvas(): HTMLCanvasElement | null {
    return this.plot?.ctx.canvas ?? null;
  }

  destroy(): void {
    this.resize.disconnect();
    this.plot?.destroy();
    this.plot = null;
  }

  private size() {
    return { width: Math.max(200, this.element.clientWidth), height: this.height };
  }

  private options(data: ChartData): uPlot.Options {
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue('--muted');
    const grid = { stroke: style.getPropertyValue('--grid'), width: 1 };
    const font = `12px ${style.getPropertyValue('--sans')}`;
    return {
      ...this.size(),
      legend: { show: false },
      padding: [12, 12, 0, 0],
      focus: { alpha: 0.25 },
      scales: { x: { time: true, range: () => this.shown!.span }, y: { range: (_u, min, max) => yRange(data.fromZero && min > 0 ? 0 : min, max) } },
      axes: [
        { stroke: ink, grid, ticks: { ...grid, size: 4 }, font, space: 80, gap: 6, size: 46, lineGap: 1.35, values: (_u, splits, _axis, _space, incr) => axisTimes(splits, incr) },
        { stroke: ink, grid, ticks: { show: false }, font, size: axisWidth, gap: 8, values: (_u, splits) => axisValues(splits, data.unit),
          ...(data.unit.base2 ? { incrs: binarySteps } : data.unit.time ? { incrs: timeSteps } : {}) },
      ],
      series: [{}, ...data.drawn.map((d) => ({
        label: d.name,
        stroke: colour(d.slot),
        width: data.drawn.length > 20 ? 1 : 1.6,
        dash: dash(d.slot),
        points: { size: 4, fill: colour(d.slot), filter: lonely },
      }))],
      cursor: {
        sync: { key: 'silex', scales: ['x', null], setSeries: false },
        drag: { x: true, y: false, setScale: false },
        focus: { prox: 24 },
        points: { size: 7, width: 1.5 },
        bind: { dblclick: () => () => (this.zoomOut(), null) },
      },
      hooks: { setSelect: [(u) => this.selected(u)], setCursor: [(u) => this.point(u)], draw: [markFirst] },
    };
  }

  private selected(u: uPlot): void {
    if (u.select.width < 4 || !u.cursor.event) return; // no event: the drag is another chart's
    const at = (px: number) => u.posToVal(px, 'x') * 1000;
    const [from, to] = [at(u.select.left), at(u.select.left + u.select.width)];
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.zoomed(from, to);
  }

  /** The tooltip: only in the chart under the pointer; the others show the crosshair. */
  private point(u: uPlot): void {
    const { idx, left = -1, top = -1 } = u.cursor;
    const hovered = u.over.matches(':hover');
    this.tip.hidden = !hovered || idx === null || idx === undefined || left < 0;
    if (this.tip.hidden) return;
    const near = this.shown!.drawn
      .map((d, i) => ({ d, v: u.data[i + 1][idx!] as number | null }))
      .filter((x): x is { d: Drawn; v: number } => x.v !== null && x.v !== undefined)
      .map((x) => ({ ...x, away: Math.abs(u.valToPos(x.v, 'y') - top) }))
      .sort((a, b) => a.away - b.away);
    const best = near[0];
    const rows = near.slice(0, tooltipMax).sort((a, b) => b.v - a.v);
    fill(this.tip, h('time', null, formatTime(Math.round(u.data[0][idx!] * 1000))),
      rows.map((r) => h('div', { className: r === best && r.away < 24 ? 'near' : '' }, swatch(r.d.slot), h('span', null, r.d.name), h('b', null, this.shown!.unit.format(r.v, 5)))),
      near.length > rows.length && h('small', null, `and ${near.length - rows.length} more`),
      near.length === 0 && h('small', null, 'no samples here'));
    const right = left > u.over.clientWidth / 2;
    this.tip.style.left = right ? '' : `${left + 16}px`;
    this.tip.style.right = right ? `${u.over.clientWidth - left + 16}px` : '';
    this.tip.style.top = `${Math.max(0, Math.min(top - 20, u.over.clientHeight - this.tip.offsetHeight))}px`;
  }
}

/** For the tests: when the first chart stood. */
function markFirst(): void {
  if (!performance.getEntriesByName('silex-first-chart').length) performance.mark('silex-first-chart');
}

/** The mark of a series: its colour and its dashes, so that colour is never alone. */
export function swatch(slot: number): SVGSVGElement {
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg');
  svg.setAttribute('viewBox', '0 0 22 8');
  svg.setAttribute('class', 'swatch');
  svg.setAttribute('aria-hidden', 'true');
  const p = document.createElementNS(ns, 'path');
  p.setAttribute('d', 'M1 4h20');
  p.setAttribute('stroke', colour(slot));
  p.setAttribute('stroke-dasharray', dash(slot).join(' '));
  svg.append(p);
  return svg;
}

/** A little air above and below; from zero when that is near; a flat line stands in the middle. */
function yRange(min: number | null, max: number | null): uPlot.Range.MinMax {
  if (min === null || max === null) return [0, 1];
  if (min === max) {
    if (min === 0) return [-1, 1];
    const by = Math.abs(min) * 0.5;
    return [min - by, min + by];
  }
  const air = (max - min) * 0.08;
  const low = min >= 0 && min < (max - min) * 0.6 ? 0 : min - air;
  const high = max <= 0 && -max < (max - min) * 0.6 ? 0 : max + air;
  return [low, high];
}

/** Of one width where it can be, so that the charts of a page stand in line. */
const axisWidth = (u: uPlot, values: string[] | null) => Math.max(u.width < 500 ? 44 : 72, 16 + 6.6 * Math.max(0, ...(values ?? []).map((v) => v.length)));

/** As few digits as tell the marks apart. */
function axisValues(splits: number[], unit: Unit): string[] {
  for (let digits = 1; digits < 12; digits++) {
    const texts = splits.map((v) => unit.format(v, digits));
    const exact = splits.every((_, i) => i === 0 || texts[i] !== texts[i - 1]) && (digits >= 3 || texts.every((t, i) => t === unit.format(splits[i], digits + 1)));
    if (exact) return texts;
  }
  return splits.map((v) => unit.format(v, 12));
}

/** A sample between two gaps has no line: it gets a point. */
function lonely(u: uPlot, series: number, show: boolean): number[] | null {
  if (show) return null; // so few that all are shown
  const values = u.data[series];
  const alone: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) alone.push(i);
  }
  return alone;
}
