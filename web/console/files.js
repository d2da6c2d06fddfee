/**
 * The images that the server can read: folders, and what is in a file.
 */

import { Problem, announce, h, write } from './dom.js';
import { bytes, counted, date, moment, sentence } from './format.js';
import { imagePanel } from './image.js';
import { fragment, join, trail } from './route.js';
import { LiveTable } from './table.js';

/**
 * @typedef {object} Entry
 * @property {string} name
 * @property {'folder' | 'file'} type
 * @property {number} [size] of a file in bytes, of a folder in items
 * @property {string | number} [date]
 * @property {string} [kind]
 */

/** @param {import('./server.js').Server} server @returns {import('./console.js').View} */
export function filesView(server) {
  const problem = new Problem();
  const steps = h('ol');
  const count = h('p', { class: 'lead', role: 'status' });
  const panel = h('div', { class: 'file-panel' });
  const browser = h('div');
  /** @type {string | undefined} */
  let listed;
  /** @type {string | undefined} */
  let opened;
  /** @type {{ element: HTMLElement, close: () => void } | undefined} */
  let image;
  /** @type {AbortController | undefined} */
  let listing;

  /** @type {LiveTable<Entry>} */
  const table = new LiveTable({
    caption: 'Folders and files',
    empty: 'There is nothing in this folder that could be shown.',
    key: ({ type, name }) => `${type} ${name}`,
    columns: [
      { title: 'Name', isHeader: true, fill: fillName, sort: ({ name }) => name },
      { title: 'Kind', text: ({ type, kind }) => (type === 'folder' ? 'folder' : (kind ?? 'file').toUpperCase()), sort: ({ type, kind }) => kind ?? type },
      {
        title: 'Size',
        kind: 'number',
        text: ({ type, size }) => (type === 'file' ? bytes(size) : size === undefined || size === null ? '–' : counted(size, 'item')),
        sort: ({ type, size }) => (type === 'file' ? size : undefined),
      },
      { title: 'Changed', text: (entry) => moment(date(entry.date), new Date()), sort: (entry) => date(entry.date)?.getTime() },
    ],
  });

  /** @param {HTMLElement} cell @param {Entry} entry */
  function fillName(cell, { type, name }) {
    const directory = listed ?? '';
    const address = type === 'folder' ? fragment('files', { directory: join(directory, name) }) : fragment('files', { directory, file: name });
    const link = cell.querySelector('a') ?? cell.appendChild(h('a', { class: type }));
    link.setAttribute('href', address);
    write(link, name);
    const isOpen = type === 'file' && opened === join(directory, name);
    if (isOpen) link.setAttribute('aria-current', 'true');
    else link.removeAttribute('aria-current');
  }

  /** @param {string} directory */
  function showSteps(directory) {
    const all = [{ name: 'Images', directory: '' }, ...trail(directory)];
    steps.replaceChildren(
      ...all.map((step, i) =>
        h('li', {}, h('a', { href: fragment('files', { directory: step.directory }), 'aria-current': i === all.length - 1 && 'location' }, step.name)),
      ),
    );
  }

  /** @param {string} directory */
  async function list(directory) {
    listing?.abort();
    listing = new AbortController();
    const { signal } = listing;
    showSteps(directory);
    browser.setAttribute('aria-busy', 'true');
    try {
      const answer = await server.call('chartroom.files@1', 'list', { directory }, { signal, budgetMs: 60_000 });
      if (signal.aborted) return;
      listed = directory;
      entries = rowsOf(answer);
      const folders = entries.filter(({ type }) => type === 'folder').length;
      const words = `${counted(folders, 'folder')}, ${counted(entries.length - folders, 'file')}.`;
      write(count, words);
      problem.show(undefined);
      table.update(entries);
    } catch (error) {
      if (signal.aborted) return;
      listed = undefined;
      entries = [];
      table.update(entries);
      write(count, '');
      problem.show(`The folder ${directory || 'of images'} could not be listed. ${sentence(error)}`);
    } finally {
      if (!signal.aborted) browser.removeAttribute('aria-busy');
    }
  }

  /** @type {Entry[]} */
  let entries = [];

  /** @param {string} directory @param {string | undefined} file */
  function open(directory, file) {
    const path = file === undefined ? undefined : join(directory, file);
    if (path === opened) return;
    opened = path;
    image?.close();
    image = undefined;
    panel.replaceChildren();
    table.update(entries);
    if (file === undefined) return;
    image = imagePanel(server, { directory, file }, fragment('files', { directory }));
    panel.append(image.element);
    announce(`${file} is opened below the list.`);
    image.element.scrollIntoView({ block: 'start', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
  }

  browser.append(h('nav', { class: 'breadcrumb', 'aria-label': 'Folder' }, steps), count, problem.element, table.element);
  return {
    element: h('div', {}, browser, panel),
    show({ directory = '', file }) {
      open(directory, file);
      // Coming back to the view lists again: files may have come and gone.
      void list(directory);
    },
    hide: () => listing?.abort(),
  };
}

/**
 * The rows of a listing: folders first, each by name.
 *
 * @param {any} answer of `chartroom.files@1 list`
 * @returns {Entry[]}
 */
export function rowsOf({ directories = [], files = [] }) {
  const byName = (/** @type {Entry} */ a, /** @type {Entry} */ b) => a.name.localeCompare(b.name, 'en', { numeric: true });
  const folders = directories.map((/** @type {any} */ { name, items, date }) => ({ name, type: 'folder', size: items, date }));
  const rows = files.map((/** @type {any} */ { name, size, date, kind }) => ({ name, type: 'file', size, date, kind }));
  return [...folders.sort(byName), ...rows.sort(byName)];
}
