// The address of what is shown: #/explore?q=up&from=now-1h&to=now. Sharing is copying it; Back is the browser's.
import type { Range } from './time';

export type View = 'explore' | 'metrics' | 'monitor' | 'alerts' | 'status';
export const views: View[] = ['explore', 'metrics', 'monitor', 'alerts', 'status'];

export interface Route { view: View; params: URLSearchParams }

export function currentRoute(): Route {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  const view = views.find((v) => v === path) ?? 'explore';
  const params = new URLSearchParams(query);
  if (!location.hash) prometheusLink(params);
  return { view, params };
}

/** Links of alerts and dashboards made for Prometheus: /graph?g0.expr=up&g0.range_input=1h. */
function prometheusLink(params: URLSearchParams): void {
  const old = new URLSearchParams(location.search);
  for (let i = 0; old.has(`g${i}.expr`); i++) params.append('q', old.get(`g${i}.expr`)!);
  if (!params.has('q')) return;
  params.set('from', `now-${old.get('g0.range_input') ?? '1h'}`);
  params.set('to', 'now');
  if (old.get('g0.tab') === '1' || old.get('g0.tab') === 'table') params.set('view', 'table');
}

let listener: (r: Route) => void = () => {};

export function onRoute(f: (r: Route) => void): void {
  listener = f;
  addEventListener('popstate', () => listener(currentRoute()));
}

const text = (view: View, params: URLSearchParams) => {
  const query = params.toString();
  return `#/${view}${query ? `?${query}` : ''}`;
};

/** Shows another view: a step that Back undoes. */
export function go(view: View, params = new URLSearchParams()): void {
  const hash = text(view, params);
  if (hash !== location.hash) history.pushState(null, '', hash);
  listener(currentRoute());
}

/** Records the state of the view that is shown; a step for Back unless nothing changed or replace is asked for. */
export function record(view: View, params: URLSearchParams, replace = false): void {
  const hash = text(view, params);
  if (hash === location.hash) return;
  if (replace) history.replaceState(null, '', hash);
  else history.pushState(null, '', hash);
}

export function exploreParams(queries: string[], range?: Range): URLSearchParams {
  const p = new URLSearchParams(queries.map((q) => ['q', q]));
  if (range) {
    p.set('from', range.from);
    p.set('to', range.to);
  }
  return p;
}
