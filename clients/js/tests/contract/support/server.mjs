/**
 * The conformance server in a process of its own, browsers that visit it, and a network between them that can fail.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { RpcClient, bootstrap } from '../../../rpc/index.js';
import { webSocketWith } from './websocket.mjs';

const BINARY =
  process.env.CHARTROOM_RPC_CONFORMANCE ?? fileURLToPath(new URL('../../../../../target/debug/rpc-conformance', import.meta.url));

/** Starts a server that is gone at the end of the test. */
export async function startServer(test) {
  const server = new Server();
  test.after(() => server.end());
  await server.start();
  return server;
}

class Server {
  port = 0;
  #process;
  #listener;
  #connections = new Set();
  #upstream = 0;
  #leaving = [];

  /** Where pages find it, through the network. */
  get base() {
    return `http://127.0.0.1:${this.port}`;
  }

  async start() {
    await this.#launch();
    await this.restore();
  }

  /** Ends the server without a word, and starts another one at the same address. */
  async restart() {
    await this.#kill();
    await this.#launch();
  }

  async end() {
    for (const leave of this.#leaving) leave();
    this.cut();
    this.#listener?.close();
    await this.#kill();
  }

  /** Ends all connections, without a word to their WebSockets. */
  cut() {
    for (const socket of this.#connections) socket.destroy();
    this.#connections.clear();
  }

  /** Ends all connections, and takes no new ones. */
  async fail() {
    const closed = once(this.#listener, 'close');
    this.#listener.close();
    this.cut();
    await closed;
  }

  /** Takes connections. */
  async restore() {
    this.#listener = createServer((page) => this.#forward(page));
    this.#listener.listen(this.port, '127.0.0.1');
    await once(this.#listener, 'listening');
    this.port = this.#listener.address().port;
  }

  browser() {
    return new Browser(this, (leave) => this.#leaving.push(leave));
  }

  #forward(page) {
    const server = connect(this.#upstream, '127.0.0.1');
    const both = [page, server];
    for (const [from, to] of [both, [server, page]]) {
      this.#connections.add(from);
      from.setNoDelay(true);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#connections.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }

  async #launch() {
    this.#process = spawn(BINARY, ['--ack-wait-ms', '10000'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const failed = once(this.#process, 'error').then(([error]) => {
      throw new Error(`${BINARY} does not start: cargo build -p chartroom-testkit --bin rpc-conformance`, { cause: error });
    });
    const [line] = await Promise.race([once(createInterface(this.#process.stdout), 'line'), failed]);
    this.#upstream = Number(/:(\d+)$/.exec(line)[1]);
  }

  async #kill() {
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }
}

/** A browser as far as the client can see: cookies, and a window for each tab. */
class Browser {
  cookie;
  #server;
  #remember;

  constructor(server, remember) {
    this.#server = server;
    this.#remember = remember;
  }

  fetch = async (url, { headers, ...options } = {}) => {
    const answer = await fetch(url, { ...options, headers: { ...headers, ...(this.cookie ? { cookie: this.cookie } : {}) } });
    this.cookie = answer.headers.getSetCookie()[0]?.split(';')[0] ?? this.cookie;
    return answer;
  };

  /** Opens a tab and bootstraps it. */
  async open({ scope = { sessionStorage: new Storage(), localStorage: new Storage() }, ...options } = {}) {
    const page = await bootstrap({ base: this.#server.base, fetch: this.fetch, scope, ...this.#world(), ...options });
    return { ...page, scope, rpc: this.#patient(page.rpc) };
  }

  /** Connects without a bootstrap. */
  async connect(options = {}) {
    const url = `${this.#server.base.replace('http', 'ws')}/ws`;
    return this.#patient(await RpcClient.connect(url, { ...this.#world(), ...options }));
  }

  /** A client that is closed at the end. Calls without a budget of their own may take long: machines may be busy. */
  #patient(rpc) {
    this.#remember(() => rpc.close());
    rpc.settings.timeouts.classes['request.medium'] = { serviceTtlMs: 30_000, clientPatienceExtraMs: 30_000 };
    return rpc;
  }

  #world() {
    return { WebSocket: webSocketWith(() => this.cookie), environment: { observe: () => () => {} } };
  }
}

class Storage {
  #items = new Map();

  getItem(key) {
    return this.#items.get(key) ?? null;
  }

  setItem(key, value) {
    this.#items.set(key, String(value));
  }

  removeItem(key) {
    this.#items.delete(key);
  }
}

/** The next thing that an emitter tells. */
export function next(emitter) {
  return new Promise((resolve) => emitter.once((...values) => resolve(values)));
}

export const request = (rpc, name, args = [], options) => rpc.request({ route: `conformance.${name}@1`, path: 'run', args }, {}, options);

/** Waits until what the server remembers is as it should be. */
export async function untilStats(rpc, is) {
  for (;;) {
    const stats = await request(rpc, 'stats');
    if (is(stats)) return stats;
  }
}
