// What could stand at the cursor of a query: found from the tokens before it.
import { aggregators, functions, lex, type Token } from './promql';
import { catalogue } from './catalogue';

export interface Option { label: string; kind: 'metric' | 'function' | 'keyword' | 'label' | 'value' | 'duration'; detail?: string; help?: string; insert?: string; back?: number }
export interface Completion { from: number; to: number; options: Option[] }

const durations = ['30s', '1m', '5m', '15m', '30m', '1h', '6h', '1d', '7d'];
const afterVector = ['and', 'or', 'unless', 'offset', 'by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'bool', 'atan2'];
const optionsMax = 60;
const scattered = 15;

type Place =
  | { what: 'label'; metric?: string; used: string[] }
  | { what: 'value'; metric?: string; label: string; quote: string }
  | { what: 'duration' }
  | { what: 'expression' }
  | { what: 'nothing' };

/** force: the user asked for it; else nothing is offered before the first character of a word. */
export async function complete(text: string, at: number, force: boolean): Promise<Completion | null> {
  const before = lex(text.slice(0, at));
  const last = before[before.length - 1];
  if (last?.kind === 'comment') return null;
  const place = placeOf(before);
  const { from, word } = wordBefore(before, at, place);
  if (place.what === 'nothing' || (!word && !force && place.what === 'expression')) return null;
  const to = at + (/^[\w:.-]*/.exec(text.slice(at))?.[0].length ?? 0);
  const options = await candidates(place, text, word);
  const fitting = rank(options, word);
  if (!fitting.length || (fitting.length === 1 && fitting[0].label === word && !fitting[0].insert)) return null;
  return { from, to, options: fitting };
}

function wordBefore(tokens: Token[], at: number, place: Place): { from: number; word: string } {
  const last = tokens[tokens.length - 1];
  if (!last) return { from: at, word: '' };
  if (place.what === 'value') return { from: last.at + 1, word: last.text.slice(1) };
  const inWord = ['metric', 'function', 'keyword', 'label', 'number', 'duration'].includes(last.kind) && last.text.length + last.at === at;
  return inWord ? { from: last.at, word: last.text } : { from: at, word: '' };
}

/** Walks back from the cursor to the bracket that is open there. */
function placeOf(all: Token[]): Place {
  const t = all.filter((x) => x.kind !== 'space' && x.kind !== 'comment');
  const last = t[t.length - 1];
  const openString = last?.kind === 'string' && (last.text.length === 1 || last.text[last.text.length - 1] !== last.text[0]);
  let depth = 0;
  for (let i = t.length - 1; i >= 0; i--) {
    const c = t[i].kind === 'bracket' ? t[i].text : '';
    if (')]}'.includes(c) && c) depth++;
    else if ('([{'.includes(c) && c && depth-- === 0) return inside(t, i, openString);
  }
  if (openString || last?.kind === 'number') return { what: 'nothing' };
  return { what: 'expression' };
}

function inside(t: Token[], i: number, openString: boolean): Place {
  const last = t[t.length - 1];
  const owner = t[i - 1];
  if (t[i].text === '[') return { what: 'duration' };
  if (t[i].text === '(') {
    if (openString) return { what: 'nothing' };
    if (!owner || !/^(by|without|on|ignoring|group_left|group_right)$/i.test(owner.text)) return last.kind === 'number' ? { what: 'nothing' } : { what: 'expression' };
    return { what: 'label', used: t.slice(i).filter((x) => x.kind === 'label' && x !== last).map((x) => x.text), metric: metricNear(t, i) };
  }
  const metric = owner?.kind === 'metric' || owner?.kind === 'function' ? owner.text : undefined;
  if (openString) {
    const label = t[t.length - 3]?.text.replace(/^["']|["']$/g, '');
    return /^(=|!=|=~|!~)$/.test(t[t.length - 2]?.text ?? '') ? { what: 'value', metric, label, quote: last.text[0] } : { what: 'nothing' };
  }
  const atName = last === t[i] || last.text === ',' || (last.kind === 'label' && /^[{,]$/.test(t[t.length - 2].text));
  return atName ? { what: 'label', metric, used: t.slice(i).filter((x) => x.kind === 'label' && x !== last).map((x) => x.text) } : { what: 'nothing' };
}

/** The metric that by (...) is about: the nearest one before, else after. */
function metricNear(t: Token[], i: number): string | undefined {
  for (let k = i; k >= 0; k--) if (t[k].kind === 'metric') return t[k].text;
  return undefined;
}

async function candidates(place: Place, text: string, word: string): Promise<Option[]> {
  switch (place.what) {
    case 'label': {
      const metric = place.metric ?? lex(text).find((x) => x.kind === 'metric')?.text;
      const names = await catalogue.labels(metric);
      return names.filter((n) => n !== '__name__' && !place.used.includes(n)).map((label) => ({ label, kind: 'label' }));
    }
    case 'value':
      return (await catalogue.values(place.label, place.metric, word)).map((label) => ({ label, kind: 'value', insert: label.replace(/[\\"]/g, '\\$&') }));
    case 'duration':
      return durations.map((label) => ({ label, kind: 'duration' }));
    default:
      return expressions();
  }
}

async function expressions(): Promise<Option[]> {
  const known = await catalogue.metrics();
  return [
    ...known.map((m): Option => ({ label: m.name, kind: 'metric', detail: m.type, help: m.help })),
    ...[...aggregators, ...functions].map(([label, f]): Option =>
      ({ label, kind: 'function', detail: `(${f.args})`, help: f.text, insert: `${label}()`, back: f.args ? 1 : 0 })),
    ...afterVector.map((label): Option => ({ label, kind: 'keyword' })),
  ];
}

/** Best first: whole prefix, then the start of a word inside, then anywhere, then the letters in order. */
export function score(label: string, word: string): number {
  if (!word) return 20;
  const l = label.toLowerCase();
  const w = word.toLowerCase();
  if (l === w) return 100;
  if (l.startsWith(w)) return 80;
  const i = l.indexOf(w);
  if (i > 0) return /[_:.\-/ ]/.test(l[i - 1]) ? 60 : 40;
  let k = 0;
  for (const c of l) if (c === w[k]) k++;
  return k === w.length && w.length > 1 ? scattered : 0;
}

/** Letters scattered over a name count only where nothing matches better. */
function rank(options: Option[], word: string): Option[] {
  const scored = options.map((o, i) => ({ o, i, s: score(o.label, word) })).filter((x) => x.s > 0);
  const good = scored.some((x) => x.s > scattered) ? scored.filter((x) => x.s > scattered) : scored;
  return good
    .sort((a, b) => b.s - a.s || (word ? a.o.label.length - b.o.label.length : 0) || a.i - b.i)
    .slice(0, optionsMax)
    .map((x) => x.o);
}
