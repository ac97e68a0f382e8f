// What an empty store shows: how to send the first sample to this very address. Looks every second whether one has come.
import { base } from './api';
import { bestQuery, catalogue } from './catalogue';
import { copyText, fill, h, icon, toast } from './dom';
import { settings } from './settings';

interface Way { name: string; file: string; text: string; note: string }

function ways(): Way[] {
  const url = base.href.replace(/\/$/, '');
  const tenant = settings.tenant;
  const curlTenant = tenant ? ` -H 'X-Scope-OrgID: ${tenant}'` : '';
  return [
    { name: 'Prometheus', file: 'prometheus.yml', note: 'Prometheus, Grafana Alloy, vmagent: add this and reload.',
      text: `remote_write:\n  - url: ${url}/api/v1/write\n${tenant ? `    headers:\n      X-Scope-OrgID: ${tenant}\n` : ''}` },
    { name: 'Line protocol', file: 'shell', note: 'As InfluxDB takes it. Telegraf and the InfluxDB clients use the same address.',
      text: `curl${curlTenant} -X POST '${url}/write' \\\n  --data-binary 'temperature,room=lab value=21.5'\n` },
    { name: 'Scrape', file: 'silex.yml', note: 'Silex can fetch metrics itself: silex serve --config silex.yml',
      text: `scrape_configs:\n  - job_name: node\n    scrape_interval: 15s\n    static_configs:\n      - targets: ['localhost:9100']\n` },
    { name: 'OpenTelemetry', file: 'shell', note: 'For any program with an OpenTelemetry SDK, before it starts.',
      text: `export OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=${url}/v1/metrics\nexport OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/protobuf\n${tenant ? `export OTEL_EXPORTER_OTLP_HEADERS=X-Scope-OrgID=${tenant}\n` : ''}` },
    { name: 'Text', file: 'shell', note: 'The text that /metrics pages show, pushed.',
      text: `printf 'heart_rate{bed="7"} 72\\n' |\n  curl${curlTenant} --data-binary @- '${url}/api/v1/import/prometheus'\n` },
  ];
}

export class Welcome {
  readonly element: HTMLElement;
  private readonly timer: number;

  constructor(private readonly flip: (query: string) => void) {
    const code = h('pre');
    const file = h('span.file');
    const note = h('p.hint');
    const all = ways();
    let text = '';
    const choose = (w: Way) => {
      text = w.text;
      fill(code, w.text);
      fill(file, w.file);
      fill(note, w.note);
      tabs.forEach((t, i) => t.setAttribute('aria-selected', String(all[i] === w)));
    };
    const tabs = all.map((w) => h('button.quiet', { type: 'button', role: 'tab', onclick: () => choose(w) }, w.name));
    this.element = h('section.welcome', null,
      h('h1', null, 'Waiting for the first sample'),
      h('p', null, `Nothing is stored here${settings.tenant ? ` for the tenant ${settings.tenant}` : ''} yet. Send something to this address and the chart appears by itself.`),
      h('div.card.snippets', null, h('div.tabs', { role: 'tablist' }, tabs),
        h('div.snippet', null, h('header', null, file, h('button.quiet', { type: 'button', onclick: () => void copyText(text, 'Copied.') }, icon('copy'), 'Copy')), code), note),
      h('p.waiting', { role: 'status' }, h('i', { 'aria-hidden': 'true' }), 'Listening'));
    choose(all[0]);
    this.timer = window.setInterval(() => void this.look(), 1000);
  }

  stop(): void {
    clearInterval(this.timer);
    this.element.remove();
  }

  private async look(): Promise<void> {
    if (document.hidden || (await catalogue.empty().catch(() => true)) || !this.element.isConnected) return;
    this.stop();
    catalogue.forget();
    const metrics = await catalogue.metrics().catch(() => []);
    const first = metrics.find((m) => m.name !== 'up') ?? metrics[0];
    toast(`The first samples are here: ${first?.name ?? ''}`);
    // One sample has no rate yet: the raw series shows that it came.
    this.flip(first ? (metrics.length > 3 ? bestQuery(first) : bestQuery({ ...first, type: '' })) : '');
  }
}
