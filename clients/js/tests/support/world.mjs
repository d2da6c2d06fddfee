/**
 * A page and a server of the RPC in a network of memory and injected time.
 */

import { Clock } from '../../resumable-socket/tests/support/clock.mjs';
import { Network } from '../../resumable-socket/tests/support/network.mjs';
import { Server as Streams } from '../../resumable-socket/tests/support/server.mjs';
import { RpcClient } from '../../rpc/index.js';

export class World {
  clock = new Clock();
  network = new Network(this.clock);
  /** Every frame of the client, oldest first; `socket` says on which connection it came. */
  frames = [];
  /** When the server takes a message. */
  delays = (take) => take();
  /** Whether hellos are welcomed, and other frames acknowledged. */
  welcomes = true;
  acknowledges = true;
  /** More of the welcome's payload. */
  welcome = { viewId: 'v_1', state: { greeting: 'hello' }, serverEpoch: 'e1', resumed: true };
  /** Answers a frame: `(frame, server) => void`. */
  onframe = () => {};
  chance = 0.5;
  #generations = 0;
  #frames = 0;
  #moments = new Set();
  /** What was welcomed, by socket: how to send to it, and its generation. */
  #pages = new Map();
  /** The one that spoke last. */
  #page;

  constructor() {
    this.network.accept = (peer) => {
      const socket = this.network.connections.length;
      peer.onmessage = (data) => this.delays(() => this.#take(data, (text) => peer.send(text), socket));
      return '';
    };
  }

  /** The generation of the page that spoke last. */
  get generation() {
    return this.#page?.generation ?? null;
  }

  get environment() {
    return {
      WebSocket: this.network.WebSocket,
      now: () => this.clock.now,
      setTimeout: this.clock.setTimeout,
      clearTimeout: this.clock.clearTimeout,
      random: () => this.chance,
      base: () => 'https://chartroom.example/',
      observe: (moments) => {
        this.#moments.add(moments);
        return () => this.#moments.delete(moments);
      },
    };
  }

  /** How many watch the page's life. */
  get observers() {
    return this.#moments.size;
  }

  wake() {
    for (const moments of [...this.#moments]) moments.wake();
  }

  /** From now on the server speaks the resumable transport. */
  resumable() {
    const streams = new Streams(this.network);
    streams.onmessage = (stream, data) => this.#take(data, (text) => stream.send(text), stream.name);
    return streams;
  }

  /** A client whose socket is open, and which was welcomed if the server does that. */
  async connect(options = {}) {
    const connecting = RpcClient.connect('/ws', { transport: 'plain', environment: this.environment, ...options });
    await this.pass(50);
    return connecting;
  }

  /** Lets time pass, and everything that waits for it. */
  async pass(milliseconds = 0) {
    const end = this.clock.now + milliseconds;
    for (let step = Math.max(1, milliseconds / 20); this.clock.now < end; ) {
      this.clock.advance(Math.min(step, end - this.clock.now));
      await settled();
    }
    await settled();
  }

  /** Frames of a type, oldest first. */
  of(type) {
    return this.frames.filter((frame) => frame.type === type);
  }

  /** The last frame of a type. */
  last(type) {
    return this.of(type).at(-1);
  }

  /** Sends a frame to the client, and lets it arrive. */
  async say(type, fields = {}) {
    this.send(type, fields);
    await this.pass(10);
  }

  send(type, fields = {}) {
    const id = `s-${++this.#frames}`;
    this.#page?.write(JSON.stringify({ v: '0.1', id, type, gen: this.generation, payload: {}, ...fields }));
    return id;
  }

  reply({ id, lane, route, idempotencyKey }, payload) {
    this.send('reply', { correlatesTo: id, lane, route, idempotencyKey, payload });
  }

  fail({ id, route }, payload) {
    this.send('error', { correlatesTo: id, lane: 'sys', route, payload });
  }

  #take(data, write, socket) {
    const frame = JSON.parse(data);
    this.frames.push(Object.defineProperty(frame, 'socket', { value: socket }));
    if (frame.type === 'hello') {
      if (!this.welcomes) return;
      const num = ++this.#generations;
      this.#pages.set(socket, { write, generation: { num, salt: `salt${num}` } });
      this.#page = this.#pages.get(socket);
      this.send('welcome', { lane: 'sys', payload: this.welcome });
      return;
    }
    this.#page = this.#pages.get(socket);
    if (this.acknowledges && frame.type !== 'ack') this.send('ack', { correlatesTo: frame.id, lane: 'sys' });
    this.onframe(frame, this);
  }
}

/** Everything that follows at once has happened. */
export function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What became of a promise: `{value}`, `{error}`, or `{}` as long as nothing did. */
export function watch(promise) {
  const outcome = {};
  promise.then(
    (value) => (outcome.value = value),
    (error) => (outcome.error = error),
  );
  return outcome;
}
