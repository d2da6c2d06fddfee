/**
 * What a resumable socket needs of the world around it. Tests hand in another world.
 */

/**
 * What moments of the page's life mean for its links.
 * @typedef {object} Moments
 * @property {() => void} wake the page is visible, back, or online again
 * @property {() => void} leave the page is going away, perhaps for good
 */

/**
 * @typedef {object} Environment
 * @property {typeof WebSocket} WebSocket the browser's own
 * @property {() => number} now milliseconds by a clock that goes on while the machine sleeps
 * @property {(action: () => void, milliseconds: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {() => number} random uniform in [0, 1)
 * @property {() => string | undefined} base what relative URLs are relative to
 * @property {(moments: Moments) => () => void} observe calls back until the returned function is called
 */

/**
 * The world of a page, or of a program without one.
 * @param {typeof globalThis} scope
 * @returns {Environment}
 */
export function environmentOf(scope) {
  return {
    // Taken now: later this may be the name of our own class.
    WebSocket: scope.WebSocket,
    now: () => Date.now(),
    setTimeout: (action, milliseconds) => scope.setTimeout(action, milliseconds),
    clearTimeout: (timer) => scope.clearTimeout(timer),
    random: () => Math.random(),
    base: () => scope.document?.baseURI ?? scope.location?.href,
    observe: (moments) => observe(scope, moments),
  };
}

/**
 * @param {typeof globalThis} scope
 * @param {Moments} moments
 */
function observe(scope, { wake, leave }) {
  const { document } = scope;
  const wakeIfVisible = () => {
    if (document.visibilityState === 'visible') wake();
  };
  /** @type {[EventTarget | undefined, string, () => void][]} */
  const listeners = [
    [scope.window, 'online', wake],
    [scope.window, 'pageshow', wake],
    [scope.window, 'pagehide', leave],
    [document, 'visibilitychange', wakeIfVisible],
    // The end of a freeze: https://wicg.github.io/page-lifecycle/
    [document, 'resume', wake],
  ];
  for (const [target, type, listener] of listeners) target?.addEventListener(type, listener);
  return () => {
    for (const [target, type, listener] of listeners) target?.removeEventListener(type, listener);
  };
}
