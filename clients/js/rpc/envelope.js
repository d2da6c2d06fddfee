/**
 * The envelope: one JSON object for each text frame, the same in both directions.
 */

import { utf8Length } from '../resumable-socket/address.js';

/** The schema version of messages. */
export const VERSION = '0.1';

/** The lane of messages that control the connection. */
export const SYSTEM_LANE = 'sys';

/** The lane of messages that name none, and from which none follows. */
const NO_LANE = 'noLaneSet';

/**
 * What a message is for.
 * @typedef {object} Route
 * @property {string | null} [capability] `family@version`
 * @property {string | null} [object] the id of an object
 */

/**
 * One period of a connection: each hello begins a new one.
 * @typedef {object} Generation
 * @property {number} num
 * @property {string} salt
 */

/**
 * @typedef {'ack' | 'heartbeat' | 'hello' | 'welcome' | 'clientReady' | 'request' | 'emit' | 'reply' | 'subscribe' |
 *   'stateUpdate' | 'unsubscribe' | 'cancel' | 'error'} FrameType
 */

/**
 * A message as it is on the wire.
 * @typedef {object} Frame
 * @property {string} v
 * @property {string} id
 * @property {FrameType} type
 * @property {Generation | null} [gen]
 * @property {string | null} [correlatesTo]
 * @property {number} [ts]
 * @property {string} [lane]
 * @property {number | null} [budgetMs]
 * @property {any} [job]
 * @property {string | null} [idempotencyKey]
 * @property {Route | null} [route]
 * @property {string | null} [op]
 * @property {string | null} [path]
 * @property {any[] | null} [args]
 * @property {number | null} [seq]
 * @property {any} [origin]
 * @property {number | boolean | null} [final]
 * @property {any} [payload]
 */

/**
 * What a sender says; the rest of the envelope is written when it leaves.
 * @typedef {Omit<Frame, 'v' | 'id' | 'gen' | 'ts' | 'seq'>} Draft
 */

/**
 * @param {Route | string} route
 * @returns {Route}
 */
export function routeOf(route) {
  if (typeof route === 'string') return { capability: route };
  if (typeof route !== 'object' || route === null) throw new TypeError('A route is needed: {capability} or {object}.');
  return route;
}

/**
 * Within a lane, order is kept.
 * @param {Route | null | undefined} route
 * @param {string | null} [said] the lane that a message names, if it does
 */
export function laneOf(route, said) {
  if (said && said !== NO_LANE) return said;
  if (!route) return NO_LANE;
  if (route.capability) return `cap:${route.capability}`;
  return route.object ? `obj:${route.object}` : 'noValidRouteLane';
}

/**
 * @param {unknown} data of a WebSocket's message
 * @returns {Frame | undefined} nothing if it is no message
 */
export function read(data) {
  if (typeof data !== 'string') return undefined;
  try {
    const frame = JSON.parse(data);
    return typeof frame?.type === 'string' ? frame : undefined;
  } catch {
    return undefined;
  }
}

/**
 * A message that is ready but for what is only known when it leaves. It is written as JSON at once, so that its size is
 * known, and that it stays as it is whatever the caller does with the objects.
 */
export class Sealed {
  /** @param {Draft} draft */
  constructor(draft) {
    this.draft = draft;
    this.lane = draft.lane ?? SYSTEM_LANE;
    this.body = JSON.stringify({ ...draft, lane: this.lane, payload: draft.payload ?? {} });
    /** Bytes, with room for what is added when it leaves. */
    this.size = utf8Length(this.body) + 160;
  }
}

/** Writes envelopes. */
export class Writer {
  /** The present generation; there is none before the first welcome. @type {Generation | null} */
  generation = null;
  /** The last number of each lane. @type {Map<string, number>} */
  #numbers = new Map();

  /**
   * @param {Sealed} sealed
   * @param {string} id
   * @param {Generation | null} [generation]
   * @returns {string} the frame
   */
  write({ lane, body }, id, generation = this.generation) {
    const head = JSON.stringify({ v: VERSION, id, gen: generation, ts: Math.floor(performance.now()), ...this.#next(lane) });
    return `${head.slice(0, -1)},${body.slice(1)}`;
  }

  /** @param {string} lane */
  #next(lane) {
    if (lane === SYSTEM_LANE) return {};
    const seq = (this.#numbers.get(lane) ?? 0) + 1;
    this.#numbers.set(lane, seq);
    return { seq };
  }
}

/**
 * @param {Generation | null | undefined} one
 * @param {Generation | null | undefined} other
 */
export function isSameGeneration(one, other) {
  return one?.num === other?.num && one?.salt === other?.salt;
}
