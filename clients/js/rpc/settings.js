/**
 * What a server tells its pages about itself, at GET /settings.
 */

/**
 * How long something may take.
 * @typedef {object} TimeoutClass
 * @property {number} serviceTtlMs for the server to answer
 * @property {number} clientPatienceExtraMs for the way there and back
 */

/**
 * The parts that the client reads; a server may tell more.
 * @typedef {object} Settings
 * @property {Protocol} protocol
 * @property {{initialDelayMs: number, maxDelayMs: number, factor: number}} reconnect
 * @property {{classes: Record<string, any>}} timeouts of {@link TimeoutClass}, by names such as `request.fast`
 * @property {{timeoutCapMs: number}} http
 * @property {any} [debug] `debug.frontend.rpc` holds the rules of the log
 */

/**
 * @typedef {object} Protocol
 * @property {number} ackWaitMs for an acknowledgement; on a slow connection it is waited for longer
 * @property {number} maxInFlightPerLane messages of a lane that are sent and not answered
 * @property {number} maxQueue messages that wait in a lane
 * @property {number} maxOfflineQueue messages that wait in all lanes together
 * @property {number} maxQueueBytes of them
 * @property {number} maxFrameBytes of a message
 * @property {number} heartbeatMs between signs of life
 */

/**
 * Settings for a server that tells none.
 * @returns {Settings}
 */
export function defaultSettings() {
  return {
    protocol: {
      ackWaitMs: 250,
      maxInFlightPerLane: 64,
      maxQueue: 1024,
      maxOfflineQueue: 2000,
      maxQueueBytes: 8 * 1024 * 1024,
      maxFrameBytes: 1_000_000,
      heartbeatMs: 5000,
    },
    reconnect: { initialDelayMs: 500, maxDelayMs: 15_000, factor: 2 },
    timeouts: {
      classes: {
        'request.fast': { serviceTtlMs: 800, clientPatienceExtraMs: 150 },
        'request.medium': { serviceTtlMs: 3000, clientPatienceExtraMs: 200 },
        'request.heavy': { serviceTtlMs: 30_000, clientPatienceExtraMs: 250 },
      },
    },
    http: { timeoutCapMs: 30_000 },
  };
}

/**
 * What a server told, with defaults for what it did not.
 * @param {any} [told]
 * @returns {Settings}
 */
export function completeSettings(told) {
  return merge(defaultSettings(), told);
}

/**
 * @param {any} base
 * @param {any} over
 * @returns {any} a new object; only plain objects are merged
 */
function merge(base, over) {
  if (!isPlain(base) || !isPlain(over)) return over ?? base;
  const result = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (key !== '__proto__') result[key] = merge(base[key], value);
  }
  return result;
}

/** @param {any} value */
function isPlain(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const MEDIUM = 'request.medium';

/**
 * How long a call may take, in milliseconds: what the server is told, and how long its answer is waited for once the
 * call has been sent. The cap is for classes only: who says a number means it.
 * @param {Settings} settings
 * @param {{budgetMs?: number, class?: string}} options
 * @returns {{budgetMs: number, waitMs: number}}
 */
export function budgetOf({ timeouts, http }, options) {
  const name = options.class ?? MEDIUM;
  const { classes } = timeouts;
  const found = find(classes, name) ?? find(classes, MEDIUM);
  const { serviceTtlMs = 3000, clientPatienceExtraMs = 200 } = found ?? {};
  const budgetMs = Math.max(1, Math.floor(options.budgetMs ?? Math.min(serviceTtlMs, http.timeoutCapMs)));
  return { budgetMs, waitMs: budgetMs + clientPatienceExtraMs };
}

/**
 * Some servers have the names flat, and some a level for each of their parts.
 * @param {any} classes
 * @param {string} name
 * @returns {Partial<TimeoutClass> | undefined}
 */
function find(classes, name) {
  return classes[name] ?? getByPath(classes, name);
}

/**
 * @param {any} object
 * @param {string} path with dots or slashes
 * @returns {any} undefined if it is not there
 */
export function getByPath(object, path) {
  return `${path}`.split(/[./]/).reduce((value, key) => (Object.hasOwn(Object(value), key) ? value[key] : undefined), object);
}
