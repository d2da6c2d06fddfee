/**
 * A page's end of the RPC: calls, events and subscriptions over one connection that is made again when it is lost.
 */

import { environmentOf } from '../resumable-socket/environment.js';
import { onAbort } from './abort.js';
import { Call } from './calls.js';
import { Conversation } from './conversation.js';
import { createEmitter, defineEventProperty } from './emitter.js';
import { laneOf, routeOf } from './envelope.js';
import { RpcError, abortReason } from './error.js';
import { CapabilityFacade, ObjectFacade } from './facades.js';
import { budgetOf, completeSettings } from './settings.js';
import { uuidv7 } from './uuid.js';

/** @import { CallOptions } from './calls.js' */
/** @import { Emitter } from './emitter.js' */
/** @import { Draft, Route } from './envelope.js' */
/** @import { Handlers } from './exposed.js' */
/** @import { ConnectOptions, EmitOptions, Invocation, RequestOptions, Restart } from './options.js' */
/** @import { Subscription } from './subscription.js' */

export class RpcClient {
  /** Whether a socket is open and the server has welcomed the page: `onReadyChange(isReady)`. */
  onReadyChange = /** @type {Emitter<[boolean]>} */ (createEmitter());
  /** The server has welcomed the page, in a new generation: `onWelcome(state, payload)`. */
  onWelcome = /** @type {Emitter<[any, any]>} */ (createEmitter());
  /** The server knows that the page is ready: `onClientReady()`. */
  onClientReady = /** @type {Emitter<[]>} */ (createEmitter());
  /** The server was restarted, or has a new view for the page: `onServerRestart({viewId, isNewView, …})`. */
  onServerRestart = /** @type {Emitter<[Restart]>} */ (createEmitter());
  /** A resumable transport lost its connection (`false`), or has one again; nothing else is lost by it. */
  onLinkChange = /** @type {Emitter<[boolean]>} */ (createEmitter());

  url;
  token;
  settings;
  /** What is sent at the beginning of every connection. @type {{payload: any}} */
  hello;
  isClosed = false;
  #talk;
  #closings = /** @type {Emitter<[RpcError]>} */ (createEmitter());

  /**
   * Connects to a server. Calls may be made at once; they wait for the welcome.
   * @param {string | URL} url
   * @param {ConnectOptions} [options]
   * @returns {Promise<RpcClient>} when the first socket is open; rejected, and not tried again, if it does not open.
   * From then on the client reconnects by itself until it is closed
   */
  static async connect(url, options) {
    const client = new RpcClient(url, options);
    await client.#talk.link.start();
    return client;
  }

  /**
   * @param {string | URL} url
   * @param {ConnectOptions} [options]
   */
  constructor(url, { settings, hello, token, transport = 'auto', WebSocket, environment } = {}) {
    for (const [name, emitter] of Object.entries(this)) {
      if (name.startsWith('on')) defineEventProperty(this, name, emitter);
    }
    this.token = token;
    this.settings = completeSettings(settings);
    this.hello = { ...hello, payload: { ...hello?.payload } };
    const world = { ...environmentOf(globalThis), ...environment, ...(WebSocket && { WebSocket }) };
    this.#talk = new Conversation(world, this, { url, transport });
    this.url = this.#talk.link.url;
  }

  /** Whether the server has welcomed the page, so that calls are sent at once. */
  get isReady() {
    return this.#talk.isOpen;
  }

  /** The payload of the last welcome. @returns {any} */
  get welcome() {
    return this.#talk.welcome;
  }

  /** Whether a socket is open. */
  get connected() {
    return this.#talk.link.isOpen;
  }

  /** Whether the connection may break without anything being lost. */
  get isResumable() {
    return this.#talk.link.isResumable;
  }

  /** What messages go over at present: a WebSocket, or what stands for a stream of them. */
  get webSocket() {
    return this.#talk.link.socket;
  }

  /** Attempts in a row after which no welcome lasted. */
  get reconnectAttempts() {
    return this.#talk.link.attempts;
  }

  /** The present generation. */
  get generation() {
    return this.#talk.generation;
  }

  /** Calls that were sent and have no outcome yet, by id. */
  get pending() {
    return this.#talk.calls.pending;
  }

  /** Subscriptions of this page, by id. */
  get subscriptions() {
    return this.#talk.subscriptions.byId;
  }

  /** What this page exposes, by name. */
  get localCaps() {
    return this.#talk.exposed.capabilities;
  }

  /** How many calls are under way and how many wait, by lane. */
  get laneStates() {
    return this.#talk.calls.lanes.states;
  }

  /** Calls that wait to be sent. */
  get offlineQueue() {
    return this.#talk.calls.lanes.queued;
  }

  /** `lastSeen`: when something was heard last. */
  get heartbeat() {
    return { lastSeen: this.#talk.heartbeat.lastSeen };
  }

  /**
   * Calls a capability or an object. The time-out runs from when the call is sent.
   * @param {Invocation} invocation
   * @param {any} [payload] named arguments
   * @param {RequestOptions} [opts]
   * @returns {Promise<any> & {id: string}} the payload of the reply, or an RpcError; `id` is for `cancel()`
   */
  request({ route, path, op = 'call', args }, payload = {}, opts = {}) {
    const options = { awaits: /** @type {const} */ ('answer'), isCancellable: true };
    const call = this.#call('request', route, { path, op, args, payload }, opts, options);
    return Object.assign(call.outcome, { id: call.id });
  }

  /**
   * Tells a capability something.
   * @param {Route | string} route
   * @param {string} path
   * @param {any} [payload]
   * @param {EmitOptions} [opts]
   * @returns {Promise<true>} when the server has it
   */
  emit(route, path, payload = {}, opts = {}) {
    const awaits = opts.noAck ? 'nothing' : 'ack';
    const call = this.#call('emit', route, { path, op: 'event', payload }, opts, { awaits });
    if (!opts.noAck || call.state === 'settled') return call.outcome;
    call.outcome.catch(() => {});
    return Promise.resolve(true);
  }

  /**
   * Subscribes to updates. After a reconnection the same handle goes on.
   * @param {Route | string} route
   * @param {string} [path]
   * @param {string} [op]
   * @param {any} [opts] becomes the payload, but for `origin` and `signal`, which closes the subscription; `budgetMs` and
   * `class` say as well how long the server may take
   * @returns {Promise<Subscription>} when the server has it
   */
  async subscribe(route, path, op = 'none', opts = {}) {
    const { budgetMs } = budgetOf(this.settings, opts);
    return this.#talk.subscriptions.open({ route: routeOf(route), path, op, opts, budgetMs, waitMs: () => this.#talk.ackWait });
  }

  /**
   * Closes a subscription.
   * @param {string} subId its present id
   * @param {{origin?: any}} [opts] for one that this client does not have
   */
  unsubscribe(subId, { origin } = {}) {
    const subscription = this.subscriptions.get(subId);
    if (subscription) return subscription.close();
    this.#talk.sendCancel('unsubscribe', subId, origin);
  }

  /**
   * Cancels a call, which is rejected with REQUEST_CANCELLED.
   * @param {string} correlatesTo its id
   * @param {{origin?: any}} [opts] for one that this client does not have
   */
  cancel(correlatesTo, { origin } = {}) {
    const call = this.#talk.calls.find(correlatesTo);
    if (call) return this.#talk.calls.abandon(call, new RpcError('REQUEST_CANCELLED', `'${call.name}' was cancelled.`));
    this.#talk.sendCancel('cancel', correlatesTo, origin);
  }

  /**
   * Tells the server that the page is ready, and what it has loaded.
   * @param {{loaded?: any[], failed?: any[], modsHash?: string | null}} [report]
   */
  async clientReady({ loaded = [], failed = [], modsHash = null } = {}) {
    const draft = { type: /** @type {const} */ ('clientReady'), payload: { loaded, failed, modsHash } };
    await this.#talk.calls.add(new Call(draft, { awaits: 'ack', waitMs: () => this.#talk.ackWait }));
    this.onClientReady.emit();
  }

  /**
   * Offers something to the server.
   * @param {string} capability
   * @param {Handlers} handlers
   * @returns {() => boolean} takes it back
   */
  expose(capability, handlers) {
    return this.#talk.exposed.expose(capability, handlers);
  }

  /**
   * @param {{fresh?: boolean, signal?: AbortSignal}} [options] `fresh`: the next welcome, not the last one
   * @returns {Promise<any>} the state that the welcome told
   */
  async waitForWelcome({ fresh = false, signal } = {}) {
    if (signal?.aborted) throw abortReason(signal);
    if (this.isClosed) throw closedError();
    if (this.welcome && !fresh) return this.welcome.state;
    /** @type {(() => unknown)[]} */
    const releases = [];
    const welcome = new Promise((resolve, reject) => {
      releases.push(this.onWelcome.add(resolve), this.#closings.add(reject));
      if (signal) releases.push(onAbort(signal, () => reject(abortReason(signal))));
    });
    return welcome.finally(() => releases.forEach((release) => release()));
  }

  /**
   * A capability of the server by name: `rpc.capability('echo@1').call('say', {text})`.
   * @param {string} name
   * @param {RequestOptions} [defaults]
   */
  capability(name, defaults) {
    return new CapabilityFacade(this, name, defaults);
  }

  /**
   * An object of the server by its id: `rpc.object('editor').set('title', 'New')`.
   * @param {string} id
   */
  object(id) {
    return new ObjectFacade(this, id);
  }

  /**
   * Closes the connection for good. What waits or is under way is rejected with CLOSED.
   * @param {number} [code]
   * @param {string} [reason]
   */
  close(code = 1000, reason = '') {
    if (this.isClosed) return;
    this.isClosed = true;
    const error = closedError();
    this.#talk.close(code, reason, error);
    this.#closings.emit(error);
  }

  /**
   * @param {'request' | 'emit'} type
   * @param {Route | string} to
   * @param {Partial<Draft>} what
   * @param {RequestOptions} opts
   * @param {CallOptions} options
   */
  #call(type, to, what, opts, options) {
    const { origin, signal, onProgress, idempotencyKey, retry = idempotencyKey !== undefined } = opts;
    const route = routeOf(to);
    const { budgetMs, waitMs } = budgetOf(this.settings, opts);
    const id = uuidv7();
    // A key that is not the id tells the server that the call may come again.
    const key = idempotencyKey ?? (retry ? uuidv7() : id);
    const call = new Call(
      { type, route, lane: laneOf(route), ...what, budgetMs, idempotencyKey: key, origin },
      {
        id,
        signal,
        onProgress,
        isRepeatable: retry,
        waitMs: () => (options.awaits === 'ack' ? this.#talk.ackWait : waitMs),
        ...options,
      },
    );
    this.#talk.calls.add(call);
    return call;
  }
}

function closedError() {
  return new RpcError('CLOSED', 'The client was closed.');
}

