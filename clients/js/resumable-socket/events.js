/**
 * The parts of DOM events that WebSockets need and that not every runtime has.
 */

class OwnCloseEvent extends Event {
  /**
   * @param {string} type
   * @param {CloseEventInit} init
   */
  constructor(type, { code = 0, reason = '', wasClean = false, ...init }) {
    super(type, init);
    this.code = code;
    this.reason = reason;
    this.wasClean = wasClean;
  }
}

/**
 * @param {number} code
 * @param {string} reason
 * @param {boolean} wasClean
 * @returns {CloseEvent}
 */
export function closeEvent(code, reason, wasClean) {
  // Node.js has had a CloseEvent since version 23 only.
  const Class = globalThis.CloseEvent ?? OwnCloseEvent;
  return /** @type {CloseEvent} */ (new Class('close', { code, reason, wasClean }));
}

/**
 * Event handler properties such as `onopen`, as https://html.spec.whatwg.org/#event-handler-attributes has them:
 * a handler takes its turn among the listeners from when it was first set, and setting another keeps that turn.
 */
export class Handlers {
  #target;
  /** @type {Map<string, {handler: object, listener: (event: Event) => void}>} */
  #handlers = new Map();

  /** @param {EventTarget} target */
  constructor(target) {
    this.#target = target;
  }

  /**
   * @param {string} type
   * @returns {any}
   */
  get(type) {
    return this.#handlers.get(type)?.handler ?? null;
  }

  /**
   * @param {string} type
   * @param {unknown} handler anything but an object or a function stands for null
   */
  set(type, handler) {
    const entry = this.#handlers.get(type);
    const isObject = typeof handler === 'function' || (typeof handler === 'object' && handler !== null);
    if (!isObject) {
      if (entry) this.#target.removeEventListener(type, entry.listener);
      this.#handlers.delete(type);
      return;
    }
    if (entry) {
      entry.handler = handler;
      return;
    }
    const listener = (/** @type {Event} */ event) => {
      const current = this.get(type);
      if (typeof current === 'function') current.call(this.#target, event);
    };
    this.#handlers.set(type, { handler, listener });
    this.#target.addEventListener(type, listener);
  }
}
