/**
 * A network of memory and injected time. Its `WebSocket` does what a browser's does; its faults are those of real ones.
 */

import { closeEvent } from '../../events.js';

const LATENCY = 5;

export class Network {
  /** Every connection that was ever opened, oldest first. */
  connections = [];
  /** Connections are refused, as by a server that is not running. */
  isRefusing = false;
  /** Connections neither open nor fail, as through a router that drops everything. */
  isSilent = false;
  /** Connections that are refused are errors, and no close event follows, as in Node.js. */
  isNode = false;
  /** Called with the `Peer` of every connection that opens; returns the subprotocol that it chooses. */
  accept = () => '';
  /** How fast the line from the server is: what is behind a message arrives after it. */
  bytesPerSecond = Infinity;

  constructor(clock) {
    this.clock = clock;
    const network = this;
    this.WebSocket = class WebSocket extends NativeSocket {
      constructor(url, protocols) {
        super(network, url, protocols);
      }
    };
  }

  get last() {
    return this.connections.at(-1);
  }

  /** Breaks all connections; both ends notice. */
  cut() {
    for (const connection of this.connections) connection.cut();
  }

  /** From now on nothing comes through the present connections in either direction, and nobody notices. */
  stall() {
    for (const connection of this.connections) connection.stall();
  }
}

/** Two ends of a wire. Messages of both directions arrive in order, after the latency. */
class Wire {
  #clock;
  /** When what takes time has come through. */
  #busyUntil = 0;
  #isOpen = true;
  #isStalled = false;

  constructor(clock) {
    this.#clock = clock;
  }

  carry(deliver, duration = 0) {
    const { now } = this.#clock;
    if (duration > 0) this.#busyUntil = Math.max(this.#busyUntil, now) + duration;
    this.#clock.setTimeout(() => {
      if (this.#isOpen && !this.#isStalled) deliver();
    }, (duration > 0 ? this.#busyUntil - now : 0) + LATENCY);
  }

  get isOpen() {
    return this.#isOpen;
  }

  get isStalled() {
    return this.#isStalled;
  }

  break() {
    this.#isOpen = false;
  }

  stall() {
    this.#isStalled = true;
  }
}

/** The server's end of a connection. */
export class Peer {
  onmessage = () => {};
  onclose = () => {};
  /** What this end received, oldest first. */
  received = [];

  constructor(socket) {
    this.socket = socket;
  }

  send(data) {
    const { network } = this.socket;
    const seconds = (data.byteLength ?? data.length) / network.bytesPerSecond;
    this.socket.wire.carry(() => this.socket.deliver(data), 1000 * seconds);
  }

  close(code, reason = '') {
    this.socket.wire.carry(() => this.socket.closedByPeer(code, reason));
  }
}

class NativeSocket extends EventTarget {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSING = 2;
  static CLOSED = 3;

  readyState = 0;
  binaryType = 'blob';
  bufferedAmount = 0;
  protocol = '';
  extensions = '';
  onopen = null;
  onmessage = null;
  onerror = null;
  onclose = null;
  /** The code with which this end asked to close. */
  closedWith;

  constructor(network, url, protocols = []) {
    super();
    this.network = network;
    this.url = String(url);
    this.protocols = [protocols].flat();
    this.wire = new Wire(network.clock);
    this.peer = new Peer(this);
    network.connections.push(this);
    this.wire.carry(() => this.#open());
  }

  #open() {
    if (this.readyState !== 0 || this.network.isSilent) return;
    if (this.network.isRefusing) return this.#lost();
    this.protocol = this.network.accept(this.peer, this.protocols) ?? '';
    this.readyState = 1;
    this.#fire('open', new Event('open'));
  }

  send(data) {
    if (this.readyState === 0) throw new DOMException('The socket is still connecting.', 'InvalidStateError');
    if (this.readyState !== 1) return;
    const { peer } = this;
    this.wire.carry(() => {
      peer.received.push(data);
      peer.onmessage(data);
    });
  }

  close(code, reason = '') {
    if (this.readyState >= 2) return;
    this.closedWith = code;
    const wasOpen = this.readyState === 1;
    this.readyState = 2;
    if (!wasOpen) return void this.network.clock.setTimeout(() => this.#lost(), 0);
    this.wire.carry(() => {
      this.peer.onclose(code ?? 1005, reason);
      // The answer to a close is the same close.
      this.wire.carry(() => this.closedByPeer(code ?? 1005, reason));
    });
  }

  deliver(data) {
    if (this.readyState !== 1 && this.readyState !== 2) return;
    const isText = typeof data === 'string';
    const value = isText || this.binaryType === 'arraybuffer' ? data : new Blob([data]);
    this.#fire('message', new MessageEvent('message', { data: value }));
  }

  closedByPeer(code, reason) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.wire.break();
    // The server knows why it closed; what it did not hear from the client is no end of the stream.
    this.peer.onclose(1006, '');
    this.#fire('close', closeEvent(code, reason, true));
  }

  /** Both ends notice that the wire is broken. */
  cut() {
    if (this.readyState === 3 || this.wire.isStalled) return;
    this.wire.break();
    this.network.clock.setTimeout(() => this.peer.onclose(1006, ''), 0);
    this.network.clock.setTimeout(() => this.#lost(), 0);
  }

  stall() {
    this.wire.stall();
  }

  #lost() {
    if (this.readyState === 3) return;
    const wasOpen = this.readyState > 0;
    this.readyState = 3;
    this.wire.break();
    this.#fire('error', new Event('error'));
    if (wasOpen || !this.network.isNode) this.#fire('close', closeEvent(1006, '', false));
  }

  #fire(type, event) {
    this[`on${type}`]?.(event);
    this.dispatchEvent(event);
  }
}
