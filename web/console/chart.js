/**
 * A small chart of lines or bars in SVG, with its meaning in words, its values under the pointer, and as a table.
 */

import { h, svg, write } from './dom.js';
import { barPath, extent, linePath, linear, nearest, summary, thin, ticks } from './scale.js';

/** @typedef {import('./scale.js').Point} Point @typedef {import('./scale.js').Range} Range */

/** The inner size of the drawing; it is stretched to whatever place there is, and strokes are not. */
const WIDTH = 600;
const HEIGHT = 200;

/** Points of a line that can be told apart on a screen. */
const MOST_POINTS = 1200;

/** Rows of the table; more would be too many to read. */
const MOST_ROWS = 150;

/**
 * @typedef {object} Options
 * @property {string} title
 * @property {'lines' | 'bars'} [kind]
 * @property {number} [level] of its heading
 * @property {(x: number) => string} formatX
 * @property {(y: number) => string} formatY
 * @property {string} xTitle what x is, for the table
 * @property {boolean} [isBinary] whether y is in bytes, and its marks round in binary units
 * @property {HTMLElement} [action] a button beside the title
 *
 * @typedef {object} Drawing
 * @property {{ name: string, points: readonly Point[] }[]} series each shown in a colour of its own
 * @property {Range} [x] what is shown of x; otherwise what there is
 * @property {boolean} [fromZero] whether y begins at zero
 * @property {number} [barWidth] in units of x
 * @property {string} [now] what stands beside the title; otherwise the last value of the first line
 */

export class Chart {
  #options;
  /** @type {Drawing} */
  #drawing = { series: [] };
  #value = h('output', { class: 'now' });
  #plot = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' });
  #grid = svg('path', { class: 'grid' });
  #lines = svg('g');
  #cursor = svg('path', { class: 'cursor' });
  #yLabels = h('div', { class: 'y-labels', 'aria-hidden': true });
  #xLabels = h('div', { class: 'x-labels', 'aria-hidden': true });
  #legend = h('ul', { class: 'legend', 'aria-hidden': true });
  #body = h('tbody');
  #head = h('tr');
  #details;
  /** @type {((x: number) => number) | undefined} */
  #toX;
  /** @type {Range} */
  #x = { low: 0, high: 1 };

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    const { title, level = 3, action } = options;
    const heading = level === 2 ? h('h2', {}, title) : h('h3', {}, title);
    this.#value.setAttribute('aria-live', 'off');
    this.#plot.append(this.#grid, this.#lines, this.#cursor);
    this.#plot.addEventListener('pointermove', (event) => this.#point(event));
    this.#plot.addEventListener('pointerleave', () => this.#point(undefined));
    this.#details = h(
      'details',
      { ontoggle: () => this.#fillTable() },
      h('summary', {}, 'Values', h('span', { class: 'unseen' }, ` of ${title}`)),
      h('div', { class: 'scroll short', tabindex: 0, role: 'group', 'aria-label': `Values of ${title}` }, h('table', { class: 'plain' }, h('thead', {}, this.#head), this.#body)),
    );
    this.element = h(
      'figure',
      { class: `chart ${options.kind ?? 'lines'}` },
      h('figcaption', {}, heading, this.#value, action),
      h('div', { class: 'plot' }, this.#yLabels, this.#plot, this.#xLabels),
      this.#legend,
      this.#details,
    );
  }

  /** @param {Drawing} drawing */
  draw(drawing) {
    this.#drawing = drawing;
    const { series, fromZero = false } = drawing;
    const { formatX, formatY, kind } = this.#options;
    const barWidth = kind === 'bars' ? (drawing.barWidth ?? 1) : 0;
    const xs = extent(series.flatMap(({ points }) => [points[0]?.[0] ?? null, points.at(-1)?.[0] ?? null]));
    this.#x = drawing.x ?? (xs ? { low: xs.low, high: xs.high + barWidth } : { low: 0, high: 1 });
    const ys = extent(series.flatMap(({ points }) => points.map(([, y]) => y))) ?? { low: 0, high: 1 };
    const marks = ticks(fromZero ? { low: Math.min(0, ys.low), high: ys.high || 1 } : ys, 3, this.#options.isBinary);
    const y = { low: marks[0] ?? 0, high: marks.at(-1) ?? 1 };
    const toX = linear(this.#x, { low: 0, high: WIDTH });
    const toY = linear(y, { low: HEIGHT - 1, high: 1 });
    this.#toX = toX;

    this.#grid.setAttribute('d', marks.map((mark) => `M0,${toY(mark).toFixed(1)}H${WIDTH}`).join(''));
    this.#label(this.#yLabels, marks.map((mark) => [formatY(mark), 'top', toY(mark) / HEIGHT]));
    this.#label(this.#xLabels, [
      [formatX(this.#x.low), 'left', 0],
      [formatX(this.#x.high), 'left', 1],
    ]);
    const paths = series.map(({ points }, i) => {
      const d = kind === 'bars' ? barPath(points, barWidth, toX, toY, y.low) : linePath(thin(points, MOST_POINTS), toX, toY);
      return svg('path', { d, class: `series series-${i % 6}` });
    });
    this.#lines.replaceChildren(...paths);
    this.#legend.hidden = series.length < 2;
    const names = series.map(({ name }) => name).join('\n');
    if (this.#legend.dataset['names'] !== names) {
      this.#legend.dataset['names'] = names;
      this.#legend.replaceChildren(...series.map(({ name }, i) => h('li', { class: `series-${i % 6}` }, name)));
    }
    this.#plot.setAttribute('aria-label', series.map(({ name, points }) => summary(name, points, formatY)).join('; '));
    if (!this.#cursor.hasAttribute('d')) this.#showNow();
    if (this.#details.open) this.#fillTable();
  }

  /** @param {HTMLElement} place @param {[text: string, side: 'top' | 'left', fraction: number][]} labels */
  #label(place, labels) {
    while (place.childElementCount > labels.length) place.lastElementChild?.remove();
    labels.forEach(([text, side, fraction], i) => {
      const label = /** @type {HTMLElement} */ (place.children[i] ?? place.appendChild(h('span')));
      write(label, text);
      label.style[side] = `${fraction * 100}%`;
    });
  }

  #showNow() {
    const { series, now } = this.#drawing;
    const last = (/** @type {readonly Point[]} */ points) => points.findLast(([, y]) => y !== null)?.[1];
    const values = series.map(({ points }) => last(points)).map((y) => (typeof y === 'number' ? this.#options.formatY(y) : '–'));
    write(this.#value, now ?? values.join(' · '));
  }

  /** @param {PointerEvent | undefined} event */
  #point(event) {
    const { series } = this.#drawing;
    const box = this.#plot.getBoundingClientRect();
    const x = event && box.width > 0 ? this.#x.low + ((event.clientX - box.left) / box.width) * (this.#x.high - this.#x.low) : undefined;
    const half = this.#options.kind === 'bars' ? (this.#drawing.barWidth ?? 1) / 2 : 0;
    const found = x === undefined ? [] : series.map(({ points }) => nearest(points, x - half));
    const [first] = found;
    if (!first || !this.#toX) {
      this.#cursor.removeAttribute('d');
      this.#showNow();
      return;
    }
    this.#cursor.setAttribute('d', `M${this.#toX(first[0] + half).toFixed(1)},0V${HEIGHT}`);
    const values = found.map((point) => (typeof point?.[1] === 'number' ? this.#options.formatY(point[1]) : '–'));
    write(this.#value, `${this.#options.formatX(first[0])}: ${values.join(' · ')}`);
  }

  #fillTable() {
    if (!this.#details.open) return;
    const { series } = this.#drawing;
    const { formatX, formatY, xTitle } = this.#options;
    const longest = series.reduce((most, { points }) => (points.length > most.length ? points : most), /** @type {readonly Point[]} */ ([]));
    const step = Math.max(1, Math.ceil(longest.length / MOST_ROWS));
    this.#head.replaceChildren(...[xTitle, ...series.map(({ name }) => name)].map((text) => h('th', { scope: 'col' }, text)));
    const byX = series.map(({ points }) => new Map(points));
    const rows = longest
      .filter((_, i) => (longest.length - 1 - i) % step === 0)
      .map(([x]) =>
        h(
          'tr',
          {},
          h('th', { scope: 'row' }, formatX(x)),
          byX.map((points) => {
            const y = points.get(x);
            return h('td', { class: 'number' }, typeof y === 'number' ? formatY(y) : '–');
          }),
        ),
      );
    this.#body.replaceChildren(...rows);
  }
}
