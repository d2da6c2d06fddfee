/**
 * Events that are properties: `rpc.onWelcome.add(listener)`, or `rpc.onWelcome = listener`, which adds as well.
 */

/**
 * Removes a listener when it is called, or when its `unsubscribe` is.
 * @typedef {{(): boolean, unsubscribe: () => boolean}} Handle
 */

/**
 * @template {any[]} [Arguments=any[]]
 * @typedef {object} Emitter
 * @property {(listener: (...values: Arguments) => void) => Handle} add
 * @property {(listener: (...values: Arguments) => void) => Handle} once the same, for one event only
 * @property {(listenerOrHandle: Function) => boolean} remove whether there was something to remove; a listener is removed
 * wherever it was added
 * @property {(...values: Arguments) => void} emit calls all listeners in the order in which they were added
 * @property {() => number} size how many listeners there are
 */

/**
 * A listener that throws does not keep the others from being called; what it threw is written on the console.
 * @template {any[]} [Arguments=any[]]
 * @returns {Emitter<Arguments>}
 */
export function createEmitter() {
  /** By handle. @type {Map<Function, {listener: Function, isOnce: boolean}>} */
  const entries = new Map();

  /**
   * @param {Function} listener
   * @param {boolean} isOnce
   */
  const add = (listener, isOnce) => {
    if (typeof listener !== 'function') throw new TypeError('A listener must be a function.');
    const handle = () => entries.delete(handle);
    handle.unsubscribe = handle;
    entries.set(handle, { listener, isOnce });
    return handle;
  };

  return {
    add: (listener) => add(listener, false),
    once: (listener) => add(listener, true),
    remove(listenerOrHandle) {
      let isRemoved = entries.delete(listenerOrHandle);
      for (const [handle, { listener }] of entries) {
        if (listener === listenerOrHandle) isRemoved = entries.delete(handle);
      }
      return isRemoved;
    },
    emit(...values) {
      for (const [handle, { listener, isOnce }] of [...entries]) {
        if (!entries.has(handle)) continue;
        if (isOnce) entries.delete(handle);
        callSafely(() => listener(...values));
      }
    },
    size: () => entries.size,
  };
}

/**
 * Makes an emitter a property to which listeners can be assigned.
 * @template {object} Owner
 * @param {Owner} owner
 * @param {string} name
 * @param {Emitter<any>} emitter
 * @returns {Owner}
 */
export function defineEventProperty(owner, name, emitter) {
  return Object.defineProperty(owner, name, {
    get: () => emitter,
    set: (listener) => void emitter.add(listener),
    enumerable: true,
    configurable: true,
  });
}

/**
 * Calls what belongs to somebody else.
 * @param {() => void} action
 */
export function callSafely(action) {
  try {
    action();
  } catch (error) {
    console.error(error);
  }
}
