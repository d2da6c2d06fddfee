/**
 * A table that follows a list that changes: rows are kept, moved and filled again, never made anew, so that a focus, a
 * selection and the place in the page stay. On narrow screens the style sheet shows its rows as cards.
 */

import { freshId, h, write } from './dom.js';
import { NOTHING } from './format.js';
import { compare, difference, successor } from './order.js';

/**
 * @template R
 * @typedef {object} Column
 * @property {string} title
 * @property {'text' | 'wrap' | 'number' | 'actions'} [kind]
 * @property {boolean} [isHeader] whether it names the row
 * @property {(row: R) => string} [text] what stands in it; or else `fill`
 * @property {(cell: HTMLElement, row: R) => void} [fill] called at each change, with the same cell for the same row
 * @property {(row: R) => unknown} [sort] by what it is sorted; without it it is not
 */

/** @template R */
export class LiveTable {
  #columns;
  #key;
  #body = h('tbody', { role: 'rowgroup' });
  #empty;
  /** @type {HTMLElement[]} */
  #heads = [];
  /** @type {Map<string, { element: HTMLTableRowElement, cells: HTMLElement[] }>} */
  #rows = new Map();
  /** @type {R[]} */
  #given = [];
  /** @type {{ column: Column<R>, isDescending: boolean } | undefined} */
  #sorted;

  /**
   * @param {object} options
   * @param {string} options.caption
   * @param {Column<R>[]} options.columns
   * @param {(row: R) => string} options.key
   * @param {string} options.empty the sentence when there is no row
   * @param {boolean} [options.isCaptionSeen] false when the same stands above it
   */
  constructor({ caption, columns, key, empty, isCaptionSeen = false }) {
    this.#columns = columns;
    this.#key = key;
    this.#empty = h('p', { class: 'empty' }, empty);
    this.#heads = columns.map((column) => this.#head(column));
    const id = freshId();
    // Roles are written out, since cards on narrow screens would otherwise be no table to screen readers.
    this.table = h(
      'table',
      { role: 'table', class: 'live' },
      h('caption', { id, class: isCaptionSeen ? undefined : 'unseen' }, caption),
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, this.#heads)),
      this.#body,
    );
    this.element = h('div', { class: 'scroll' }, this.table, this.#empty);
  }

  /** Shows these rows. @param {readonly R[]} rows */
  update(rows) {
    this.#given = [...rows];
    const wanted = this.#inOrder();
    const shown = [...this.#rows.keys()];
    const keys = wanted.map(this.#key);
    const { removed, moved } = difference(shown, keys);
    const focused = document.activeElement;
    const focusedKey = shown.find((key) => this.#rows.get(key)?.element.contains(focused));
    for (const key of removed) this.#rows.get(key)?.element.remove();

    /** @type {Map<string, { element: HTMLTableRowElement, cells: HTMLElement[] }>} */
    const next = new Map();
    const isMoved = new Set(moved);
    let before = this.#body.firstElementChild;
    wanted.forEach((row, i) => {
      const key = keys[i] ?? '';
      const known = this.#rows.get(key);
      const entry = known ?? this.#make();
      next.set(key, entry);
      while (before && isMoved.has(/** @type {HTMLElement} */ (before).dataset['key'] ?? '') && before !== entry.element) {
        before = before.nextElementSibling;
      }
      entry.element.dataset['key'] = key;
      if (before === entry.element) before = before.nextElementSibling;
      else this.#body.insertBefore(entry.element, before);
      this.#fill(entry.cells, row);
    });
    this.#rows = next;
    this.#empty.hidden = rows.length > 0;
    this.table.hidden = rows.length === 0;
    if (focusedKey !== undefined) this.#refocus(focused, shown, keys, focusedKey);
  }

  /**
   * Gives the focus back after its row was moved, or hands it on after its row was removed.
   *
   * @param {Element | null} focused
   * @param {string[]} shown
   * @param {string[]} keys
   * @param {string} focusedKey
   */
  #refocus(focused, shown, keys, focusedKey) {
    if (document.activeElement === focused && focused?.isConnected) return;
    if (focused instanceof HTMLElement && focused.isConnected) {
      focused.focus({ preventScroll: true });
      return;
    }
    const heir = successor(shown, keys, focusedKey);
    const row = heir === undefined ? undefined : this.#rows.get(heir)?.element;
    const target = row?.querySelector('button:not([disabled]), a[href]') ?? this.element.closest('section, main');
    if (target instanceof HTMLElement) target.focus({ preventScroll: true });
  }

  #make() {
    const cells = this.#columns.map(({ title, kind = 'text', isHeader = false }) => {
      const attributes = { class: kind, 'data-title': title, role: isHeader ? 'rowheader' : 'cell' };
      return isHeader ? h('th', { ...attributes, scope: 'row' }) : h('td', attributes);
    });
    return { element: h('tr', { role: 'row' }, cells), cells };
  }

  /** @param {HTMLElement[]} cells @param {R} row */
  #fill(cells, row) {
    this.#columns.forEach(({ text, fill }, i) => {
      const cell = cells[i];
      if (!cell) return;
      if (text) {
        write(cell, text(row));
        cell.classList.toggle('nothing', cell.textContent === NOTHING);
      }
      fill?.(cell, row);
    });
  }

  /** @param {Column<R>} column */
  #head(column) {
    const { title, kind = 'text', sort } = column;
    const label = sort
      ? h('button', { type: 'button', class: 'sort', onclick: () => this.#sortBy(column) }, title)
      : kind === 'actions'
        ? h('span', { class: 'unseen' }, title)
        : title;
    return h('th', { scope: 'col', role: 'columnheader', class: kind }, label);
  }

  /** @param {Column<R>} column */
  #sortBy(column) {
    const isDescending = this.#sorted?.column === column && !this.#sorted.isDescending;
    this.#sorted = { column, isDescending };
    this.#columns.forEach((other, i) => {
      const head = this.#heads[i];
      if (other !== column) head?.removeAttribute('aria-sort');
      else head?.setAttribute('aria-sort', isDescending ? 'descending' : 'ascending');
    });
    this.update(this.#given);
  }

  #inOrder() {
    const { column, isDescending = false } = this.#sorted ?? {};
    const sort = column?.sort;
    if (!sort) return this.#given;
    const sign = isDescending ? -1 : 1;
    return this.#given.toSorted((a, b) => sign * compare(sort(a), sort(b)));
  }
}

/**
 * A table of names and values that do not change while they are looked at.
 *
 * @param {string} caption
 * @param {[string, string]} heads
 * @param {[string, string][]} rows
 */
export function plainTable(caption, heads, rows) {
  return h(
    'table',
    { class: 'plain' },
    h('caption', { class: 'unseen' }, caption),
    h('thead', {}, h('tr', {}, heads.map((head) => h('th', { scope: 'col' }, head)))),
    h('tbody', {}, rows.map(([name, value]) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, value)))),
  );
}
