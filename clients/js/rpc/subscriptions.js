/**
 * The subscriptions of a client: made again in every generation, behind the same handles.
 */

import { onAbort } from './abort.js';
import { Call } from './calls.js';
import { laneOf } from './envelope.js';
import { RpcError } from './error.js';
import { Subscription } from './subscription.js';

/** @import { Calls } from './calls.js' */
/** @import { Draft, Frame, Route } from './envelope.js' */

/**
 * @typedef {object} Wish
 * @property {Route} route
 * @property {string | undefined} path
 * @property {string | undefined} op
 * @property {any} opts what the caller gave: `origin`, `signal`, and what becomes the payload
 * @property {number} budgetMs
 * @property {() => number} waitMs for the acknowledgement of the first message
 */

export class Subscriptions {
  /** By the id of the present `subscribe` message. @type {Map<string, Subscription>} */
  byId = new Map();
  /** With their drafts and the calls that they were made with last. @type {Map<Subscription, {draft: Draft, call: Call, release?: () => void}>} */
  #entries = new Map();
  #calls;
  #unsubscribe;

  /**
   * @param {Calls} calls
   * @param {(id: string, origin: any) => void} unsubscribe tells the server
   */
  constructor(calls, unsubscribe) {
    this.#calls = calls;
    this.#unsubscribe = unsubscribe;
  }

  /**
   * @param {Wish} wish
   * @returns {Promise<Subscription>} when it is acknowledged
   */
  async open({ route, path, op, opts, budgetMs, waitMs }) {
    const { origin, signal, ...rest } = opts;
    const payload = { priority: 'low', ...rest };
    /** @type {Draft} */
    const draft = { type: 'subscribe', route, lane: laneOf(route), path, op, payload, budgetMs, origin };
    const subscription = new Subscription({ route, path, op }, opts, () => this.#close(subscription));
    const call = this.#call(subscription, draft, { signal, waitMs });
    this.#entries.set(subscription, { draft, call });
    try {
      await this.#calls.add(call);
    } catch (error) {
      this.#forget(subscription);
      throw error;
    }
    if (signal) this.#closeWith(subscription, signal);
    return subscription;
  }

  /**
   * There is a new generation: what was acknowledged in an earlier one is asked for again.
   * @returns {Call[]}
   */
  renew() {
    const calls = [];
    for (const [subscription, entry] of this.#entries) {
      // What was not acknowledged is sent again as it is.
      if (entry.call.state !== 'settled') continue;
      const call = this.#call(subscription, entry.draft, {});
      call.outcome.catch((error) => {
        if (!this.#entries.has(subscription)) return;
        this.#forget(subscription);
        subscription.fail(error);
      });
      entry.call = call;
      calls.push(call);
    }
    return calls;
  }

  /**
   * @param {Frame} frame that may correlate to a subscription
   * @returns {boolean}
   */
  receive(frame) {
    const subscription = this.byId.get(frame.correlatesTo ?? '');
    if (!subscription) return false;
    // Whatever it is, the subscribe message has arrived.
    this.#calls.succeed(subscription.id);
    subscription.receive(frame);
    if (!subscription.isActive) this.#forget(subscription);
    return true;
  }

  /** @param {unknown} error */
  failAll(error) {
    const subscriptions = [...this.#entries.keys()];
    this.#entries.clear();
    this.byId.clear();
    for (const subscription of subscriptions) subscription.fail(error);
  }

  /**
   * @param {Subscription} subscription
   * @param {Draft} draft
   * @param {{signal?: AbortSignal, waitMs?: () => number}} options
   */
  #call(subscription, draft, options) {
    return new Call(draft, {
      ...options,
      awaits: 'ack',
      isRepeatable: true,
      isRenewed: true,
      isCancellable: true,
      onSent: ({ id }) => {
        this.byId.delete(subscription.id);
        subscription.id = id;
        this.byId.set(id, subscription);
      },
    });
  }

  /** @param {Subscription} subscription */
  #close(subscription) {
    const entry = this.#entries.get(subscription);
    this.#forget(subscription);
    if (!entry) return;
    const { call, draft } = entry;
    if (call.state === 'settled') return this.#unsubscribe(call.id, draft.origin);
    const message = `'${call.name}' was closed before it was acknowledged.`;
    this.#calls.abandon(call, new RpcError('REQUEST_CANCELLED', message));
  }

  /** @param {Subscription} subscription */
  #forget(subscription) {
    this.#entries.get(subscription)?.release?.();
    this.#entries.delete(subscription);
    this.byId.delete(subscription.id);
  }

  /**
   * @param {Subscription} subscription
   * @param {AbortSignal} signal
   */
  #closeWith(subscription, signal) {
    const entry = this.#entries.get(subscription);
    if (signal.aborted) subscription.close();
    else if (entry) entry.release = onAbort(signal, () => subscription.close());
  }
}
