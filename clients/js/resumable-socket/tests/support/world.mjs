/**
 * A page's world in memory: time, network, server, and sockets that write down what they see.
 */

import { ResumableWebSocket } from '../../socket.js';
import { Clock } from './clock.mjs';
import { Network } from './network.mjs';
import { Server } from './server.mjs';

export class World {
  clock = new Clock();
  network = new Network(this.clock);
  server = new Server(this.network);
  /** What random numbers come out, between 0 and 1. */
  chance = 0.5;
  #moments = new Set();

  get environment() {
    return {
      WebSocket: this.network.WebSocket,
      now: () => this.clock.now,
      setTimeout: this.clock.setTimeout,
      clearTimeout: this.clock.clearTimeout,
      random: () => this.chance,
      base: () => 'https://chartroom.example/folder/page.html',
      observe: (moments) => {
        this.#moments.add(moments);
        return () => this.#moments.delete(moments);
      },
    };
  }

  /** How many sockets watch the page's life. */
  get observers() {
    return this.#moments.size;
  }

  wake() {
    for (const moments of [...this.#moments]) moments.wake();
  }

  leave() {
    for (const moments of [...this.#moments]) moments.leave();
  }

  /** A socket whose events and messages are written to its `events` and `messages`. */
  socket(url = 'wss://chartroom.example/', protocols = undefined) {
    const socket = new ResumableWebSocket(url, protocols, this.environment);
    socket.binaryType = 'arraybuffer';
    socket.events = [];
    socket.messages = [];
    for (const type of ['open', 'error', 'linkdown', 'linkup']) {
      socket.addEventListener(type, () => socket.events.push(type));
    }
    socket.addEventListener('message', ({ data }) => socket.messages.push(data));
    socket.addEventListener('close', ({ code, wasClean }) => socket.events.push(`close ${code} ${wasClean}`));
    return socket;
  }

  /** The same, open. */
  open(url, protocols) {
    const socket = this.socket(url, protocols);
    this.clock.advance(100);
    return socket;
  }
}
