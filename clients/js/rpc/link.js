/**
 * The sockets of a client, one after another: which transport, and when the next attempt is made.
 */

import { parseUrl, utf8Length } from '../resumable-socket/address.js';
import { Connection } from '../resumable-socket/connection.js';
import { RpcError } from './error.js';

/** @import { Environment } from '../resumable-socket/environment.js' */

/**
 * @typedef {object} SocketOwner
 * @property {(isResumable: boolean) => void} opened
 * @property {(data: unknown) => void} received
 * @property {(isUp: boolean) => void} linked
 * @property {() => void} ended
 */

/** Milliseconds for an attempt to open, and for the welcome after that. */
const PATIENCE = 10_000;
/** A welcome that lasted so long ends a row of failed attempts. One alone does not: the same disaster may follow. */
const STEADY = 5_000;

/**
 * @typedef {object} Reconnect
 * @property {number} initialDelayMs
 * @property {number} maxDelayMs
 * @property {number} factor
 */

/**
 * How long to wait before an attempt: exponential with full jitter, so that many pages that lost the same server do not
 * come back at the same moment.
 * @param {number} attempt from 0
 * @param {Reconnect} reconnect
 * @param {() => number} random
 */
export function delayOf(attempt, { initialDelayMs, maxDelayMs, factor }, random) {
  return random() * Math.min(maxDelayMs, initialDelayMs * factor ** attempt);
}

/**
 * @typedef {object} LinkOwner
 * @property {() => void} opened
 * @property {(data: unknown) => void} received
 * @property {(isUp: boolean) => void} linked a resumable transport lost its connection, or has one again
 * @property {() => void} lost nothing more is heard of the socket, and another one is planned
 * @property {() => void} woken the page is visible or online again
 */

/**
 * What messages go over: a WebSocket, or a stream that outlives its WebSockets.
 * @typedef {object} Socket
 * @property {number} readyState
 * @property {(text: string) => void} send
 * @property {(code?: number, reason?: string) => void} close
 */

export class Link {
  /** @type {Socket | undefined} */
  socket;
  /** Attempts in a row after which no welcome lasted. */
  attempts = 0;
  url;
  #environment;
  #transport;
  #reconnect;
  #owner;
  #forgetMoments;
  /** @type {'idle' | 'connecting' | 'open' | 'waiting' | 'closed'} */
  #state = 'idle';
  /** When the welcome came. @type {number | undefined} */
  #welcomedAt;
  /** Whether the open socket survives its connection. */
  isResumable = false;
  /** What is known to work. @type {'resumable' | 'plain' | undefined} */
  #known;
  /** @type {any} */
  #timer;
  /** Until the first attempt has an outcome. @type {{resolve: () => void, reject: (error: unknown) => void} | undefined} */
  #first;

  /**
   * @param {Environment} environment
   * @param {{url: string | URL, transport: 'auto' | 'plain'}} options
   * @param {() => Reconnect} reconnect
   * @param {LinkOwner} owner
   */
  constructor(environment, { url, transport }, reconnect, owner) {
    this.#environment = environment;
    this.url = parseUrl(url, environment.base()).href;
    this.#transport = transport;
    this.#reconnect = reconnect;
    this.#owner = owner;
    this.#forgetMoments = environment.observe({ wake: () => this.#wake(), leave: () => {} });
  }

  /** Whether what is sent now may arrive: not any more once the socket begins to close. */
  get isOpen() {
    return this.socket?.readyState === 1;
  }

  /** @returns {Promise<void>} settled by the first attempt; there is no second one if that fails */
  start() {
    return new Promise((resolve, reject) => {
      this.#first = { resolve, reject };
      this.#connect();
    });
  }

  /** @param {string} text */
  send(text) {
    this.socket?.send(text);
  }

  /** The server has welcomed the page on this socket. */
  welcomed() {
    this.#welcomedAt = this.#environment.now();
    this.#environment.clearTimeout(this.#timer);
  }

  /** The socket is given up, without waiting for what the other end says to that. */
  lose() {
    this.#drop();
    if (this.#state === 'open') this.#lost();
    else this.#failed();
  }

  /**
   * @param {number} [code]
   * @param {string} [reason]
   */
  close(code, reason) {
    this.#drop(code, reason);
    this.#enter('closed');
    this.#forgetMoments();
  }

  /** @param {boolean} [isFallback] */
  #connect(isFallback = false) {
    this.#enter('connecting');
    this.#welcomedAt = undefined;
    const isPlain = isFallback || this.#transport === 'plain' || this.#known === 'plain';
    // A browser fails a connection if the server chooses none of the subprotocols, and does not say that this is why.
    const mayFallBack = !isPlain && this.#known === undefined;
    /** @type {Socket | undefined} */
    let socket = undefined;
    // What is given up may still have something to say.
    const current = (/** @type {Function} */ action) => (/** @type {any[]} */ ...values) =>
      this.socket === socket && action(...values);
    const on = {
      opened: current((/** @type {boolean} */ isResumable) => this.#opened(isResumable)),
      received: current(this.#owner.received),
      linked: current(this.#owner.linked),
      ended: current(() => {
        this.socket = undefined;
        if (this.#state === 'open') this.#lost();
        else if (mayFallBack) this.#connect(true);
        else this.#failed();
      }),
    };
    try {
      socket = this.socket = isPlain ? this.#plain(on) : this.#stream(on);
    } catch (error) {
      return this.#failed(error);
    }
    this.#after(PATIENCE, () => this.lose());
  }

  /**
   * @param {SocketOwner} on
   * @returns {Socket}
   */
  #plain(on) {
    const socket = new this.#environment.WebSocket(this.url);
    socket.onopen = () => on.opened(false);
    socket.onmessage = ({ data }) => on.received(data);
    // Node.js does not say that a socket is closed that was never open.
    socket.onclose = socket.onerror = () => on.ended();
    return socket;
  }

  /**
   * @param {SocketOwner} on
   * @returns {Socket}
   */
  #stream({ opened, ...on }) {
    const stream = new Connection(this.#environment, this.url, [], { ...on, opened: () => opened(!stream.isPlain) });
    return {
      get readyState() {
        return stream.readyState;
      },
      send: (text) => void stream.send(text, utf8Length(text)),
      close: (code, reason = '') => stream.close(code, reason),
    };
  }

  /** @param {boolean} isResumable */
  #opened(isResumable) {
    this.#enter('open');
    this.isResumable = isResumable;
    this.#known = isResumable ? 'resumable' : 'plain';
    this.#after(PATIENCE, () => this.lose());
    this.#owner.opened();
    this.#first?.resolve();
    this.#first = undefined;
  }

  /** @param {unknown} [cause] */
  #failed(cause) {
    if (this.#known === 'plain') this.#known = undefined;
    if (!this.#first) return this.#plan();
    this.#first.reject(new RpcError('DISCONNECTED', `No connection to ${this.url}.`, { retryable: true, cause }));
    this.#first = undefined;
    this.close();
  }

  #lost() {
    const lasted = this.#welcomedAt === undefined ? 0 : this.#environment.now() - this.#welcomedAt;
    if (lasted >= STEADY) this.attempts = 0;
    this.#plan();
    this.#owner.lost();
  }

  #plan() {
    this.#enter('waiting');
    this.#after(delayOf(this.attempts, this.#reconnect(), this.#environment.random), () => this.#connect());
    this.attempts += 1;
  }

  #wake() {
    if (this.#state === 'open') this.#owner.woken();
    if (this.#state === 'waiting') this.#connect();
  }

  /**
   * @param {number} [code]
   * @param {string} [reason]
   */
  #drop(code, reason) {
    const { socket } = this;
    this.socket = undefined;
    socket?.close(code, reason);
  }

  /** @param {'connecting' | 'open' | 'waiting' | 'closed'} state */
  #enter(state) {
    this.#state = state;
    this.isResumable &&= state === 'open';
    this.#environment.clearTimeout(this.#timer);
  }

  /**
   * @param {number} milliseconds
   * @param {() => void} action
   */
  #after(milliseconds, action) {
    this.#environment.clearTimeout(this.#timer);
    this.#timer = this.#environment.setTimeout(action, milliseconds);
  }
}
