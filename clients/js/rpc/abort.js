/**
 * Signals of callers.
 */

import { createEmitter } from './emitter.js';

/** @import { Emitter } from './emitter.js' */

/** By signal: what is to be done when it is aborted. @type {WeakMap<AbortSignal, Emitter<[]>>} */
const watched = new WeakMap();

/**
 * Does something when a signal is aborted. Many calls may share a signal, which has one listener for all of them: Node.js
 * warns of more than ten.
 * @param {AbortSignal} signal that is not aborted
 * @param {() => void} action
 * @returns {() => void} takes it back
 */
export function onAbort(signal, action) {
  const actions = watched.get(signal) ?? createEmitter();
  if (actions.size() === 0) {
    watched.set(signal, actions);
    signal.addEventListener('abort', actions.emit);
  }
  const remove = actions.once(action);
  return () => {
    remove();
    if (actions.size() === 0) signal.removeEventListener('abort', actions.emit);
  };
}
