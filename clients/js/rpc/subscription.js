/**
 * What a page holds of a subscription: events, or an asynchronous iterator.
 */

import { callSafely, createEmitter } from './emitter.js';
import { RpcError } from './error.js';

/** @import { Emitter, Handle } from './emitter.js' */
/** @import { Frame } from './envelope.js' */

/**
 * - `update`: the payload of an update, and its frame;
 * - `error`: the RpcError that ended the subscription;
 * - `reply`: the payload of a reply, which some servers send;
 * - `end`: the payload of the last message of a subscription that the server has completed.
 * @typedef {'update' | 'error' | 'reply' | 'end'} SubscriptionEvent
 */

/**
 * @typedef {object} IterationOptions
 * @property {number} [limit] updates that wait for the loop, 1024 or, of the newest, 1
 * @property {boolean} [newest] keep the newest updates and pass over older ones; else too many end the loop with
 * an RpcError SLOW_CONSUMER
 */

/** Updates that are kept for the first one who asks. */
const EARLY = 256;

/** @template {any} [Update=any] */
export class Subscription {
  /** The id of the `subscribe` message; another one in every generation. */
  id = '';
  /** What was subscribed to: route, path and op. */
  invocation;
  /** With which options. */
  opts;
  /** @type {'active' | 'completed' | 'failed' | 'closed'} */
  #state = 'active';
  /** How it ended, unless it was closed. @type {{event: SubscriptionEvent, value: any, frame?: Frame} | undefined} */
  #outcome;
  #close;
  /** @type {Record<SubscriptionEvent, Emitter<any>>} */
  #emitters = { update: createEmitter(), error: createEmitter(), reply: createEmitter(), end: createEmitter() };
  /** Updates that came before anybody asked for them. @type {[any, Frame][] | undefined} */
  #early = [];
  /** @type {Set<Loop>} */
  #loops = new Set();

  /**
   * @param {{route: any, path: string | undefined, op: string | undefined}} invocation
   * @param {any} opts
   * @param {() => void} close
   */
  constructor(invocation, opts, close) {
    this.invocation = invocation;
    this.opts = opts;
    this.#close = close;
  }

  /** Whether more may come. */
  get isActive() {
    return this.#state === 'active';
  }

  /**
   * Adds a listener; there may be several. Updates that came before the first one are told to it, and an end that has
   * come is told to each.
   * @param {SubscriptionEvent} event
   * @param {(value: any, frame?: Frame) => void} listener
   * @returns {Handle} removes it
   */
  on(event, listener) {
    const emitter = this.#emitters[event];
    if (!emitter) throw new TypeError(`A subscription has no event '${event}'.`);
    const handle = emitter.add(listener);
    if (event === 'update') for (const [payload, frame] of this.#takeEarly()) emitter.emit(payload, frame);
    const { event: ending, value, frame } = this.#outcome ?? {};
    if (event === ending) callSafely(() => listener(value, frame));
    return handle;
  }

  /** No more updates are wanted. */
  close() {
    if (this.#end('closed')) this.#close();
  }

  /**
   * The updates from now on, and those that nobody has asked for. A loop over them that is left closes the subscription.
   * @param {IterationOptions} [options]
   * @returns {AsyncIterableIterator<Update>}
   */
  updates(options = {}) {
    const loop = new Loop(options, () => {
      this.#loops.delete(loop);
      this.close();
    });
    for (const [payload] of this.#takeEarly()) loop.push(payload);
    if (this.isActive) this.#loops.add(loop);
    else loop.end(this.#state === 'failed' ? this.#outcome?.value : undefined);
    return loop;
  }

  [Symbol.asyncIterator]() {
    return this.updates();
  }

  /**
   * For the client: a frame that correlates to it.
   * @param {Frame} frame
   */
  receive(frame) {
    const { type, payload = {}, final } = frame;
    switch (type) {
      case 'error':
        return this.fail(RpcError.from(payload), frame);
      case 'reply':
        return this.#emitters.reply.emit(payload, frame);
      case 'stateUpdate':
        // The end alone is no update: {"done": true}.
        if (!final || Object.keys(payload).some((key) => key !== 'done')) this.#update(payload, frame);
        if (final && this.#end('completed')) this.#tell('end', payload, frame);
    }
  }

  /**
   * For the client: it is over.
   * @param {unknown} error
   * @param {Frame} [frame]
   */
  fail(error, frame) {
    if (this.#end('failed', error)) this.#tell('error', error, frame);
  }

  /**
   * @param {SubscriptionEvent} event
   * @param {any} value
   * @param {Frame} [frame]
   */
  #tell(event, value, frame) {
    this.#outcome = { event, value, frame };
    this.#emitters[event].emit(value, frame);
  }

  /**
   * @param {any} payload
   * @param {Frame} frame
   */
  #update(payload, frame) {
    const early = this.#early;
    if (early && early.push([payload, frame]) > EARLY) early.shift();
    for (const loop of this.#loops) loop.push(payload);
    this.#emitters.update.emit(payload, frame);
  }

  #takeEarly() {
    const early = this.#early ?? [];
    this.#early = undefined;
    return early;
  }

  /**
   * @param {'completed' | 'failed' | 'closed'} state
   * @param {unknown} [error]
   */
  #end(state, error) {
    if (!this.isActive) return false;
    this.#state = state;
    for (const loop of this.#loops) loop.end(error);
    this.#loops.clear();
    return true;
  }
}

/** One iteration. */
class Loop {
  /** @type {any[]} */
  #values = [];
  /** @type {{resolve: (result: IteratorResult<any>) => void, reject: (error: unknown) => void}[]} */
  #readers = [];
  #isOver = false;
  /** @type {unknown} */
  #error;
  #isNewest;
  #limit;
  #leave;

  /**
   * @param {IterationOptions} options
   * @param {() => void} leave
   */
  constructor({ newest = false, limit = newest ? 1 : 1024 }, leave) {
    this.#isNewest = newest;
    this.#limit = limit;
    this.#leave = leave;
  }

  /** @param {any} value */
  push(value) {
    if (this.#isOver) return;
    const reader = this.#readers.shift();
    if (reader) return reader.resolve({ value, done: false });
    if (this.#values.length >= this.#limit) {
      if (!this.#isNewest) {
        const message = `More than ${this.#limit} updates wait for the loop over them.`;
        return this.end(new RpcError('SLOW_CONSUMER', message, { err: { limit: this.#limit } }));
      }
      this.#values.shift();
    }
    this.#values.push(value);
  }

  /** @param {unknown} [error] after what waits */
  end(error) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    for (const { resolve, reject } of this.#readers) error === undefined ? resolve(DONE()) : reject(error);
    this.#readers = [];
  }

  /** @returns {Promise<IteratorResult<any>>} */
  async next() {
    if (this.#values.length > 0) return { value: this.#values.shift(), done: false };
    if (!this.#isOver) return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
    const error = this.#error;
    this.#error = undefined;
    if (error === undefined) return DONE();
    this.#leave();
    throw error;
  }

  /** @returns {Promise<IteratorResult<any>>} */
  async return() {
    this.#values = [];
    this.end();
    this.#leave();
    return DONE();
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

/** @returns {IteratorResult<any>} */
function DONE() {
  return { value: undefined, done: true };
}
