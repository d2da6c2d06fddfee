/**
 * The WebSocket interface of https://websockets.spec.whatwg.org/ over a stream that survives its links.
 */

import { parseClose, parseProtocols, parseUrl, utf8Length } from './address.js';
import { Connection } from './connection.js';
import { environmentOf } from './environment.js';
import { Handlers, closeEvent } from './events.js';

/** @import { Environment } from './environment.js' */
/** @import { Message } from './stream.js' */

/**
 * A WebSocket whose connection may break without anybody noticing: messages arrive once and in order, and `readyState`
 * stays OPEN while the connection is made again. It differs from the browser's own in this only:
 *
 * - `bufferedAmount` counts what waits for a connection or for the server to acknowledge earlier messages, and while
 *   there is no connection everything that may have to be sent again;
 * - code 4413 closes a socket to which far more was sent than the server takes;
 * - `close()` without a code tells the server 1000;
 * - `linkdown` and `linkup` are dispatched when the connection is lost, and when it is there again.
 *
 * A server that chooses one of the given subprotocols instead of `chartroom.resume.v1` gets an ordinary WebSocket.
 */
export class ResumableWebSocket extends EventTarget {
  static CONNECTING = /** @type {const} */ (0);
  static OPEN = /** @type {const} */ (1);
  static CLOSING = /** @type {const} */ (2);
  static CLOSED = /** @type {const} */ (3);

  #url;
  #origin;
  #connection;
  #handlers = new Handlers(this);
  /** @type {number} */
  #readyState = ResumableWebSocket.CONNECTING;
  #protocol = '';
  #extensions = '';
  /** @type {BinaryType} */
  #binaryType = 'blob';
  /** Bytes of messages that came after the end. */
  #refusedBytes = 0;

  /**
   * @param {string | URL} url
   * @param {string | Iterable<string>} [protocols] that the server may choose instead of ours
   * @param {Environment} [environment] of tests, or of a page whose WebSocket was replaced
   */
  constructor(url, protocols, environment = environmentOf(globalThis)) {
    super();
    const parsed = parseUrl(url, environment.base());
    this.#url = parsed.href;
    this.#origin = parsed.origin;
    this.#connection = new Connection(environment, parsed.href, parseProtocols(protocols), {
      opened: (protocol, extensions) => this.#opened(protocol, extensions),
      received: (data) => this.#received(data),
      linked: (isUp) => this.dispatchEvent(new Event(isUp ? 'linkup' : 'linkdown')),
      ended: (code, reason, wasClean, failed) => this.#ended(code, reason, wasClean, failed),
    });
  }

  get url() {
    return this.#url;
  }

  get readyState() {
    return this.#readyState;
  }

  get protocol() {
    return this.#protocol;
  }

  get extensions() {
    return this.#extensions;
  }

  get bufferedAmount() {
    return this.#connection.bufferedAmount + this.#refusedBytes;
  }

  get binaryType() {
    return this.#binaryType;
  }

  set binaryType(type) {
    // An unknown value of an enumeration is passed over, by Web IDL.
    if (type !== 'blob' && type !== 'arraybuffer') return;
    this.#binaryType = type;
    this.#connection.binaryType = type;
  }

  /** @returns {((this: WebSocket, event: Event) => any) | null} */
  get onopen() {
    return this.#handlers.get('open');
  }

  set onopen(handler) {
    this.#handlers.set('open', handler);
  }

  /** @returns {((this: WebSocket, event: MessageEvent) => any) | null} */
  get onmessage() {
    return this.#handlers.get('message');
  }

  set onmessage(handler) {
    this.#handlers.set('message', handler);
  }

  /** @returns {((this: WebSocket, event: Event) => any) | null} */
  get onerror() {
    return this.#handlers.get('error');
  }

  set onerror(handler) {
    this.#handlers.set('error', handler);
  }

  /** @returns {((this: WebSocket, event: CloseEvent) => any) | null} */
  get onclose() {
    return this.#handlers.get('close');
  }

  set onclose(handler) {
    this.#handlers.set('close', handler);
  }

  /** @param {string | ArrayBufferLike | Blob | ArrayBufferView} data */
  send(data) {
    if (arguments.length === 0) throw new TypeError('send() needs something to send.');
    if (this.#readyState === ResumableWebSocket.CONNECTING) {
      throw new DOMException('The socket is still connecting.', 'InvalidStateError');
    }
    const isOpen = this.#readyState === ResumableWebSocket.OPEN;
    const { message, size } = isOpen ? snapshot(data) : { message: '', size: sizeOf(data) };
    if (!isOpen) this.#refusedBytes += size;
    else if (!this.#connection.send(message, size)) this.#readyState = ResumableWebSocket.CLOSING;
  }

  /**
   * @param {number} [code]
   * @param {string} [reason]
   */
  close(code, reason) {
    const close = parseClose(code, reason);
    if (this.#readyState >= ResumableWebSocket.CLOSING) return;
    this.#readyState = ResumableWebSocket.CLOSING;
    this.#connection.close(close.code, close.reason);
  }

  /**
   * @param {string} protocol
   * @param {string} extensions
   */
  #opened(protocol, extensions) {
    if (this.#readyState !== ResumableWebSocket.CONNECTING) return;
    this.#readyState = ResumableWebSocket.OPEN;
    this.#protocol = protocol;
    this.#extensions = extensions;
    this.dispatchEvent(new Event('open'));
  }

  /** @param {string | ArrayBuffer | Blob} data */
  #received(data) {
    if (this.#readyState !== ResumableWebSocket.OPEN) return;
    this.dispatchEvent(new MessageEvent('message', { data, origin: this.#origin }));
  }

  /**
   * @param {number} code
   * @param {string} reason
   * @param {boolean} wasClean
   * @param {boolean} failed
   */
  #ended(code, reason, wasClean, failed) {
    this.#readyState = ResumableWebSocket.CLOSED;
    if (failed) this.dispatchEvent(new Event('error'));
    this.dispatchEvent(closeEvent(code, reason, wasClean));
  }

  get [Symbol.toStringTag]() {
    return 'WebSocket';
  }
}

// As Web IDL has them: constants on the class and on every instance, and everything enumerable.
for (const [index, name] of ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'].entries()) {
  const constant = { value: index, enumerable: true };
  Object.defineProperty(ResumableWebSocket, name, { ...constant, writable: false, configurable: false });
  Object.defineProperty(ResumableWebSocket.prototype, name, constant);
}

/**
 * What is sent, as it must be kept until the server has it.
 *
 * Strings and Blobs never change. A buffer may be written to or transferred by the caller as soon as send() returns,
 * while the standard wants the bytes of the moment of the call to arrive, on whichever link that may be; so that one is
 * copied, once.
 * @param {unknown} data
 * @returns {{message: Message, size: number}}
 */
function snapshot(data) {
  if (isBlob(data)) return { message: data, size: data.size };
  const bytes = bytesOf(data);
  if (bytes) return { message: bytes.slice().buffer, size: bytes.byteLength };
  const text = `${data}`;
  return { message: text, size: utf8Length(text) };
}

/** @param {unknown} data */
function sizeOf(data) {
  return isBlob(data) ? data.size : bytesOf(data)?.byteLength ?? utf8Length(`${data}`);
}

/**
 * @param {unknown} data
 * @returns {Uint8Array<ArrayBuffer> | undefined} a view, not a copy
 */
function bytesOf(data) {
  // By their names rather than by instanceof: they may come from a frame.
  if (tag(data) === 'ArrayBuffer') return viewOf(/** @type {ArrayBuffer} */ (data));
  if (!ArrayBuffer.isView(data)) return undefined;
  if (tag(data.buffer) !== 'ArrayBuffer') throw new TypeError('A view of shared memory cannot be sent.');
  return viewOf(/** @type {ArrayBuffer} */ (data.buffer), data.byteOffset, data.byteLength);
}

/**
 * A detached buffer has no bytes.
 * @param {ArrayBuffer} buffer
 * @param {number} [start]
 * @param {number} [length]
 */
function viewOf(buffer, start, length) {
  return buffer.byteLength === 0 ? new Uint8Array(0) : new Uint8Array(buffer, start, length);
}

/**
 * @param {unknown} data
 * @returns {data is Blob}
 */
function isBlob(data) {
  return tag(data) === 'Blob' || tag(data) === 'File';
}

/** @param {unknown} value */
function tag(value) {
  return Object.prototype.toString.call(value).slice(8, -1);
}
