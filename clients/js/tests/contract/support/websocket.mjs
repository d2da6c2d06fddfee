/**
 * A WebSocket as browsers have it, with cookies, on any Node.js: text and binary messages without extensions (RFC 6455).
 */

import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';

const ACCEPT = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** The class for a browser that has these cookies: `() => string | undefined`. */
export function webSocketWith(cookie) {
  return class extends NodeWebSocket {
    constructor(url, protocols = []) {
      super(url, protocols, cookie());
    }
  };
}

class NodeWebSocket {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSING = 2;
  static CLOSED = 3;

  readyState = 0;
  protocol = '';
  extensions = '';
  binaryType = 'blob';
  bufferedAmount = 0;
  onopen = null;
  onmessage = null;
  onerror = null;
  onclose = null;
  #socket;
  #request;
  #received = Buffer.alloc(0);
  /** The code and reason that the other end closed with. */
  #farewell;

  constructor(url, protocols, cookie) {
    this.url = String(url);
    const key = randomBytes(16).toString('base64');
    const offered = [protocols].flat();
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': key,
      ...(offered.length > 0 ? { 'sec-websocket-protocol': offered.join(', ') } : {}),
      ...(cookie ? { cookie } : {}),
    };
    this.#request = request(this.url.replace(/^ws/, 'http'), { headers });
    this.#request.on('upgrade', (response, socket, head) => {
      const expected = createHash('sha1').update(key + ACCEPT).digest('base64');
      const { 'sec-websocket-accept': accept, 'sec-websocket-protocol': protocol = '' } = response.headers;
      // As in browsers: one of those that were offered, if any were.
      if (accept !== expected || (offered.length > 0) !== offered.includes(protocol)) {
        socket.destroy();
        return this.#fail();
      }
      this.protocol = protocol;
      this.#open(socket, head);
    });
    this.#request.on('response', (response) => {
      response.resume();
      this.#fail();
    });
    this.#request.on('error', () => this.#fail());
    this.#request.end();
  }

  send(data) {
    if (this.readyState === 0) throw new DOMException('The socket is not open.', 'InvalidStateError');
    if (this.readyState !== 1) return;
    const bytes = typeof data === 'string' ? Buffer.from(data) : Buffer.from(data.buffer ?? data, data.byteOffset, data.byteLength);
    this.#write(typeof data === 'string' ? TEXT : BINARY, bytes);
  }

  close(code, reason = '') {
    if (this.readyState >= 2) return;
    const isOpen = this.readyState === 1;
    this.readyState = 2;
    if (!isOpen) return this.#request.destroy(new Error('closed'));
    this.#write(CLOSE, farewell(code, reason));
  }

  #open(socket, head) {
    this.#socket = socket;
    this.readyState = 1;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', () => {});
    socket.on('close', () => this.#end());
    this.onopen?.({ type: 'open' });
    if (head.length > 0) this.#take(head);
  }

  #fail() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    queueMicrotask(() => {
      this.onerror?.({ type: 'error' });
      this.onclose?.({ type: 'close', code: 1006, reason: '', wasClean: false });
    });
  }

  #end() {
    this.readyState = 3;
    const { code, reason } = this.#farewell ?? { code: 1006, reason: '' };
    if (!this.#farewell) this.onerror?.({ type: 'error' });
    this.onclose?.({ type: 'close', code, reason, wasClean: this.#farewell !== undefined });
  }

  /** Messages of clients are masked, in one frame each. */
  #write(opcode, payload) {
    const { length } = payload;
    const size = length < 126 ? [length] : length < 65536 ? [126, length >> 8, length & 255] : [127, 0, 0, 0, 0, ...bytesOf(length)];
    size[0] |= 0x80;
    const mask = randomBytes(4);
    const masked = Buffer.from(payload);
    for (let at = 0; at < length; at += 1) masked[at] ^= mask[at & 3];
    this.#socket.write(Buffer.concat([Buffer.from([0x80 | opcode, ...size]), mask, masked]));
  }

  #take(chunk) {
    this.#received = Buffer.concat([this.#received, chunk]);
    for (;;) {
      const frame = firstFrame(this.#received);
      if (!frame) return;
      this.#received = this.#received.subarray(frame.end);
      this.#frame(frame);
    }
  }

  #frame({ opcode, payload }) {
    if (opcode === PING) this.#write(PONG, payload);
    if (opcode === CLOSE) {
      this.#farewell = payload.length < 2 ? { code: 1005, reason: '' } : { code: payload.readUInt16BE(), reason: payload.toString('utf8', 2) };
      if (this.readyState === 1) this.#write(CLOSE, payload);
      this.readyState = 2;
      this.#socket.end();
    }
    if (this.readyState !== 1) return;
    if (opcode === TEXT) this.onmessage?.({ type: 'message', data: payload.toString() });
    if (opcode === BINARY) this.onmessage?.({ type: 'message', data: new Uint8Array(payload).buffer });
  }
}

function bytesOf(length) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
}

function farewell(code = 1000, reason) {
  const text = Buffer.from(reason);
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(code);
  return Buffer.concat([bytes, text]);
}

/** The first frame, if all of it has come. Servers do not mask; this one sends each message in one frame. */
function firstFrame(bytes) {
  if (bytes.length < 2) return undefined;
  const short = bytes[1] & 0x7f;
  const begin = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < begin) return undefined;
  const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  const end = begin + length;
  if (bytes.length < end) return undefined;
  return { opcode: bytes[0] & 0x0f, payload: Buffer.from(bytes.subarray(begin, end)), end };
}
