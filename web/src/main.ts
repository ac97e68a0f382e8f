// The page: header, five views, keys.
import './style/base.css';
import './style/explore.css';
import './style/monitor.css';
import './style/alerts.css';
import './style/status.css';
import { Alerts } from './alerts';
import { h, dialog, fill, icon, popover } from './dom';
import { Explore } from './explore';
import { Metrics } from './metrics';
import { Monitor } from './monitor';
import { currentRoute, go, onRoute, views, type Route, type View } from './route';
import { applyTheme, isDark, onSettings, setSetting, settings, type Theme } from './settings';
import { Status } from './status';
import flint from './flint.svg';

interface Shown { element: HTMLElement; open(params: URLSearchParams): unknown; close(): void; key(key: string): boolean }

const titles: Record<View, string> = { explore: 'Explore', metrics: 'Metrics', monitor: 'Monitor', alerts: 'Alerts', status: 'Status' };
const makers: Record<View, () => Shown> = { explore: () => new Explore(), metrics: () => new Metrics(), monitor: () => new Monitor(), alerts: () => new Alerts(), status: () => new Status() };
const made = new Map<View, Shown>();
const lastParams = new Map<View, string>(); // a tab shows again what it showed
let current: View | null = null;

const tabs = views.map((v) => h('a', { href: `#/${v}`, 'data-view': v, onclick: (e: MouseEvent) => {
  if (e.ctrlKey || e.metaKey || e.shiftKey) return;
  e.preventDefault();
  visit(v);
} }, titles[v]));
const who = h('span.who');
const gear = h('button.quiet', { type: 'button', title: 'Tenant, token, theme', 'aria-label': 'Settings', 'aria-haspopup': 'dialog', 'aria-expanded': 'false', onclick: () => popover(gear, settingsPanel()) }, who, icon('gear'));
const stage = h('div', { id: 'stage' });

function settingsPanel(): HTMLElement {
  const tenant = h('input', { type: 'text', value: settings.tenant, placeholder: 'default', spellcheck: false, autocomplete: 'off', onchange: () => setSetting('tenant', tenant.value.trim()) });
  const token = h('input', { type: 'password', value: settings.token, placeholder: 'none', autocomplete: 'off', onchange: () => setSetting('token', token.value.trim()) });
  const theme = (t: Theme, title: string) => h('button', { type: 'button', 'aria-pressed': String(settings.theme === t), onclick: (e: Event) => {
    setSetting('theme', t);
    (e.currentTarget as Element).parentElement!.querySelectorAll('button').forEach((b) => b.setAttribute('aria-pressed', String(b === e.currentTarget)));
  } }, title);
  const utc = h('input', { type: 'checkbox', checked: settings.utc, onchange: () => setSetting('utc', utc.checked) });
  return h('form.settings', { onsubmit: (e: Event) => e.preventDefault() },
    h('label', null, 'Tenant', tenant), h('p.hint', null, 'Sent as X-Scope-OrgID. Empty: the default tenant.'),
    h('label', null, 'Token', token), h('p.hint', null, 'Sent as a bearer token. Forgotten when this tab closes.'),
    h('div.group', { role: 'group', 'aria-label': 'Theme' }, theme('auto', 'System'), theme('light', 'Light'), theme('dark', 'Dark')),
    h('label.check', null, utc, 'Times in UTC'));
}

function show(route: Route): void {
  if (current && current !== route.view) made.get(current)!.close();
  current = route.view;
  if (!made.has(current)) made.set(current, makers[current]());
  const view = made.get(current)!;
  for (const t of tabs) {
    if (t.dataset.view === current) t.setAttribute('aria-current', 'page');
    else t.removeAttribute('aria-current');
  }
  if (view.element.parentElement !== stage) stage.replaceChildren(view.element);
  view.open(route.params);
}

/** The tab as it was left. */
function visit(v: View): void {
  if (current) lastParams.set(current, location.hash.split(/\?(.*)/s)[1] ?? '');
  go(v, new URLSearchParams(lastParams.get(v) ?? ''));
}

const keys: [string, string][] = [
  ['e  m  w  a  s', 'Explore, Metrics, Monitor (wall), Alerts, Status'], ['/', 'to the first query, or the search'], ['Enter', 'run'], ['Shift+Enter', 'a new line in the query'],
  ['Ctrl+Space', 'what could stand here'], ['+', 'add a query, or a value to the wall'], ['r', 'run again'], ['t', 'chart or table'], ['[  ]', 'earlier, later'], ['-', 'zoom out'], ['d', 'dark or light'],
  ['f', 'wall: full screen'], ['j  k', 'alerts: the next, the one before'], ['c  z', 'alerts: acknowledge, silence'], ['?', 'this list'],
];

function help(): void {
  if (document.querySelector('dialog')) return;
  dialog('Keys', h('dl.keys', null, keys.map(([k, text]) => [h('dt', null, k.split('  ').map((x) => h('kbd', null, x))), h('dd', null, text)])),
    h('p.hint', null, 'In a chart: drag to zoom, double-click to zoom out. In a legend: click shows one series alone, Ctrl-click hides it. ',
      h('a', { href: './assets/licenses.txt' }, 'Licences'), ' of what this page is made of.'));
}

const pages: Record<string, View> = { e: 'explore', m: 'metrics', w: 'monitor', a: 'alerts', s: 'status' };

addEventListener('keydown', (e) => {
  const target = e.target as HTMLElement;
  if (e.ctrlKey || e.metaKey || e.altKey || target.closest('input,textarea,select,dialog,.popover')) return;
  if (pages[e.key]) visit(pages[e.key]);
  else if (e.key === '?') help();
  else if (e.key === 'd') setSetting('theme', isDark() ? 'light' : 'dark');
  else if (!current || !made.get(current)!.key(e.key)) return;
  e.preventDefault();
});

function paintWho(): void {
  fill(who, settings.tenant, settings.token && ' ●');
  who.title = settings.token ? 'a token is set' : '';
}

applyTheme();
onSettings(paintWho);
paintWho();
document.body.append(
  h('header', { id: 'top' },
    h('a.brand', { href: '#/explore', 'aria-label': 'Silex', onclick: (e: Event) => {
      e.preventDefault();
      visit('explore');
    } }, h('img', { src: flint, alt: '', width: 22, height: 22 }), h('b', null, 'silex')),
    h('nav', { 'aria-label': 'Views' }, tabs),
    h('button.quiet.square.long', { type: 'button', title: 'Keys  ( ? )', 'aria-label': 'Keys', onclick: help }, icon('key')), gear),
  stage);
onRoute(show);
show(currentRoute());
