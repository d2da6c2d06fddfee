/**
 * What callers can say.
 */

/** @import { Environment } from '../resumable-socket/environment.js' */
/** @import { Frame, Route } from './envelope.js' */

/**
 * @typedef {object} ConnectOptions
 * @property {any} [settings] what GET /settings says; defaults stand in for what it does not
 * @property {{payload?: any}} [hello] more of the `hello` message, such as `{payload: {viewId, viewToken}}`
 * @property {string} [token] kept for the page; only `bootstrap()` says it to the server
 * @property {'auto' | 'plain'} [transport] `auto`: one that survives its connection, if the server speaks it
 * @property {typeof WebSocket} [WebSocket] another class than the global one
 * @property {Partial<Environment>} [environment] clock, timers, chance and the page's life, which tests replace
 */

/**
 * @typedef {object} CommonOptions
 * @property {string} [idempotencyKey] calls of one principal with the same key are one call. Such a call is sent again
 * if the connection was lost before its outcome came
 * @property {boolean} [retry] send it again after such a loss, with a key of our own; or do not although it has a key
 * @property {AbortSignal} [signal] settles the call at once, and cancels it
 * @property {any} [origin] in whose name the call is made: `{modId, modVersion}`
 * @property {number} [budgetMs] how long it may take
 * @property {string} [class] `request.fast`, `request.medium` or `request.heavy`, instead of a budget
 * @property {any} [priority] has no effect: a lane keeps its order
 */

/**
 * @typedef {object} OwnRequestOptions
 * @property {(progress: number, frame: Frame) => void} [onProgress] how far the work has come, from 0 to 1
 *
 * @typedef {CommonOptions & OwnRequestOptions} RequestOptions
 */

/**
 * @typedef {object} OwnEmitOptions
 * @property {boolean} [noAck] do not wait for the acknowledgement, nor for being sent
 *
 * @typedef {CommonOptions & OwnEmitOptions} EmitOptions
 */

/**
 * What is asked for.
 * @typedef {object} Invocation
 * @property {Route | string} route `{capability}` or `{object}`; a string names a capability
 * @property {string} [path]
 * @property {string} [op] `call` unless something else is given: `get`, `set` or `snapshot` of an object
 * @property {any[]} [args] positional arguments
 */

/**
 * The server was restarted, or does not know the page's view any more: what the page shows may be of yesterday.
 * @typedef {object} Restart
 * @property {string | undefined} viewId
 * @property {string | undefined} previousViewId
 * @property {boolean} isNewView
 */

export {};
