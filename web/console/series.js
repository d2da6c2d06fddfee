/**
 * Numbers over time: a bounded history of metrics, and rates from counters. Nothing here touches the page.
 */

/** @typedef {import('./scale.js').Point} Point */

/** What is counted up and never down, and therefore shown as a rate: the naming convention of Prometheus. */
const COUNTER = /_(?:total|count|sum)(?:\{|$)/;

/** Over how many points the rate of a counter is taken, so that requests here and there make no saw. */
const STEPS = 5;

/** @param {string} name of a metric, with its labels */
export const isCounter = (name) => COUNTER.test(name);

/** @param {string} name @returns {'bytes' | 'seconds' | 'fraction' | 'number'} */
export function unitOf(name) {
  const [base = ''] = name.split('{');
  if (/bytes/.test(base)) return 'bytes';
  if (/seconds/.test(base) && !/_count$/.test(base)) return 'seconds';
  if (/(?:ratio|fraction)$/.test(base)) return 'fraction';
  return 'number';
}

/**
 * A metric's name as people read it: `chartroom_outbox_bytes{lane="a"}` is `outbox bytes (lane a)`.
 *
 * @param {string} name
 */
export function title(name) {
  const [base = '', labels = ''] = name.split(/[{}]/);
  const words = base.replace(/^chartroom_/, '').replace(/_total$/, '').replaceAll('_', ' ');
  const said = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, label]) => `${key} ${label}`);
  return said.length > 0 ? `${words} (${said.join(', ')})` : words;
}

/** What became of all metrics during the last while. */
export class Record {
  /** @type {Map<string, Point[]>} */
  #values = new Map();
  #capacity;

  /** @param {number} capacity points that are kept of each metric */
  constructor(capacity) {
    this.#capacity = capacity;
  }

  /** Names of all metrics that have been seen, in order. */
  get names() {
    return [...this.#values.keys()].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  }

  /**
   * Adds what is known at a time. Metrics that were known and are missing get a gap.
   *
   * @param {number} at milliseconds since 1970; what is not later than before is left out
   * @param {Readonly<{[name: string]: number | null}>} values
   */
  add(at, values) {
    for (const name of Object.keys(values)) if (!this.#values.has(name)) this.#values.set(name, []);
    for (const [name, points] of this.#values) {
      if ((points.at(-1)?.[0] ?? -Infinity) >= at) continue;
      points.push([at, values[name] ?? null]);
      if (points.length > this.#capacity) points.shift();
    }
  }

  /** Marks that what comes next does not continue what was: another process counts from zero. @param {number} at */
  interrupt(at) {
    this.add(at, {});
  }

  /** @param {string} name @returns {readonly Point[]} */
  points(name) {
    return this.#values.get(name) ?? [];
  }

  /** The points of a metric as they are shown: those of a counter as a rate per second. @param {string} name */
  shown(name) {
    return isCounter(name) ? rates(this.points(name), STEPS) : this.points(name);
  }

  /**
   * The sum of several metrics as they are shown; where one is missing, of the others.
   *
   * @param {readonly string[]} names
   * @returns {readonly Point[]}
   */
  sum(names) {
    if (names.length === 1) return this.shown(names[0] ?? '');
    /** @type {Map<number, number | null>} */
    const sums = new Map();
    for (const name of names) {
      for (const [at, y] of this.shown(name)) {
        const before = sums.get(at) ?? null;
        sums.set(at, y === null ? before : (before ?? 0) + y);
      }
    }
    return [...sums].sort(([a], [b]) => a - b);
  }
}

/**
 * How much a counter grew per second, at each point but the first. A counter that fell was started again: a gap.
 *
 * @param {readonly Point[]} points times in milliseconds
 * @param {number} [steps] over so many points each is taken, or fewer after a gap; more make a calmer line
 * @returns {Point[]}
 */
export function rates(points, steps = 1) {
  let start = 0;
  return points.slice(1).map(([at, y], i) => {
    const before = points[i]?.[1] ?? null;
    if (y === null || before === null || y < before) {
      start = i + 1;
      return [at, null];
    }
    const [since, earlier] = points[Math.max(start, i + 1 - steps)] ?? [at, null];
    return [at, at > since ? ((y - (earlier ?? 0)) * 1000) / (at - since) : null];
  });
}

/** Rates of many counters that are told from time to time, over a few seconds each, so that they can be read. */
export class Meter {
  /** @type {Map<unknown, Point[]>} */
  #told = new Map();
  #window;

  /** @param {number} window milliseconds over which a rate is taken */
  constructor(window = 3000) {
    this.#window = window;
  }

  /**
   * Takes a counter's value, and gives how much it grows per second.
   *
   * @param {unknown} key
   * @param {number} at milliseconds
   * @param {number} count
   * @returns {number | undefined} nothing until there are two values
   */
  take(key, at, count) {
    const told = (this.#told.get(key) ?? []).filter(([, y]) => (y ?? 0) <= count);
    told.push([at, count]);
    // The oldest that is kept is just outside of the window, unless there is none.
    while (told.length > 2 && (told[1]?.[0] ?? at) <= at - this.#window) told.shift();
    this.#told.set(key, told);
    const [start, first] = told[0] ?? [at, count];
    return at > start ? ((count - (first ?? 0)) * 1000) / (at - start) : undefined;
  }

  /** Forgets all but these. @param {Iterable<unknown>} keys */
  keep(keys) {
    const kept = new Set(keys);
    for (const key of this.#told.keys()) if (!kept.has(key)) this.#told.delete(key);
  }
}
