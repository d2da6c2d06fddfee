/**
 * What a page remembers in the browser: which tab it is, and the last generation of its view. Storage may be forbidden
 * or full; then it is done without.
 */

import { uuidv7 } from './uuid.js';

const INSTANCE = 'clientInstanceId';

/**
 * The id of this tab. It survives reloads; a duplicate of the tab gets one of its own.
 *
 * Browsers copy sessionStorage to the duplicate of a tab. So the id is there only between two loads of the page: it is
 * taken out on arrival and put back on leaving.
 * @param {any} scope the page's window, or what stands for it
 * @returns {string}
 */
export function instanceIdOf(scope) {
  const id = attempt(() => scope.sessionStorage?.getItem(INSTANCE)) ?? uuidv7();
  const keep = () => void attempt(() => scope.sessionStorage?.setItem(INSTANCE, id));
  const take = () => void attempt(() => scope.sessionStorage?.removeItem(INSTANCE));
  if (!scope.document) {
    keep();
    return id;
  }
  take();
  scope.addEventListener('pagehide', keep);
  scope.addEventListener('pageshow', take);
  return id;
}

/**
 * @param {any} scope
 * @param {string} viewId
 * @returns {number} 0 if none is known
 */
export function lastGeneration(scope, viewId) {
  return Number(attempt(() => scope.localStorage?.getItem(`gen:${viewId}`))) || 0;
}

/**
 * @param {any} scope
 * @param {string} viewId
 * @param {number} number
 */
export function rememberGeneration(scope, viewId, number) {
  attempt(() => scope.localStorage?.setItem(`gen:${viewId}`, String(number)));
}

/**
 * @template T
 * @param {() => T} action
 * @returns {T | undefined}
 */
function attempt(action) {
  try {
    return action();
  } catch (error) {
    console.warn('The browser does not let the page store anything.', error);
    return undefined;
  }
}
