/**
 * The conversation with the server: hellos and welcomes, frames in and out, and who gets which.
 */

import { Calls } from './calls.js';
import { Sealed, Writer, isSameGeneration, read } from './envelope.js';
import { RpcError } from './error.js';
import { Exposed } from './exposed.js';
import { Heartbeat } from './heartbeat.js';
import { Link } from './link.js';
import { logFrame } from './logging.js';
import { Subscriptions } from './subscriptions.js';
import { uuidv7 } from './uuid.js';

/** @import { Environment } from '../resumable-socket/environment.js' */
/** @import { Emitter } from './emitter.js' */
/** @import { Draft, Frame } from './envelope.js' */
/** @import { Restart } from './options.js' */
/** @import { Settings } from './settings.js' */

/**
 * The page, whose fields may change at any time.
 * @typedef {object} Page
 * @property {Settings} settings
 * @property {{payload: any}} hello
 * @property {Emitter<[boolean]>} onReadyChange
 * @property {Emitter<[any, any]>} onWelcome
 * @property {Emitter<[Restart]>} onServerRestart
 * @property {Emitter<[boolean]>} onLinkChange
 */

/** What is not acknowledged. */
const UNACKNOWLEDGED = new Set(['ack', 'welcome', 'hello', 'heartbeat']);
/** The longest that an acknowledgement is waited for on a slow connection, in milliseconds. */
const SLOWEST = 10_000;
/** The generation of what comes before the first welcome. */
const NO_GENERATION = { num: -1, salt: 'salt' };

export class Conversation {
  /** Whether the page was welcomed, on a socket that has not ended since. */
  isReady = false;
  /** The payload of the last welcome. @type {any} */
  welcome;
  calls;
  subscriptions;
  exposed;
  heartbeat;
  link;
  #environment;
  #page;
  #writer = new Writer();
  #helloAt = 0;
  /** The slowest way there and back of late, in milliseconds. */
  #roundTrip = 0;

  /**
   * @param {Environment} environment
   * @param {Page} page
   * @param {{url: string | URL, transport: 'auto' | 'plain'}} options
   */
  constructor(environment, page, options) {
    this.#environment = environment;
    this.#page = page;
    this.calls = new Calls(environment, () => page.settings.protocol, {
      isOpen: () => this.isOpen,
      send: ({ sealed, id }) => this.#write(sealed, id),
      cancel: ({ id, sealed: { draft } }) => {
        this.sendCancel(draft.type === 'subscribe' ? 'unsubscribe' : 'cancel', id, draft.origin);
      },
    });
    this.subscriptions = new Subscriptions(this.calls, (id, origin) => this.sendCancel('unsubscribe', id, origin));
    this.exposed = new Exposed((draft) => this.#send(draft));
    this.heartbeat = new Heartbeat(
      environment,
      () => page.settings.protocol.heartbeatMs,
      () => this.#send({ type: 'heartbeat' }),
      () => this.link.lose(),
    );
    this.link = new Link(environment, options, () => page.settings.reconnect, {
      opened: () => this.#sayHello(),
      received: (data) => this.#receive(data),
      linked: (isUp) => this.#linked(isUp),
      lost: () => this.#lost(),
      woken: () => this.heartbeat.doubt(),
    });
  }

  /** Whether what is sent now may arrive. */
  get isOpen() {
    return this.isReady && this.link.isOpen;
  }

  get generation() {
    return this.#writer.generation;
  }

  /**
   * @param {number} code
   * @param {string} reason
   * @param {RpcError} error what everybody is told who waits for something
   */
  close(code, reason, error) {
    this.link.close(code, reason);
    this.calls.close(error);
    this.subscriptions.failAll(error);
    this.#lost();
  }

  /** How long an acknowledgement is waited for. A stream loses none: there, its end may be slow, or this page. */
  get ackWait() {
    return this.link.isResumable ? SLOWEST : Math.max(this.#page.settings.protocol.ackWaitMs, Math.min(SLOWEST, 4 * this.#roundTrip));
  }

  #sayHello() {
    this.#helloAt = this.#environment.now();
    const draft = { ...this.#page.hello, type: /** @type {const} */ ('hello'), budgetMs: this.#page.settings.protocol.ackWaitMs };
    this.#write(new Sealed(draft), uuidv7(), NO_GENERATION);
  }

  /**
   * @param {'cancel' | 'unsubscribe'} type
   * @param {string} correlatesTo
   * @param {any} origin
   */
  sendCancel(type, correlatesTo, origin) {
    this.#send({ type, correlatesTo, budgetMs: this.#page.settings.protocol.ackWaitMs, origin });
  }

  /**
   * What nobody waits for; without a generation there is nobody to send it to.
   * @param {Draft} draft
   */
  #send(draft) {
    if (this.isOpen) this.#write(new Sealed(draft), uuidv7());
  }

  /**
   * @param {Sealed} sealed
   * @param {string} id
   * @param {any} [generation]
   */
  #write(sealed, id, generation) {
    const text = this.#writer.write(sealed, id, generation);
    logFrame(this.#page.settings, 'out', text);
    this.link.send(text);
  }

  // Receiving

  /** @param {unknown} data */
  #receive(data) {
    const frame = read(data);
    if (!frame) return console.warn('Not a message of the RPC:', data);
    logFrame(this.#page.settings, 'in', data);
    if (frame.type === 'welcome') return this.#welcomed(frame);
    if (!this.isReady || (frame.gen && !isSameGeneration(frame.gen, this.generation))) return this.#stray(frame);
    this.heartbeat.heard();
    if (frame.id && !UNACKNOWLEDGED.has(frame.type)) {
      this.#send({ type: 'ack', correlatesTo: frame.id, budgetMs: this.#page.settings.protocol.ackWaitMs });
    }
    this.#dispatch(frame);
  }

  /** @param {Frame} frame */
  #dispatch(frame) {
    const id = frame.correlatesTo ?? '';
    switch (frame.type) {
      case 'request':
      case 'emit':
      case 'subscribe':
        return this.exposed.receive(frame);
      case 'cancel':
      case 'unsubscribe':
        return this.exposed.cancel(frame);
      case 'ack':
        return this.#acknowledged(id);
      case 'reply':
        return void (this.subscriptions.receive(frame) || this.calls.succeed(id, frame.payload ?? {}));
      case 'error':
        return this.#failed(id, frame);
      case 'stateUpdate':
        return void (this.subscriptions.receive(frame) || this.#progress(id, frame));
    }
  }

  /** @param {string} id */
  #acknowledged(id) {
    const call = this.calls.pending.get(id);
    if (!call) return;
    this.#measure(call.sentAt);
    if (call.options.awaits === 'ack') this.calls.succeed(id, true);
  }

  /**
   * @param {string} id
   * @param {Frame} frame
   */
  #failed(id, frame) {
    // It may be about a subscribe message that is not acknowledged yet; else the subscription has ended.
    if (this.calls.fail(id, RpcError.from(frame.payload ?? {}))) return;
    // An answer to what nobody waits for any more is no news.
    if (!this.subscriptions.receive(frame) && !id) this.#stray(frame);
  }

  /**
   * @param {string} id
   * @param {Frame} frame
   */
  #progress(id, frame) {
    const progress = frame.job?.progress;
    if (typeof progress === 'number') this.calls.pending.get(id)?.options.onProgress?.(progress, frame);
  }

  /**
   * An error that nobody waits for is worth a word.
   * @param {Frame} frame
   */
  #stray({ type, payload }) {
    if (type === 'error') console.warn(`The server says: ${payload?.code}: ${payload?.message}`);
  }

  /** @param {number} since */
  #measure(since) {
    // The slowest counts, and is forgotten slowly.
    this.#roundTrip = Math.max(this.#environment.now() - since, 0.9 * this.#roundTrip);
  }

  // Life

  /** @param {Frame} frame */
  #welcomed(frame) {
    if (this.isReady && isSameGeneration(frame.gen, this.generation)) return;
    if (this.isReady) this.#lost();
    const previous = this.welcome;
    this.#writer.generation = frame.gen ?? null;
    this.welcome = { ...frame.payload, state: frame.payload?.state ?? {} };
    this.#page.hello.payload.lastKnownGen = frame.gen?.num ?? 0;
    this.#measure(this.#helloAt);
    this.isReady = true;
    this.link.welcomed();
    this.heartbeat.start(!this.link.isResumable);
    this.calls.open(this.subscriptions.renew());
    this.#page.onReadyChange.emit(true);
    if (previous) this.#compare(previous);
    this.#page.onWelcome.emit(this.welcome.state, this.welcome);
  }

  /** @param {any} previous */
  #compare({ viewId: previousViewId, serverEpoch }) {
    const { viewId } = this.welcome;
    const isNewView = viewId !== previousViewId;
    if (isNewView || this.welcome.serverEpoch !== serverEpoch) this.#page.onServerRestart.emit({ viewId, previousViewId, isNewView });
  }

  /** @param {boolean} isUp */
  #linked(isUp) {
    if (isUp) this.calls.resume();
    else this.calls.pause();
    if (this.isReady && isUp) this.heartbeat.start(false);
    else this.heartbeat.stop();
    this.#page.onLinkChange.emit(isUp);
  }

  #lost() {
    this.heartbeat.stop();
    const wasReady = this.isReady;
    this.isReady = false;
    this.calls.disconnected();
    this.exposed.disconnected();
    if (wasReady) this.#page.onReadyChange.emit(false);
  }
}
