/**
 * What this page offers to the server: capabilities that it can call, tell and subscribe to.
 */

import { payloadOf, RpcError } from './error.js';
import { callSafely } from './emitter.js';
import { laneOf } from './envelope.js';

/** @import { Draft, Frame } from './envelope.js' */

/**
 * Who asks, and how to know that the answer is not wanted any more.
 * @typedef {object} CallContext
 * @property {string} id of the message
 * @property {any} origin in whose name it was sent
 * @property {any} payload named arguments
 * @property {AbortSignal} signal aborted when the server cancels, or the connection is lost for good
 */

/**
 * @typedef {object} SubscribeExtras
 * @property {(payload: any) => void} push sends an update
 * @property {(payload?: any) => void} end sends the last one
 *
 * @typedef {CallContext & SubscribeExtras} SubscribeContext
 */

/**
 * @typedef {object} Handlers
 * @property {(path: string, args: any[], context: CallContext) => any} [call] returns the result, or a promise of it
 * @property {(path: string, payload: any, context: CallContext) => any} [emit]
 * @property {(path: string, payload: any, context: SubscribeContext) => any} [subscribe] returns, or promises,
 * `{initial?, onCancel?}`: the first update, and what is to be done when no more are wanted; the object gets `push` as well
 */

/** Ids of messages that are remembered, so that none is carried out twice. */
const REMEMBERED = 2048;

/** @typedef {{abort: AbortController, onCancel?: (frame?: Frame) => void}} Work */

export class Exposed {
  /** By name. @type {Map<string, Handlers>} */
  capabilities = new Map();
  /** Calls and subscriptions of the server that are not over, by id. @type {Map<string, Work>} */
  active = new Map();
  /** Ids that were seen, oldest first. @type {Set<string>} */
  #seen = new Set();
  #send;

  /** @param {(draft: Draft) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /**
   * @param {string} capability
   * @param {Handlers} handlers
   * @returns {() => boolean} takes it back
   */
  expose(capability, handlers) {
    if (this.capabilities.has(capability)) throw new Error(`'${capability}' is exposed already.`);
    this.capabilities.set(capability, handlers);
    return () => this.capabilities.get(capability) === handlers && this.capabilities.delete(capability);
  }

  /**
   * Carries a request, emit or subscribe of the server out, unless that was done before.
   * @param {Frame} frame
   */
  receive(frame) {
    if (this.#seen.has(frame.id)) return;
    this.#seen.add(frame.id);
    if (this.#seen.size > REMEMBERED) this.#seen.delete(/** @type {string} */ (this.#seen.values().next().value));
    const name = frame.route?.capability?.trim() ?? '';
    const handlers = this.capabilities.get(name);
    if (!handlers) {
      const message = `This page does not expose '${name || frame.route?.object || ''}'.`;
      return this.#fail(frame, new RpcError('CAPABILITY_NOT_FOUND', message), '');
    }
    const { handler, code, missing } = KINDS[/** @type {keyof KINDS} */ (frame.type)];
    if (!handlers[handler]) {
      return this.#fail(frame, new RpcError(missing, `'${name}' of this page has no '${handler}'.`), missing);
    }
    const work = { abort: new AbortController() };
    this.active.set(frame.id, work);
    this.#carryOut(handlers, frame, work).catch((error) => {
      if (this.#finish(frame.id)) this.#fail(frame, error, code);
    });
  }

  /**
   * What the server asked for is not wanted any more.
   * @param {Frame} frame
   */
  cancel(frame) {
    const id = frame.correlatesTo ?? '';
    const work = this.active.get(id);
    if (!work || !this.#finish(id)) return;
    work.abort.abort();
    callSafely(() => work.onCancel?.(frame));
  }

  /** The connection is lost for good: nobody is there any more to answer. */
  disconnected() {
    const works = [...this.active.values()];
    this.active.clear();
    for (const work of works) {
      work.abort.abort();
      callSafely(() => work.onCancel?.());
    }
  }

  /** @param {string} id */
  #finish(id) {
    return this.active.delete(id);
  }

  /**
   * @param {Handlers} handlers
   * @param {Frame} frame
   * @param {Work} work
   */
  async #carryOut(handlers, frame, work) {
    if (frame.type === 'request') return this.#call(handlers, frame, work);
    if (frame.type === 'subscribe') return this.#subscribe(handlers, frame, work);
    await handlers.emit?.(frame.path ?? '', frame.payload ?? {}, contextOf(frame, work.abort.signal));
    this.#finish(frame.id);
  }

  /**
   * @param {Handlers} handlers
   * @param {Frame} frame
   * @param {Work} work
   */
  async #call(handlers, frame, work) {
    const result = await handlers.call?.(frame.path ?? '', frame.args ?? [], contextOf(frame, work.abort.signal));
    if (!this.#finish(frame.id)) return;
    this.#answer(frame, { type: 'reply', payload: objectOf(result), idempotencyKey: frame.idempotencyKey || undefined });
  }

  /**
   * @param {Handlers} handlers
   * @param {Frame} frame
   * @param {Work} work
   */
  async #subscribe(handlers, frame, work) {
    const update = (/** @type {any} */ payload, /** @type {boolean} */ isLast) => {
      if (!this.active.has(frame.id)) return;
      if (isLast) this.#finish(frame.id);
      this.#answer(frame, { type: 'stateUpdate', payload: objectOf(payload), final: isLast ? 1 : undefined });
    };
    const push = (/** @type {any} */ payload) => update(payload, false);
    const end = (/** @type {any} */ payload = { done: true }) => update(payload, true);
    const context = { ...contextOf(frame, work.abort.signal), push, end };
    const stream = (await handlers.subscribe?.(frame.path ?? '', frame.payload ?? {}, context)) ?? {};
    if (Object.isExtensible(stream)) stream.push ??= push;
    const { initial, onCancel } = stream;
    // Cancelled while it was being set up.
    if (work.abort.signal.aborted) return onCancel?.();
    work.onCancel = onCancel;
    if (initial !== undefined) push(initial);
  }

  /**
   * @param {Frame} frame
   * @param {unknown} error
   * @param {string} code
   */
  #fail(frame, error, code) {
    this.#answer({ ...frame, lane: 'sys' }, { type: 'error', payload: payloadOf(error, code) });
  }

  /**
   * @param {Frame} frame
   * @param {Draft} draft
   */
  #answer({ id, lane, route }, draft) {
    this.#send({ correlatesTo: id, lane: laneOf(route, lane), ...draft });
  }
}

/** Which handler a message is for, and the codes if it fails, and if there is none. */
const KINDS = /** @type {const} */ ({
  request: { handler: 'call', code: 'FRONTEND_ERROR', missing: 'FRONTEND_REQUEST_ERROR' },
  emit: { handler: 'emit', code: 'FRONTEND_EMIT_ERROR', missing: 'FRONTEND_EMIT_ERROR' },
  subscribe: { handler: 'subscribe', code: 'FRONTEND_SUBSCRIBE_ERROR', missing: 'FRONTEND_SUBSCRIBE_ERROR' },
});

/**
 * @param {Frame} frame
 * @param {AbortSignal} signal
 * @returns {CallContext}
 */
function contextOf({ id, origin, payload }, signal) {
  return { id, origin: origin ?? undefined, payload: payload ?? {}, signal };
}

/**
 * Payloads are objects; other values get one around them.
 * @param {any} value
 */
function objectOf(value) {
  if (value === undefined || value === null) return {};
  return typeof value === 'object' && !Array.isArray(value) ? value : { result: value };
}
