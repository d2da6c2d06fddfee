/**
 * Calls: messages whose senders wait for an outcome, a request for its answer, all others for their acknowledgement.
 * Each has exactly one outcome.
 */

import { onAbort } from './abort.js';
import { Sealed } from './envelope.js';
import { RpcError, abortReason } from './error.js';
import { Lanes } from './lanes.js';
import { uuidv7 } from './uuid.js';

/** @import { Environment } from '../resumable-socket/environment.js' */
/** @import { Draft, Frame } from './envelope.js' */
/** @import { Protocol } from './settings.js' */

/**
 * @typedef {object} CallOptions
 * @property {'answer' | 'ack' | 'nothing'} awaits
 * @property {() => number} [waitMs] how long that is waited for once it is sent; without it, for ever
 * @property {boolean} [isRepeatable] whether it is sent again if its outcome was lost with the connection
 * @property {boolean} [isRenewed] whether it then gets another id
 * @property {boolean} [isCancellable] whether the server is told when nobody waits any more
 * @property {AbortSignal} [signal]
 * @property {(progress: number, frame: Frame) => void} [onProgress]
 * @property {(call: Call) => void} [onSent]
 * @property {string} [id]
 */

export class Call {
  /** @type {'waiting' | 'sent' | 'settled'} */
  state = 'waiting';
  /** When it was sent. */
  sentAt = 0;
  /** How long the outcome is waited for, and what is left of it when the timer is started. */
  waitMs = Infinity;
  left = Infinity;
  startedAt = 0;
  /** @type {any} */
  timer = undefined;
  /** Ends the watch over the caller's signal. */
  release = () => {};
  /** @type {(value: any) => void} */
  resolve = () => {};
  /** @type {(error: unknown) => void} */
  reject = () => {};
  /** @type {Promise<any>} */
  outcome = new Promise((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });

  /**
   * @param {Draft} draft
   * @param {CallOptions} options
   */
  constructor(draft, options) {
    this.id = options.id ?? uuidv7();
    this.options = options;
    this.sealed = new Sealed(draft);
  }

  /** How it is sent; set when it is added. */
  depart = () => {};

  get lane() {
    return this.sealed.lane;
  }

  get size() {
    return this.sealed.size;
  }

  /** What only has to be sent takes no place, and control messages are not limited. */
  get holds() {
    return this.options.awaits !== 'nothing' && this.lane !== 'sys';
  }

  /** For people: what this is. */
  get name() {
    const { type, route, path } = this.sealed.draft;
    return [type, route?.capability ?? route?.object, path].filter(Boolean).join(' ');
  }
}

/**
 * What calls need of their client.
 * @typedef {object} CallOwner
 * @property {() => boolean} isOpen whether what is sent now may arrive
 * @property {(call: Call) => void} send
 * @property {(call: Call) => void} cancel tells the server that nobody waits for this any more
 */

export class Calls {
  /** What was sent and has no outcome yet, by id, in the order of sending. @type {Map<string, Call>} */
  pending = new Map();
  lanes;
  #environment;
  #protocol;
  #owner;
  /** Everything that has no outcome. @type {Set<Call>} */
  #open = new Set();
  #isPaused = false;
  /** @type {RpcError | undefined} */
  #closedBy;

  /**
   * @param {Environment} environment
   * @param {() => Protocol} protocol
   * @param {CallOwner} owner
   */
  constructor(environment, protocol, owner) {
    this.#environment = environment;
    this.#protocol = protocol;
    this.#owner = owner;
    this.lanes = new Lanes(protocol, owner.isOpen);
  }

  /**
   * Sends a call as soon as it may be sent.
   * @param {Call} call
   * @returns {Promise<any>} its outcome
   */
  add(call) {
    if (this.#take(call)) {
      try {
        this.lanes.add(call);
      } catch (error) {
        this.#settle(call, call.reject, error);
      }
    }
    return call.outcome;
  }

  /**
   * There is a connection.
   * @param {Call[]} first what comes before all that waits
   */
  open(first) {
    this.lanes.open(first.filter((call) => this.#take(call)));
  }

  /**
   * @param {Call} call
   * @returns {boolean} whether it is to be sent
   */
  #take(call) {
    const { signal } = call.options;
    const refusal = this.#refusal(call);
    if (refusal) {
      call.state = 'settled';
      call.reject(refusal);
      return false;
    }
    call.depart = () => this.#depart(call);
    this.#open.add(call);
    if (signal) call.release = onAbort(signal, () => this.abandon(call, abortReason(signal)));
    return true;
  }

  /** @param {Call} call */
  #refusal({ options: { signal }, size, name }) {
    if (this.#closedBy) return this.#closedBy;
    if (signal?.aborted) return abortReason(signal);
    const { maxFrameBytes } = this.#protocol();
    if (size <= maxFrameBytes) return undefined;
    const message = `'${name}' has ${size} bytes, and the server takes ${maxFrameBytes} at most.`;
    return new RpcError('FRAME_TOO_LARGE', message, { err: { size, maxFrameBytes } });
  }

  /** @param {Call} call */
  #depart(call) {
    call.state = 'sent';
    call.sentAt = this.#environment.now();
    this.#owner.send(call);
    call.options.onSent?.(call);
    if (call.options.awaits === 'nothing') return void this.#settle(call, call.resolve, true);
    this.pending.set(call.id, call);
    call.waitMs = call.left = call.options.waitMs?.() ?? Infinity;
    this.#startTimer(call);
  }

  /** @param {Call} call */
  #startTimer(call) {
    if (this.#isPaused || call.left === Infinity) return;
    call.startedAt = this.#environment.now();
    call.timer = this.#environment.setTimeout(() => this.#expire(call), call.left);
  }

  /** @param {Call} call */
  #stopTimer(call) {
    if (call.timer === undefined) return;
    this.#environment.clearTimeout(call.timer);
    call.timer = undefined;
    call.left = Math.max(0, call.left - (this.#environment.now() - call.startedAt));
  }

  /** @param {Call} call */
  #expire(call) {
    const isAck = call.options.awaits === 'ack';
    const what = isAck ? 'acknowledged; it may have arrived all the same' : 'answered';
    const { waitMs } = call;
    const message = `'${call.name}' was sent, and within ${Math.round(waitMs)} ms was not ${what}.`;
    this.abandon(call, new RpcError(isAck ? 'NO_ACK' : 'TIMEOUT', message, { retryable: true, err: { waitMs } }));
  }

  /**
   * Nobody waits for it any more: what was not sent never will be, and of what was sent the server is told.
   * @param {Call} call
   * @param {unknown} error
   */
  abandon(call, error) {
    const wasSent = call.state === 'sent';
    if (!this.#settle(call, call.reject, error)) return;
    if (wasSent && call.options.isCancellable) this.#owner.cancel(call);
  }

  /**
   * @param {string} id
   * @param {any} [value]
   * @returns {boolean} whether somebody waited for it
   */
  succeed(id, value) {
    const call = this.pending.get(id);
    return call !== undefined && this.#settle(call, call.resolve, value);
  }

  /**
   * @param {string} id
   * @param {unknown} error
   * @returns {boolean} whether somebody waited for it
   */
  fail(id, error) {
    const call = this.pending.get(id);
    return call !== undefined && this.#settle(call, call.reject, error);
  }

  /**
   * @param {string} id of a call that was sent, or waits
   * @returns {Call | undefined}
   */
  find(id) {
    return this.pending.get(id) ?? [...this.#open].find((call) => call.id === id);
  }

  /**
   * @param {Call} call
   * @param {(value: any) => void} tell
   * @param {unknown} value
   */
  #settle(call, tell, value) {
    if (call.state === 'settled') return false;
    call.state = 'settled';
    this.#stopTimer(call);
    call.release();
    this.pending.delete(call.id);
    this.#open.delete(call);
    tell(value);
    this.lanes.finish(call);
    return true;
  }

  /** The connection is lost for good: what may be sent again waits for the next one, before all that waits already. */
  disconnected() {
    const sent = [...this.pending.values()];
    this.pending.clear();
    const again = sent.filter(({ options }) => options.isRepeatable);
    for (const call of again) {
      this.#stopTimer(call);
      call.state = 'waiting';
      if (call.options.isRenewed) call.id = uuidv7();
    }
    this.lanes.addFirst(again);
    this.#isPaused = false;
    for (const call of sent) {
      if (call.options.isRepeatable) continue;
      const message = `The connection ended before '${call.name}' was ${call.options.awaits === 'ack' ? 'acknowledged' : 'answered'}.`;
      this.#settle(call, call.reject, new RpcError('DISCONNECTED', message, { retryable: true }));
    }
  }

  /** Nothing comes through for a while, and nothing is lost: no time-out runs. */
  pause() {
    this.#isPaused = true;
    for (const call of this.pending.values()) this.#stopTimer(call);
  }

  resume() {
    this.#isPaused = false;
    for (const call of this.pending.values()) this.#startTimer(call);
  }

  /**
   * Nothing will be sent any more.
   * @param {RpcError} error
   */
  close(error) {
    this.#closedBy = error;
    for (const call of [...this.#open]) this.#settle(call, call.reject, error);
  }
}
