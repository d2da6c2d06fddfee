/**
 * A stream and the links that carry it, one after another: handshake, heartbeats, reconnection.
 * See docs/resume-protocol.md.
 */

import { delay } from './backoff.js';
import { Liveness } from './liveness.js';
import { DELAY, Stream } from './stream.js';
import { HEARTBEAT, HEARTBEAT_ANSWER, PROTOCOL, ProtocolError, acknowledgement, escapeText, hello, read } from './wire.js';

/** @import { Environment } from './environment.js' */
/** @import { Message } from './stream.js' */
/** @import { Refusal, Welcome } from './wire.js' */

/** Milliseconds for an attempt to connect, and for a closing handshake. */
const PATIENCE = 10_000;
/** An attempt that is older than this when the page wakes up was begun in another world. */
const STALE = 2_000;
/** A link that held for so long ends a row of failed attempts. A welcome alone does not: it may be followed by the
 * same disaster again. */
const STEADY = 5_000;

/** Close codes; the page docs/resume-protocol.md has all. */
const NORMAL = 1000;
const NO_CODE = 1005;
const ABNORMAL = 1006;
const PROTOCOL_ERROR = 4400;
const REFUSED = 4410;
const OVERFLOW = 4413;

/**
 * Whether a close code of the server ends the stream, not only the link.
 * @param {number} code
 */
function isFinal(code) {
  const ownCodes = code >= 4000 && code <= 4499;
  const reserved = code > PROTOCOL_ERROR && code < 4408;
  return code === NORMAL || (ownCodes && !reserved);
}

/**
 * Who uses a connection. Everything is called in a task of its own, never from within a method of the connection.
 * @typedef {object} Owner
 * @property {(protocol: string, extensions: string) => void} opened
 * @property {(data: string | ArrayBuffer | Blob) => void} received a message of the application
 * @property {(isUp: boolean) => void} linked the opened stream lost its link, or has one again
 * @property {(code: number, reason: string, wasClean: boolean, failed: boolean) => void} ended
 */

/**
 * - `opening`: the first link is not welcomed yet;
 * - `plain`: the server chose another subprotocol, so that one link is all there is;
 * - `up`: the stream has a link;
 * - `down`: it has none, and the next attempt is planned;
 * - `reopening`: an attempt is under way;
 * - `ended`.
 * @typedef {'opening' | 'plain' | 'up' | 'down' | 'reopening' | 'ended'} State
 */

export class Connection {
  #environment;
  #url;
  #protocols;
  #owner;
  #forgetMoments;
  /** @type {State} */
  #state = 'opening';
  /** @type {WebSocket | undefined} */
  #link;
  /** @type {BinaryType} */
  #binaryType = 'blob';
  #stream = new Stream(0);
  /** What the server is told to resume the stream. It lives here only: a reloaded page is a new one. */
  #identity = { stream: '', secret: '', epoch: '' };
  /** Hellos for this stream that were sent. */
  #hellos = 0;
  #retention = 0;
  /** When something was heard last. */
  #heard;
  #liveness = new Liveness(1, 0);
  /** How many links in a row fell silent before the message after the `received` ones was there. */
  #silence = { received: -1, times: 0 };
  /** When the state began. */
  #since;
  /** Attempts in a row that have failed. */
  #attempts = 0;
  /** The page is going away and must not reconnect. */
  #leaving = false;
  /** Set when the application has closed. @type {{code: number | undefined, reason: string} | undefined} */
  #closing;
  #bytesLeft = 0;

  /** What is to happen next in the present state. @type {any} */
  #timer;
  /** @type {any} */
  #acknowledgementTimer;
  /** @type {any} */
  #closingTimer;

  /**
   * @param {Environment} environment
   * @param {string} url
   * @param {string[]} protocols which the server may choose instead of ours
   * @param {Owner} owner
   */
  constructor(environment, url, protocols, owner) {
    this.#environment = environment;
    this.#url = url;
    this.#protocols = [PROTOCOL, ...protocols];
    this.#owner = owner;
    this.#heard = this.#since = environment.now();
    // A failure of the first link is the application's: it may have its own way of trying again.
    this.#connect('opening');
    this.#forgetMoments = environment.observe({ wake: () => this.#wake(), leave: () => this.#leave() });
  }

  /** @param {BinaryType} type */
  set binaryType(type) {
    this.#binaryType = type;
    if (this.#link) this.#link.binaryType = type;
  }

  /** Whether the server chose another subprotocol, so that there is no stream. */
  get isPlain() {
    return this.#state === 'plain';
  }

  /** That of a WebSocket: 1 from when it was opened until it begins to be closed. */
  get readyState() {
    switch (this.#state) {
      case 'opening':
        return 0;
      case 'plain':
        return this.#link?.readyState ?? 3;
      case 'ended':
        return 3;
      default:
        return this.#closing ? 2 : 1;
    }
  }

  /** Bytes of the application that wait to be transmitted; without a link, all that may have to be sent again. */
  get bufferedAmount() {
    switch (this.#state) {
      case 'plain':
        return this.#link?.bufferedAmount ?? 0;
      case 'up':
        return this.#stream.waiting + (this.#link?.bufferedAmount ?? 0);
      case 'ended':
        return this.#bytesLeft;
      default:
        return this.#stream.bytes;
    }
  }

  /**
   * Sends a message once the connection was opened and before it was closed.
   * @param {Message} message
   * @param {number} size in bytes
   * @returns {boolean} false if the connection ends because of it
   */
  send(message, size) {
    if (this.#state === 'plain') {
      this.#link?.send(/** @type {any} */ (message));
      return true;
    }
    const escaped = typeof message === 'string' ? escapeText(message) : message;
    if (!this.#stream.push(escaped, size)) {
      const reason = 'The server did not take what was sent.';
      this.#release(OVERFLOW, reason);
      this.#environment.setTimeout(() => this.#owner.ended(OVERFLOW, reason, false, true), 0);
      return false;
    }
    this.#flush();
    return true;
  }

  /**
   * Ends the stream after everything was sent. Without a link that takes one more, so that the server need not keep
   * the stream; it is not waited for for long.
   * @param {number | undefined} code
   * @param {string} reason
   */
  close(code, reason) {
    this.#closing = { code, reason };
    this.#closingTimer = this.#environment.setTimeout(() => this.#end(ABNORMAL, '', false, true), PATIENCE);
    switch (this.#state) {
      case 'plain':
        return code === undefined ? this.#link?.close() : this.#link?.close(code, reason);
      case 'opening':
        return this.#link?.close(NORMAL);
      case 'up':
        return this.#sayGoodbye();
      case 'down':
        return this.#connect('reopening');
    }
  }

  /** Always with a code: a link that is closed without one is lost, and its stream is kept. */
  #sayGoodbye() {
    this.#flush();
    this.#link?.close(this.#closing?.code ?? NORMAL, this.#closing?.reason);
  }

  // Links

  /** @param {'opening' | 'reopening'} state */
  #connect(state) {
    this.#enter(state);
    const link = this.#tryLink(state);
    if (!link) return this.#lose();
    this.#link = link;
    link.binaryType = this.#binaryType;
    let opened = false;
    let failed = false;
    link.onopen = () => {
      opened = true;
      this.#greet(link);
    };
    link.onmessage = ({ data }) => this.#receive(data);
    link.onerror = () => {
      failed = true;
      // Browsers say next that it is closed. Node.js does not, if the link was never open.
      if (!opened) this.#closed(ABNORMAL, '', false, true);
    };
    link.onclose = ({ code, reason, wasClean }) => this.#closed(code, reason, wasClean, failed);
    // The first attempt takes as long as the browser lets it, as for any WebSocket.
    if (state === 'reopening') this.#after(PATIENCE, () => this.#lose());
  }

  /** @param {'opening' | 'reopening'} state */
  #tryLink(state) {
    try {
      return new this.#environment.WebSocket(this.#url, this.#protocols);
    } catch (error) {
      // What the browser refuses at once is the caller's business while it is still there to hear of it.
      if (state === 'opening') throw error;
      return undefined;
    }
  }

  /** @param {WebSocket} link */
  #greet(link) {
    if (link.protocol !== PROTOCOL && this.#state === 'opening') {
      this.#enter('plain');
      return this.#owner.opened(link.protocol, link.extensions);
    }
    if (link.protocol !== PROTOCOL) return this.#lose();
    if (this.#state === 'opening') {
      link.send(hello());
      return this.#after(PATIENCE, () => this.#end(ABNORMAL, '', false, true));
    }
    const { received, acknowledged } = this.#stream;
    this.#hellos += 1;
    link.send(hello({ ...this.#identity, received, acknowledged, attempt: this.#hellos }));
    this.#stream.settle();
  }

  /** @param {string | ArrayBuffer | Blob} data */
  #receive(data) {
    this.#heard = this.#environment.now();
    this.#liveness.heard(this.#heard);
    if (this.#state === 'plain') return this.#owner.received(data);
    // Closed by the application before it was open: it is not to open any more.
    if (this.#state === 'opening' && this.#closing) return;
    try {
      if (this.#state === 'up') this.#handle(data);
      else this.#welcomed(data);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#end(PROTOCOL_ERROR, error.message, false, true);
    }
  }

  /** @param {string | ArrayBuffer | Blob} data */
  #welcomed(data) {
    const message = typeof data === 'string' ? read(data) : undefined;
    if (message?.kind === 'refused') return this.#refused(message.refusal);
    if (message?.kind !== 'welcome') throw new ProtocolError('The first message of the server is no handshake.');
    const { welcome } = message;
    const isNew = this.#state === 'opening';
    if (welcome.resumed === isNew || (!isNew && welcome.stream !== this.#identity.stream)) {
      throw new ProtocolError('The server took this stream for another one.');
    }
    if (!this.#adopt(welcome)) return this.#end(REFUSED, 'The server lacks messages that it had.', true, false);
    this.#enter('up');
    this.#liveness = new Liveness(welcome.liveness, this.#since, this.#indulgence());
    this.#lookLater();
    if (isNew) return this.#owner.opened('', this.#link?.extensions ?? '');
    this.#owner.linked(true);
    if (this.#closing) this.#sayGoodbye();
    else this.#flush();
  }

  /**
   * @param {Welcome} welcome
   * @returns {boolean} whether nothing is missing
   */
  #adopt({ stream, secret, epoch, received, retention, limit }) {
    this.#identity = { stream, secret: secret ?? this.#identity.secret, epoch };
    this.#retention = retention * 1000;
    this.#stream.limit = limit;
    return this.#stream.resume(received);
  }

  /** @param {Refusal} refusal */
  #refused({ reason, message }) {
    if (reason !== 'stopping') return this.#end(REFUSED, message, true, false);
    if (this.#state === 'opening') return this.#end(ABNORMAL, '', false, true);
    this.#lose();
  }

  /**
   * The browser says that the link is closed.
   * @param {number} code
   * @param {string} reason
   * @param {boolean} wasClean
   * @param {boolean} failed
   */
  #closed(code, reason, wasClean, failed) {
    if (this.#state === 'plain') return this.#end(code, reason, wasClean, failed);
    if (this.#state === 'opening') {
      // By the standard, a connection that the application closes before it is open has failed.
      return this.#closing ? this.#end(ABNORMAL, '', false, true) : this.#end(code, reason, wasClean, !wasClean);
    }
    if (this.#state === 'up' && this.#closing) {
      // Where the application gave no code, it is to see none.
      const isEcho = wasClean && code === NORMAL && this.#closing.code === undefined;
      return this.#end(isEcho ? NO_CODE : code, reason, wasClean, !wasClean);
    }
    if (isFinal(code)) return this.#end(code, reason, wasClean, false);
    this.#lose();
  }

  // Messages

  /** @param {string | ArrayBuffer | Blob} data */
  #handle(data) {
    if (typeof data !== 'string') return this.#take(data, data instanceof ArrayBuffer ? data.byteLength : data.size);
    const message = read(data);
    switch (message.kind) {
      case 'text':
        return this.#take(message.text, message.text.length);
      case 'skip':
        this.#stream.take(0, this.#heard, message.count);
        return this.#acknowledgeInTime();
      case 'acknowledge':
        this.#stream.acknowledge(message.count);
        return this.#flush();
      case 'heartbeat':
        this.#acknowledge();
        return this.#write(HEARTBEAT_ANSWER);
      case 'answer':
        return;
      default:
        throw new ProtocolError('A handshake was received in the middle of a conversation.');
    }
  }

  /**
   * @param {string | ArrayBuffer | Blob} data
   * @param {number} size
   */
  #take(data, size) {
    // Counted first: what the application answers carries the acknowledgement.
    this.#stream.take(size, this.#heard);
    this.#owner.received(data);
    this.#acknowledgeInTime();
  }

  /** Where timers are held up, at least what arrives does not wait for them. */
  #acknowledgeInTime() {
    if (this.#state !== 'up' || !this.#stream.owes) return;
    if (this.#stream.isDue(this.#heard)) return this.#acknowledge();
    this.#acknowledgementTimer ??= this.#environment.setTimeout(() => this.#acknowledge(), DELAY);
  }

  #acknowledge() {
    this.#clearAcknowledgementTimer();
    if (this.#state !== 'up' || !this.#stream.owes) return;
    this.#stream.settle();
    this.#write(acknowledgement(this.#stream.received));
  }

  #flush() {
    while (this.#state === 'up') {
      const message = this.#stream.next(this.#closing !== undefined);
      if (message === undefined) return;
      this.#acknowledge();
      this.#write(message);
    }
  }

  /**
   * A link that closes, which is not known before it has closed, takes nothing; it is sent again over the next one.
   * @param {any} message
   */
  #write(message) {
    if (this.#link?.readyState === 1) this.#link.send(message);
  }

  // Life and death

  #lookLater() {
    this.#after(Math.max(0, this.#liveness.planned - this.#environment.now()), () => {
      const verdict = this.#liveness.look(this.#environment.now());
      if (verdict === 'dead') {
        this.#silence = { received: this.#stream.received, times: this.#indulgence() === 1 ? 1 : this.#silence.times + 1 };
        return this.#lose();
      }
      if (verdict === 'ask') this.#write(HEARTBEAT);
      this.#lookLater();
    });
  }

  /**
   * How much longer than usual a silence may be. A browser tells nothing of a message before it is there as a whole: on
   * a slow line, a large one looks like a dead link. It must not be given up and begun anew for ever.
   */
  #indulgence() {
    const { received, times } = this.#silence;
    return received === this.#stream.received ? 2 ** Math.min(times, 6) : 1;
  }

  /** The page is visible, back, or online again: whatever was true of the link before may have changed. */
  #wake() {
    this.#leaving = false;
    const now = this.#environment.now();
    if (this.#state === 'up') {
      this.#liveness.doubt(now);
      this.#write(HEARTBEAT);
      this.#lookLater();
    }
    const isStale = this.#state === 'reopening' && now - this.#since >= STALE;
    if (this.#state !== 'down' && !isStale) return;
    this.#attempts = 0;
    this.#reconnect();
  }

  /**
   * The browser closes the link itself, with code 1001, which tells the server that the page is gone. A page that
   * comes back from the browser's cache is woken up.
   */
  #leave() {
    this.#leaving = true;
    if (this.#state === 'down') this.#after(0, () => {});
  }

  /** The link is lost; the stream is not. */
  #lose() {
    const wasUp = this.#state === 'up';
    if (wasUp && this.#closing) return this.#end(ABNORMAL, '', false, true);
    // Without a code, so that the stream is kept.
    this.#dropLink();
    if (wasUp && this.#environment.now() - this.#since >= STEADY) this.#attempts = 0;
    this.#enter('down');
    if (this.#isOver()) return this.#end(ABNORMAL, '', false, true);
    if (!this.#leaving) {
      this.#after(delay(this.#attempts, this.#environment.random), () => this.#reconnect());
      this.#attempts += 1;
    }
    if (wasUp) this.#owner.linked(false);
  }

  #reconnect() {
    this.#dropLink();
    if (this.#isOver()) return this.#end(ABNORMAL, '', false, true);
    this.#connect('reopening');
  }

  #isOver() {
    return this.#environment.now() - this.#heard > this.#retention;
  }

  /**
   * @param {number} code
   * @param {string} reason
   * @param {boolean} wasClean
   * @param {boolean} failed whether an error is to be reported too
   */
  #end(code, reason, wasClean, failed) {
    this.#release(code, reason);
    this.#owner.ended(code, reason, wasClean, failed);
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #release(code, reason) {
    this.#bytesLeft = this.bufferedAmount;
    // Whatever ended the stream, the server need not keep it. The browser lets only some codes be sent.
    if (code === PROTOCOL_ERROR || code === OVERFLOW) this.#dropLink(code, reason);
    else this.#dropLink(NORMAL);
    this.#enter('ended');
    this.#environment.clearTimeout(this.#closingTimer);
    this.#stream = new Stream(0);
    this.#forgetMoments();
  }

  /**
   * @param {number} [code]
   * @param {string} [reason]
   */
  #dropLink(code, reason) {
    const link = this.#link;
    if (!link) return;
    this.#link = undefined;
    link.onopen = link.onmessage = link.onerror = link.onclose = null;
    link.close(code, reason);
  }

  // Timers

  /** @param {State} state */
  #enter(state) {
    this.#state = state;
    this.#since = this.#environment.now();
    this.#environment.clearTimeout(this.#timer);
    this.#clearAcknowledgementTimer();
  }

  #clearAcknowledgementTimer() {
    this.#environment.clearTimeout(this.#acknowledgementTimer);
    this.#acknowledgementTimer = undefined;
  }

  /**
   * Plans the one thing that happens next unless the state changes.
   * @param {number} milliseconds
   * @param {() => void} action
   */
  #after(milliseconds, action) {
    this.#environment.clearTimeout(this.#timer);
    this.#timer = this.#environment.setTimeout(action, milliseconds);
  }
}
