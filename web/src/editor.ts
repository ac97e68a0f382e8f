// The query editor: a textarea whose text is transparent, above a copy of it in colour. The copy has the same layout, so it
// also tells where a character stands: for the completion list and for the mark below a fault.
import { complete, type Completion, type Option } from './complete';
import { h, fill } from './dom';
import { lex } from './promql';

const pairs: Record<string, string> = { '(': ')', '[': ']', '{': '}', '"': '"' };
const letters: Record<Option['kind'], string> = { metric: 'm', function: 'ƒ', keyword: 'k', label: 'l', value: 'v', duration: 't' };

let count = 0;

export class Editor {
  readonly element: HTMLElement;
  readonly area: HTMLTextAreaElement;
  private readonly copy = h('pre', { 'aria-hidden': 'true' });
  private readonly list = h('ul.completions', { role: 'listbox', id: `completions-${++count}`, hidden: true });
  private found: Completion | null = null;
  private chosen = 0;
  private asked = 0;
  private fault = -1;

  constructor(text: string, private readonly run: () => void, placeholder = 'Type a PromQL expression') {
    this.area = h('textarea', {
      rows: 1, spellcheck: false, placeholder, autocapitalize: 'off', autocomplete: 'off', 'aria-label': 'PromQL expression', role: 'combobox',
      'aria-autocomplete': 'list', 'aria-expanded': 'false', 'aria-controls': this.list.id, wrap: 'soft',
    });
    this.area.value = text;
    this.element = h('div.editor', null, this.copy, this.area, this.list);
    this.area.addEventListener('input', () => {
      this.fault = -1;
      this.paint();
      void this.offer(false);
    });
    this.area.addEventListener('keydown', (e) => this.key(e));
    this.area.addEventListener('blur', () => this.close());
    this.area.addEventListener('click', () => this.close());
    this.list.addEventListener('mousedown', (e) => {
      e.preventDefault(); // the textarea keeps the focus
      const item = (e.target as Element).closest('li');
      if (item) this.accept(Number(item.dataset.i));
    });
    this.paint();
  }

  get text(): string {
    return this.area.value.trim();
  }

  set text(value: string) {
    this.area.value = value;
    this.fault = -1;
    this.close();
    this.paint();
  }

  /** Marks the character at a line and a byte column, both from 1; returns its distance from the editor's left edge in pixels. */
  mark(line: number, column: number): number {
    const lines = this.area.value.split('\n');
    const lead = this.area.value.length - this.area.value.trimStart().length; // what is sent is trimmed
    const at = lines.slice(0, line - 1).reduce((n, l) => n + l.length + 1, 0);
    const bytes = new TextEncoder().encode(this.area.value.slice(at + (line === 1 ? lead : 0))).slice(0, column - 1);
    this.fault = Math.min(this.area.value.length, at + (line === 1 ? lead : 0) + new TextDecoder().decode(bytes).length);
    this.paint();
    const mark = this.copy.querySelector('.fault')?.getBoundingClientRect();
    return mark ? mark.left + Math.min(mark.width, 8) / 2 - this.element.getBoundingClientRect().left : 0;
  }

  unmark(): void {
    this.fault = -1;
    this.paint();
  }

  private paint(): void {
    const out: Node[] = [];
    let marked = false;
    for (const t of lex(this.area.value)) {
      const cut = this.fault - t.at;
      if (!marked && cut >= 0 && cut < t.text.length && this.fault >= 0) {
        marked = true;
        if (cut) out.push(h(`span.t-${t.kind}` as 'span', null, t.text.slice(0, cut)));
        out.push(h(`span.t-${t.kind}.fault` as 'span', null, t.text.slice(cut)));
      } else {
        out.push(t.kind === 'space' ? document.createTextNode(t.text) : h(`span.t-${t.kind}` as 'span', null, t.text));
      }
    }
    if (this.fault >= 0 && !marked) out.push(h('span.fault', null, '\u00a0'));
    fill(this.copy, out, '\u200b');
    this.element.classList.toggle('empty', !this.area.value);
  }

  private key(e: KeyboardEvent): void {
    if (e.isComposing) return;
    if (this.found && this.listKey(e)) {
      e.preventDefault();
      e.stopPropagation();
      return;
    }
    if (e.key === 'Enter' && !e.shiftKey) {
      e.preventDefault();
      this.close();
      this.run();
    } else if (e.key === ' ' && e.ctrlKey) {
      e.preventDefault();
      void this.offer(true);
    } else if (e.key === 'Escape') {
      this.area.blur();
    } else if (!e.ctrlKey && !e.metaKey && !e.altKey) {
      this.pair(e);
    }
  }

  private listKey(e: KeyboardEvent): boolean {
    const n = this.found!.options.length;
    if (e.key === 'ArrowDown') this.choose((this.chosen + 1) % n);
    else if (e.key === 'ArrowUp') this.choose((this.chosen + n - 1) % n);
    else if (e.key === 'PageDown') this.choose(Math.min(n - 1, this.chosen + 8));
    else if (e.key === 'PageUp') this.choose(Math.max(0, this.chosen - 8));
    else if (e.key === 'Enter' && !e.shiftKey && !e.ctrlKey) return this.accept(this.chosen);
    else if (e.key === 'Tab') return this.accept(this.chosen);
    else if (e.key === 'Escape') this.close();
    else return false;
    return true;
  }

  /** Closing brackets and quotes come with the opening ones; typing one that is there steps over it. */
  private pair(e: KeyboardEvent): void {
    const { selectionStart: a, selectionEnd: b, value } = this.area;
    const next = value[b] ?? '';
    if (a === b && next === e.key && (Object.values(pairs).includes(e.key))) {
      e.preventDefault();
      this.area.setSelectionRange(b + 1, b + 1);
      return;
    }
    const close = pairs[e.key];
    if (close && (a !== b || /^[\s)\]},]?$/.test(next)) && !(e.key === '"' && /[\w"\\]/.test(value[a - 1] ?? ''))) {
      e.preventDefault();
      this.insert(a, b, e.key + value.slice(a, b) + close, 1 + (b - a));
      void this.offer(false);
    } else if (e.key === 'Backspace' && a === b && a > 0 && pairs[value[a - 1]] === next && next) {
      e.preventDefault();
      this.insert(a - 1, b + 1, '', 0);
    }
  }

  /** Replaces a range through the browser's own editing, so that undo works. */
  private insert(from: number, to: number, text: string, caret: number): void {
    this.area.setSelectionRange(from, to);
    const done = text ? document.execCommand('insertText', false, text) : document.execCommand('delete');
    if (!done) {
      this.area.setRangeText(text, from, to, 'end');
      this.area.dispatchEvent(new Event('input'));
    }
    this.area.setSelectionRange(from + caret, from + caret);
  }

  private async offer(force: boolean): Promise<void> {
    const turn = ++this.asked;
    const { value, selectionStart, selectionEnd } = this.area;
    const found = selectionStart === selectionEnd ? await complete(value, selectionStart, force).catch(() => null) : null;
    if (turn !== this.asked || this.area.value !== value || document.activeElement !== this.area) return;
    if (!found) {
      this.close();
      return;
    }
    this.found = found;
    const word = value.slice(found.from, selectionStart);
    fill(this.list, found.options.map((o, i) =>
      h('li', { role: 'option', id: `${this.list.id}-${i}`, 'data-i': String(i), title: o.help ?? '' },
        h(`i.k-${o.kind}` as 'i', { 'aria-hidden': 'true' }, letters[o.kind]), h('span.word', null, ...emphasise(o.label, word)),
        o.detail && h('small', null, o.detail), h('em', null, o.help ?? ''))));
    this.list.hidden = false;
    this.area.setAttribute('aria-expanded', 'true');
    this.place(found.from);
    this.choose(0);
  }

  private choose(i: number): void {
    this.list.children[this.chosen]?.removeAttribute('aria-selected');
    this.chosen = i;
    const item = this.list.children[i];
    item.setAttribute('aria-selected', 'true');
    item.scrollIntoView({ block: 'nearest' });
    this.area.setAttribute('aria-activedescendant', item.id);
  }

  private accept(i: number): boolean {
    const found = this.found;
    if (!found) return false;
    this.close();
    const o = found.options[i];
    let text = o.insert ?? o.label;
    const { value } = this.area;
    const call = o.kind === 'function' && value[found.to] === '('; // the brackets are there already
    if (call) text = o.label;
    const caret = text.length - (call ? 0 : o.back ?? 0);
    this.insert(found.from, found.to, text, caret);
    this.close();
    return true;
  }

  private close(): void {
    this.asked++;
    this.found = null;
    this.list.hidden = true;
    this.area.setAttribute('aria-expanded', 'false');
    this.area.removeAttribute('aria-activedescendant');
  }

  private place(at: number): void {
    const r = this.rectAt(at);
    const box = this.element.getBoundingClientRect();
    this.list.style.left = `${Math.max(0, Math.min(r.left - box.left - 30, box.width - this.list.offsetWidth))}px`;
    this.list.style.top = `${r.bottom - box.top + 6}px`;
  }

  private rectAt(at: number): DOMRect {
    const walk = document.createTreeWalker(this.copy, NodeFilter.SHOW_TEXT);
    for (let n = walk.nextNode(), left = at; n; n = walk.nextNode()) {
      const length = n.textContent!.length;
      if (left < length) {
        const range = document.createRange();
        range.setStart(n, left);
        range.setEnd(n, left + 1);
        return range.getBoundingClientRect();
      }
      left -= length;
    }
    return this.copy.getBoundingClientRect();
  }
}

function emphasise(label: string, word: string): (Node | string)[] {
  const i = word ? label.toLowerCase().indexOf(word.toLowerCase()) : -1;
  return i < 0 ? [label] : [label.slice(0, i), h('b', null, label.slice(i, i + word.length)), label.slice(i + word.length)];
}
