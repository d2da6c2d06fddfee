// A bad network between browser and server: a TCP proxy that cuts, refuses and swallows.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

import { whileTaken } from './server.mjs';

/** What a WebSocket begins with; every other connection carries files of the page or REST calls. */
const UPGRADE = /^upgrade: *websocket\r$/im;

/** Starts a network with a port of its own in front of a server. */
export async function startNetwork(server) {
  const network = new Network(server.port);
  await network.restore();
  return network;
}

class Network {
  /** How many WebSockets there have been. */
  links = 0;

  /** How many bytes have come from the server over WebSockets. */
  received = 0;

  #serverPort;
  #port = 0;
  #listener;
  #connections = new Set();
  #stalled = false;
  /** Bytes that still pass from the server over WebSockets before they are cut. */
  #allowance = Infinity;

  constructor(serverPort) {
    this.#serverPort = serverPort;
  }

  /** The server's address as seen through this network. */
  through(address) {
    const url = new URL(address);
    url.port = String(this.#port);
    return url;
  }

  /** Resets all connections; new ones are possible. */
  cut() {
    this.#connections.forEach((connection) => connection.reset());
  }

  /** Resets the WebSockets, in the middle of a frame as it may be, when so many more bytes have come from the server. */
  cutAfter(bytes) {
    this.#allowance = bytes;
  }

  /** Whether the cut that was ordered with `cutAfter` is still to come. */
  get isCutAhead() {
    return this.#allowance !== Infinity;
  }

  /** Resets all connections and refuses new ones until `restore`. */
  async fail() {
    const listener = this.#listener;
    this.#listener = undefined;
    if (listener) {
      const closed = once(listener, 'close');
      listener.close();
      this.cut();
      await closed;
    }
  }

  /** Takes connections again. */
  async restore() {
    if (this.#listener) return;
    // The ends of a connection close on their own: what is half open must be able to stay so.
    const listener = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    await whileTaken(() => once(listener.listen(this.#port, '127.0.0.1'), 'listening'));
    this.#listener = listener;
    this.#port = listener.address().port;
  }

  /** From now on nothing passes in either direction, and neither end is told. New connections are taken, in silence. */
  stall() {
    this.#stalled = true;
    this.#connections.forEach((connection) => connection.pause());
  }

  /** Lets everything pass again, what was held up included. */
  flow() {
    this.#stalled = false;
    this.#connections.forEach((connection) => connection.resume());
  }

  stop() {
    return this.fail();
  }

  #accept(browser) {
    const connection = new Connection(browser, connect({ port: this.#serverPort, host: '127.0.0.1', allowHalfOpen: true }), {
      isLink: () => {
        this.links += 1;
      },
      admit: (bytes) => this.#admit(bytes),
      ended: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
    if (this.#stalled) connection.pause();
  }

  /** How many of so many bytes for a WebSocket may pass. */
  #admit(bytes) {
    const admitted = Math.min(bytes, this.#allowance);
    this.received += admitted;
    this.#allowance -= admitted;
    if (admitted < bytes) this.#allowance = Infinity;
    return admitted;
  }
}

/** A connection of the browser and the one to the server that carries it on. */
class Connection {
  #browser;
  #server;
  #isPaused = false;

  constructor(browser, server, { isLink, admit, ended }) {
    this.#browser = browser;
    this.#server = server;
    let link = false;
    browser.once('data', (chunk) => {
      link = UPGRADE.test(chunk.toString('latin1'));
      if (link) isLink();
    });
    browser.on('data', (chunk) => this.#forward(browser, server, chunk));
    server.on('data', (chunk) => {
      const admitted = link ? admit(chunk.length) : chunk.length;
      this.#forward(server, browser, chunk.subarray(0, admitted));
      // The rest is lost together with the connection, but what passed arrives: a reset at once might overtake it.
      if (admitted < chunk.length) browser.write('', () => this.reset());
    });
    browser.on('end', () => server.end());
    server.on('end', () => browser.end());
    for (const socket of [browser, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => this.reset());
      socket.on('close', () => {
        if (browser.destroyed && server.destroyed) ended();
      });
    }
  }

  reset() {
    for (const socket of [this.#browser, this.#server]) {
      if (!socket.destroyed) socket.resetAndDestroy();
    }
  }

  pause() {
    this.#isPaused = true;
    this.#browser.pause();
    this.#server.pause();
  }

  resume() {
    this.#isPaused = false;
    this.#browser.resume();
    this.#server.resume();
  }

  /** Passes bytes on, and reads no more while the receiver does not take them. */
  #forward(from, to, chunk) {
    if (to.destroyed || to.write(chunk)) return;
    from.pause();
    to.once('drain', () => this.#isPaused || from.resume());
  }
}
