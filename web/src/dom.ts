// Elements by function call: h('div.card', { title: 'x', onclick: f }, 'text', child).

export type Child = Node | string | number | null | undefined | false | Child[];
type Props = Record<string, unknown> | null;
type Tag = keyof HTMLElementTagNameMap;

export function h<K extends Tag>(spec: K | `${K}.${string}`, props?: Props, ...children: Child[]): HTMLElementTagNameMap[K] {
  const [tag, ...classes] = spec.split('.');
  const e = document.createElement(tag) as HTMLElementTagNameMap[K];
  if (classes.length) e.className = classes.join(' ');
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) e.addEventListener(key.slice(2), value as EventListener);
    else if (key in e && !key.includes('-') && key !== 'list' && key !== 'role') (e as Record<string, unknown>)[key] = value;
    else e.setAttribute(key, value === true ? '' : String(value));
  }
  append(e, children);
  return e;
}

function append(e: Element, children: Child[]): void {
  for (const c of children) {
    if (Array.isArray(c)) append(e, c);
    else if (c !== null && c !== undefined && c !== false) e.append(c instanceof Node ? c : String(c));
  }
}

export function fill(e: Element, ...children: Child[]): void {
  e.textContent = '';
  append(e, children);
}

const paths: Record<string, string> = {
  plus: 'M8 3v10M3 8h10',
  close: 'M4 4l8 8M12 4l-8 8',
  copy: 'M6 6h7v7H6zM10 6V3H3v7h3',
  link: 'M7 9.5a2.5 2.5 0 0 0 3.5 0l2-2A2.5 2.5 0 0 0 9 4l-.7.7M9 6.5a2.5 2.5 0 0 0-3.5 0l-2 2A2.5 2.5 0 0 0 7 12l.7-.7',
  refresh: 'M13 8a5 5 0 1 1-1.5-3.6M13 2.5v3h-3',
  download: 'M8 2.5v7.5M5 7.5l3 3 3-3M3 13h10',
  clock: 'M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 0 0 0-11M8 5v3.2l2.2 1.3',
  left: 'M10 3.5L5.5 8l4.5 4.5',
  right: 'M6 3.500L10.5 8L6 12.5',
  out: 'M7 3a4 4 0 1 0 0 8a4 4 0 0 0 0-8M10 10l3.5 3.5M5 7h4',
  gear: 'M8 5.800a2.2 2.2 0 1 0 0 4.400a2.2 2.2 0 0 0 0-4.400M8 1.800v2M8 12.200v2M1.8 8h2M12.2 8h2M3.6 3.600L5 5M11 11l1.4 1.400M12.4 3.600L11 5M5 11l-1.4 1.4',
  key: 'M2.5 4.500h11v7h-11zM5 7h.01M8 7h.01M11 7h.01M5.5 9.500h5',
  wide: 'M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3',
  search: 'M7 3a4 4 0 1 0 0 8a4 4 0 0 0 0-8M10 10l3.5 3.5',
  pencil: 'M3 13l.6-2.600L10.8 3.200l2 2L5.6 12.400zM9.5 4.500l2 2',
  bell: 'M8 2.500a3.6 3.6 0 0 1 3.600 3.600c0 3 1.4 4.400 1.4 4.400H3s1.4-1.400 1.4-4.400A3.6 3.6 0 0 1 8 2.500M6.700 12.500a1.4 1.4 0 0 0 2.600 0',
  mute: 'M3 3l10 10M5.200 4.300A3.6 3.6 0 0 1 11.600 6.100c0 1 .2 1.900.400 2.600M4.400 6.500c0 2.600-1.400 4-1.400 4h7.500M6.700 12.500a1.4 1.4 0 0 0 2.600 0',
  check: 'M3 8.500l3.500 3.500L13 4.500',
  warn: 'M8 2.500L14.3 13.500H1.700zM8 6.500v3.200M8 11.600v.2',
};

export function icon(name: keyof typeof paths | string): SVGSVGElement {
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const p = document.createElementNS(ns, 'path');
  p.setAttribute('d', paths[name]);
  svg.append(p);
  return svg;
}

let toastTimer = 0;

/** A line at the foot of the window that goes away by itself; screen readers hear it. */
export function toast(text: string): void {
  let e = document.getElementById('toast');
  if (!e) document.body.append((e = h('div', { id: 'toast', role: 'status' })));
  e.textContent = text;
  e.classList.add('on');
  clearTimeout(toastTimer);
  toastTimer = window.setTimeout(() => e!.classList.remove('on'), 3500);
}

export async function copyText(text: string, said: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // plain http on another host has no clipboard API
    const area = h('textarea', { value: text });
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  toast(said);
}

export function download(name: string, body: Blob): void {
  const url = URL.createObjectURL(body);
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A panel below a button; Escape or a click elsewhere closes it. */
export function popover(anchor: HTMLElement, content: HTMLElement): () => void {
  const pop = h('div.popover', { role: 'dialog' }, content);
  const close = () => {
    pop.remove();
    anchor.setAttribute('aria-expanded', 'false');
    removeEventListener('pointerdown', outside, true);
    removeEventListener('keydown', key, true);
  };
  const outside = (e: Event) => {
    if (!pop.contains(e.target as Node) && !anchor.contains(e.target as Node)) close();
  };
  const key = (e: KeyboardEvent) => {
    if (e.key !== 'Escape') return;
    e.stopPropagation();
    close();
    anchor.focus();
  };
  document.body.append(pop);
  const a = anchor.getBoundingClientRect();
  const width = pop.offsetWidth;
  pop.style.top = `${a.bottom + scrollY + 6}px`;
  pop.style.left = `${Math.max(8, Math.min(a.left, innerWidth - width - 8)) + scrollX}px`;
  anchor.setAttribute('aria-expanded', 'true');
  addEventListener('pointerdown', outside, true);
  addEventListener('keydown', key, true);
  pop.querySelector<HTMLElement>('input,button')?.focus();
  return close;
}

/** A modal dialog; it removes itself when closed. */
export function dialog(title: string, ...content: Child[]): HTMLDialogElement {
  const d = h('dialog', { 'aria-label': title, onclose: () => d.remove() });
  const bar = h('header', null, h('h2', null, title),
    h('button.quiet.square', { type: 'button', title: 'Close (Esc)', 'aria-label': 'Close', onclick: () => d.close() }, icon('close')));
  append(d, [bar, ...content]);
  d.addEventListener('mousedown', (e) => e.target === d && d.close());
  document.body.append(d);
  d.showModal();
  return d;
}
