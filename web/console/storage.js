/**
 * What the page remembers. A browser that refuses to store costs only the memory, never the page.
 *
 * @typedef {Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>} Store
 */

/** @param {Store | undefined} store @param {string} key @returns {unknown} nothing if it is not there or unreadable */
export function recall(store, key) {
  try {
    const text = store?.getItem(key);
    return text ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

/** @param {Store | undefined} store @param {string} key @param {unknown} value nothing to forget it */
export function remember(store, key, value) {
  try {
    if (value === undefined) store?.removeItem(key);
    else store?.setItem(key, JSON.stringify(value));
  } catch {
    // Full, or forbidden.
  }
}

/** The storage of a kind; reading the property throws where it is forbidden. @param {'local' | 'session'} kind */
export function storage(kind) {
  try {
    return kind === 'local' ? globalThis.localStorage : globalThis.sessionStorage;
  } catch {
    return undefined;
  }
}

/**
 * The newest of things that were done, the newest first. The same thing again moves to the front.
 *
 * @template T
 */
export class History {
  /** @type {T[]} */
  #entries;
  #store;
  #key;
  #capacity;
  #identity;

  /**
   * @param {Store | undefined} store
   * @param {string} key
   * @param {object} options
   * @param {number} options.capacity
   * @param {(entry: T) => string} options.identity entries with the same are the same thing
   * @param {(entry: unknown) => entry is T} options.isEntry what else is stored is ignored
   */
  constructor(store, key, { capacity, identity, isEntry }) {
    this.#store = store;
    this.#key = key;
    this.#capacity = capacity;
    this.#identity = identity;
    const stored = recall(store, key);
    this.#entries = Array.isArray(stored) ? stored.filter(isEntry).slice(0, capacity) : [];
  }

  /** @returns {readonly T[]} */
  get entries() {
    return this.#entries;
  }

  /** @param {T} entry */
  add(entry) {
    const same = this.#identity(entry);
    const others = this.#entries.filter((other) => this.#identity(other) !== same);
    this.#entries = [entry, ...others].slice(0, this.#capacity);
    remember(this.#store, this.#key, this.#entries);
  }

  clear() {
    this.#entries = [];
    remember(this.#store, this.#key, undefined);
  }
}
