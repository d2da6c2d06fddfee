/**
 * What the server's numbers do: charts of the most telling ones, and a table of all, each of which can be charted.
 */

import { Chart } from './chart.js';
import { Problem, field, h, write } from './dom.js';
import { bytes, byteRate, counted, date, duration, sentence, value } from './format.js';
import { Record, isCounter, title, unitOf } from './series.js';
import { recall, remember, storage } from './storage.js';
import { LiveTable } from './table.js';

const PERIOD = 1000;

/** How far back charts go, in milliseconds. */
const SPAN = 300_000;

const PINNED = 'chartroom.console.metrics';

/**
 * Charts that are shown by themselves, when the server tells of them. Metrics that one line matches are summed.
 *
 * @type {{ title: string, lines: { name: string, match: RegExp }[] }[]}
 */
const SELECTION = [
  {
    title: 'Sessions',
    lines: ['live', 'parked', 'stored'].map((state) => ({ name: state, match: new RegExp(`^chartroom_sessions\\{state="${state}"\\}$`) })),
  },
  {
    title: 'Links',
    lines: [
      { name: 'viewer', match: /^chartroom_links(\{.*\})?$/ },
      { name: 'RPC', match: /^rpc_(?:links|connections|sockets|sessions)(\{.*\})?$/ },
    ],
  },
  {
    title: 'Memory',
    lines: [
      { name: 'process', match: /^chartroom_process_resident_memory_bytes$/ },
      { name: 'caches', match: /^chartroom_cache_bytes/ },
    ],
  },
  { title: 'Processor', lines: [{ name: 'cores in use', match: /^chartroom_process_cpu_seconds_total$/ }] },
  {
    title: 'Busy threads',
    lines: [{ name: 'busy', match: /^chartroom_jobs\{.*state="running".*\}/ }],
  },
  { title: 'Waiting jobs', lines: [{ name: 'waiting', match: /^chartroom_jobs\{.*state="queued".*\}/ }] },
  {
    title: 'Traffic',
    lines: [
      { name: 'in', match: /^chartroom_message_bytes_total\{.*direction="received".*\}/ },
      { name: 'out', match: /^chartroom_message_bytes_total\{.*direction="sent".*\}/ },
    ],
  },
  { title: 'Waiting to be sent', lines: [{ name: 'waiting', match: /^chartroom_outbox_bytes/ }] },
  {
    title: 'RPC messages',
    lines: [
      { name: 'messages', match: /^rpc_messages_total/ },
      { name: 'errors', match: /^rpc_errors_total/ },
    ],
  },
  { title: 'RPC calls at work', lines: [{ name: 'running', match: /^rpc_running/ }] },
  { title: 'HTTP requests', lines: [{ name: 'requests', match: /^chartroom_http_requests_total/ }] },
];

/**
 * How a metric's shown values are written.
 *
 * @param {string} name
 * @returns {(y: number) => string}
 */
export function formatOf(name) {
  const unit = unitOf(name);
  if (isCounter(name)) {
    if (unit === 'bytes') return byteRate;
    // Seconds of work per second of time: how many work at once.
    if (unit === 'seconds') return (y) => value(y, 3);
    return (y) => `${value(y, 3)}/s`;
  }
  if (unit === 'bytes') return bytes;
  if (unit === 'seconds') return (y) => duration(y * 1000);
  return (y) => value(y, 4);
}

/** @param {number} x milliseconds since 1970 */
const clock = (x) => new Date(x).toTimeString().slice(0, 8);

/**
 * Which charts can be drawn of the metrics that there are.
 *
 * @param {readonly string[]} names
 */
export function selected(names) {
  return SELECTION.flatMap(({ title, lines }) => {
    const found = lines
      .map(({ name, match }) => ({ name, metrics: names.filter((metric) => match.test(metric)) }))
      .filter(({ metrics }) => metrics.length > 0);
    return found.length > 0 ? [{ key: title, title, lines: found }] : [];
  });
}

/** @param {import('./server.js').Server} server @returns {import('./console.js').View} */
export function metricsView(server) {
  const record = new Record(SPAN / PERIOD);
  const problem = new Problem();
  const lead = h('p', { class: 'lead' }, 'Waiting for the first numbers …');
  const charts = h('div', { class: 'charts' });
  const filter = h('input', { type: 'search', placeholder: 'bytes, rpc, …', autocomplete: 'off', oninput: () => refresh() });
  const matches = h('p', { class: 'lead', role: 'status' });
  /** @type {Map<string, Chart>} */
  const drawn = new Map();
  const stored = recall(storage('local'), PINNED);
  const pinned = new Set(Array.isArray(stored) ? stored.filter((name) => typeof name === 'string') : []);
  let isShown = false;
  let at = 0;

  /** @type {LiveTable<string>} */
  const table = new LiveTable({
    caption: 'All metrics',
    empty: 'No metric has a name like that.',
    key: (name) => name,
    columns: [
      { title: 'Metric', isHeader: true, text: title, sort: title },
      { title: 'Value', kind: 'number', text: (name) => total(name), sort: (name) => record.points(name).at(-1)?.[1] },
      {
        title: 'Per second',
        kind: 'number',
        text: (name) => (isCounter(name) ? latest(name) : '–'),
        sort: (name) => (isCounter(name) ? record.shown(name).at(-1)?.[1] : undefined),
      },
      { title: 'Chart', kind: 'actions', fill: fillPin },
    ],
  });

  table.table.classList.add('compact');

  /** @param {string} name */
  function total(name) {
    const y = record.points(name).at(-1)?.[1];
    if (typeof y !== 'number') return '–';
    const unit = unitOf(name);
    if (unit === 'bytes') return bytes(y);
    return unit === 'seconds' ? duration(y * 1000) : value(y);
  }

  /** @param {string} name */
  function latest(name) {
    const y = rateNow(name);
    return typeof y === 'number' ? formatOf(name)(y) : '–';
  }

  /** The last two points are enough. @param {string} name */
  function rateNow(name) {
    const [before, last] = record.points(name).slice(-2);
    if (!before || !last || before[1] === null || last[1] === null || last[1] < before[1]) return undefined;
    return ((last[1] - before[1]) * 1000) / (last[0] - before[0]);
  }

  /** @param {HTMLElement} cell @param {string} name */
  function fillPin(cell, name) {
    const button = cell.querySelector('button') ?? cell.appendChild(h('button', { type: 'button', class: 'small', onclick: () => pin(name) }, 'Chart'));
    button.setAttribute('aria-pressed', String(pinned.has(name)));
    button.setAttribute('aria-label', `Chart of ${title(name)}`);
  }

  /** @param {string} name */
  function pin(name) {
    if (!pinned.delete(name)) pinned.add(name);
    remember(storage('local'), PINNED, [...pinned]);
    refresh();
  }

  function refresh() {
    if (!isShown || at === 0) return;
    const { names } = record;
    const wanted = [
      ...selected(names),
      ...[...pinned].filter((name) => names.includes(name)).map((name) => ({ key: `pinned ${name}`, title: title(name), lines: [{ name: title(name), metrics: [name] }] })),
    ];
    const keys = new Set(wanted.map(({ key }) => key));
    for (const [key, chart] of drawn) {
      if (keys.has(key)) continue;
      chart.element.remove();
      drawn.delete(key);
    }
    for (const { key, title, lines } of wanted) {
      const chart = drawn.get(key) ?? add(key, title, lines[0]?.metrics[0] ?? '');
      const series = lines.map(({ name, metrics }) => ({ name, points: record.sum(metrics) }));
      chart.draw({ series, x: { low: at - SPAN, high: at }, fromZero: true });
    }
    const words = filter.value.toLowerCase().split(/\s+/);
    const found = names.filter((name) => words.every((word) => name.toLowerCase().includes(word) || title(name).toLowerCase().includes(word)));
    table.update(found);
    write(matches, filter.value ? `${found.length} of ${counted(names.length, 'metric')}` : counted(names.length, 'metric'));
  }

  /** @param {string} key @param {string} title @param {string} metric */
  function add(key, title, metric) {
    const chart = new Chart({ title, xTitle: 'Time', formatX: clock, formatY: formatOf(metric), isBinary: unitOf(metric) === 'bytes' });
    drawn.set(key, chart);
    charts.append(chart.element);
    return chart;
  }

  /** @param {{ at: string | number, values: {[name: string]: number} }} update */
  function take(update) {
    at = date(update.at)?.getTime() ?? Date.now();
    record.add(at, update.values);
    problem.show(undefined);
    write(lead, 'The last five minutes since this page was opened, once a second.');
    refresh();
  }

  // From the start, and also while other views are shown: a chart without a past says little.
  server.watch('chartroom.server@1', 'metrics', { periodMs: PERIOD }, take, (error) => {
    record.interrupt(at + 1);
    problem.show(`There are no new numbers. ${sentence(error)}`);
  });

  return {
    element: h(
      'div',
      {},
      lead,
      problem.element,
      charts,
      h('h2', {}, 'All metrics'),
      h('div', { class: 'toolbar' }, field('Filter', filter), matches),
      table.element,
    ),
    show() {
      isShown = true;
      refresh();
    },
    hide: () => void (isShown = false),
  };
}
