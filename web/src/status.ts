// Status: what comes in, what is kept and where, what is promised, what was slow.
import { Chart } from './chart';
import { fill, h, type Child } from './dom';
import { health, type Health } from './health';
import { exploreParams, go } from './route';
import { onSettings, setSetting, settings } from './settings';
import { formatTime, sayDuration } from './time';
import { plain, unitNamed } from './units';

const everyMs = 2000;
const keptMax = 300; // ten minutes of ingest rate

const bytes = unitNamed('bytes')!.format;
const seconds = unitNamed('seconds')!.format;
const number = (v: number) => (Math.abs(v) < 1e6 ? Math.round(v).toLocaleString('en').replace(/,/g, '\u202f') : plain(v, 4));

export class Status {
  readonly element = h('main', { id: 'status' });
  private readonly cards = h('div.cards');
  private readonly rate = h('section.card.wide');
  private readonly chart = new Chart(() => {}, () => {}, 150);
  private readonly rateNow = h('b');
  private readonly lists = h('div.cards');
  private readonly says = h('p.fault-text', { role: 'alert' });
  private timer = 0;
  private readonly history: { t: number; v: number | null }[] = [];
  private counted: { t: number; n: number } | null = null;

  constructor() {
    fill(this.rate, h('header', null, h('h2', null, 'Ingest'), h('p.figure', null, this.rateNow, h('span', null, 'samples per second'))), this.chart.element);
    this.element.append(this.says, this.cards, this.rate, this.lists);
    onSettings(() => this.element.isConnected && void this.look());
  }

  open(): void {
    document.title = 'Status – Silex';
    this.history.length = 0;
    this.counted = null;
    void this.look();
    this.timer = window.setInterval(() => document.hidden || void this.look(), everyMs);
  }

  close(): void {
    clearInterval(this.timer);
  }

  key(): boolean {
    return false;
  }

  private async look(): Promise<void> {
    try {
      const now = await health();
      fill(this.says);
      this.show(now);
    } catch (e) {
      fill(this.says, (e as Error).message);
    }
  }

  private show(d: Health): void {
    this.noteRate(d);
    fill(this.cards,
      card('Server', d.ready ? 'Ready' : 'Not ready', [d.state !== 'ok' && d.state, d.version, d.uptimeS !== undefined && `up ${sayDuration(d.uptimeS * 1000)}`], d.ready && (d.state ?? 'ok') === 'ok' ? '✓' : '⚠'),
      d.series !== undefined && card('Series', number(d.series), [d.points !== undefined && `${number(d.points)} samples stored`]),
      this.storage(d), this.memory(d), promise(d),
      d.p99 !== undefined && card('Queries', seconds(d.p99, 3), ['99 of 100 are faster', d.p50 !== undefined && `half of them faster than ${seconds(d.p50, 3)}`]));
    fill(this.lists,
      d.active.length > 0 && list('Running queries', d.active.map((q) => [h('code', null, q.query), seconds(q.seconds, 3)])),
      d.slow && list('Slow queries', d.slow.map((q) => [
        h('button.quiet.link', { type: 'button', title: 'Open in Explore', onclick: () => go('explore', exploreParams([q.query])) }, h('code', null, q.query)),
        h('span', null, [q.at !== undefined && formatTime(Math.round(q.at)), q.tenant, q.series !== undefined && `${number(q.series)} series`].filter(Boolean).join(' · ')), seconds(q.seconds, 3)]), 'None yet.'),
      d.tenants.length > 1 && list('Tenants', d.tenants.map((t) => [t, t === (settings.tenant || 'default') ? 'shown' : h('button.quiet', {
        type: 'button', title: `Show the data of ${t}`, onclick: () => setSetting('tenant', t === 'default' ? '' : t) }, 'Show')])),
      d.top.length > 0 && list('Most series', d.top.map((t) => [h('code', null, t.name), h('meter', { min: 0, max: d.top[0].series, value: t.series, 'aria-hidden': 'true' }), number(t.series)])));
  }

  /** The rate between two looks at the counter. */
  private noteRate(d: Health): void {
    const t = Date.now() / 1000;
    let v: number | null = null;
    if (d.ingested !== undefined) {
      if (this.counted && d.ingested >= this.counted.n) v = (d.ingested - this.counted.n) / (t - this.counted.t);
      this.counted = { t, n: d.ingested };
    }
    this.history.push({ t, v });
    if (this.history.length > keptMax) this.history.shift();
    fill(this.rateNow, v === null ? '…' : number(v));
    this.chart.show({
      columns: [this.history.map((p) => p.t), this.history.map((p) => p.v)], drawn: [{ name: 'samples per second', slot: 0 }], unit: unitNamed('none')!,
      span: [Math.min(t - 120, this.history[0].t), t], fromZero: true,
    });
  }

  private storage(d: Health): HTMLElement | false {
    if (!d.tiers.length) return false;
    const all = d.tiers.reduce((n, x) => n + x.bytes, 0);
    const disk = d.tiers.reduce((n, x) => n + (x.inMemory ? 0 : x.bytes), 0);
    return h('section.card.stat', null, h('h2', null, 'Storage'), h('p.figure', null, bytes(disk, 3), h('span', null, 'on disk')),
      h('div.bar', { role: 'img', 'aria-label': d.tiers.map((x) => `${x.name} ${bytes(x.bytes, 3)}`).join(', ') },
        d.tiers.map((x, i) => h(`i.tier-${i}` as 'i', { style: `flex-grow:${all ? x.bytes / all : 0}` }))),
      h('ul.tiers', null, d.tiers.map((x, i) => h('li', null, h(`i.tier-${i}` as 'i'), h('span', null, x.name), h('b', null, bytes(x.bytes, 3))))),
      d.bytesPerPoint !== undefined && h('p', null, `${plain(d.bytesPerPoint, 3)} bytes per sample in blocks`),
      d.disk && h('p', null, `${bytes(d.disk.free, 3)} free of ${bytes(d.disk.total, 3)}; below ${bytes(d.disk.mark, 3)} writes are refused`));
  }

  private memory(d: Health): HTMLElement | false {
    if (d.memory === undefined) return false;
    return h('section.card.stat', null, h('h2', null, 'Memory'), h('p.figure', null, bytes(d.memory, 3)),
      h('p', null, 'resident'),
      d.memoryUsed !== undefined && d.memoryLimit ? [h('meter', { min: 0, max: 1, high: 0.85, value: d.memoryUsed / d.memoryLimit, 'aria-label': 'share of the limit' }),
        h('p', null, `${bytes(d.memoryUsed, 3)} counted against the limit of ${bytes(d.memoryLimit, 3)}`)] : null);
  }
}

function card(title: string, figure: string, lines: Child[], sign?: string): HTMLElement {
  return h('section.card.stat', null, h('h2', null, title), h('p.figure', null, sign && h('i', { 'aria-hidden': 'true' }, sign), figure), lines.filter(Boolean).map((l) => h('p', null, l)));
}

/** What the write-ahead log promises in the mode that is in force. */
function promise(d: Health): HTMLElement | false {
  if (!d.sync) return false;
  const interval = d.syncIntervalS ? seconds(d.syncIntervalS, 3) : 'the interval';
  const said: Record<string, [string, string]> = {
    always: ['Nothing is lost', 'An acknowledged write survives a killed process and a power cut.'],
    interval: [`At most ${interval}`, `An acknowledged write survives a killed process. A power cut takes at most the last ${interval}, and leaves no gap before it.`],
    never: ['Until the system writes', 'An acknowledged write survives a killed process. A power cut takes what the system has not yet written.'],
    none: ['No log', 'What is in memory is lost when the process ends.'],
  };
  const [figure, text] = said[d.sync] ?? [d.sync, ''];
  return h('section.card.stat', null, h('h2', null, 'Power cut'), h('p.figure.words', null, figure), h('p', null, text), h('p', null, h('code', null, `sync: ${d.sync}`)));
}

function list(title: string, rows: Child[][], none = ''): HTMLElement {
  return h('section.card.list', null, h('h2', null, title), rows.length ? h('ul', null, rows.map((r) => h('li', null, r.map((c) => (c instanceof Node ? c : h('span', null, c)))))) : h('p.none', null, none));
}
