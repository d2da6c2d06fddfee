// A Chartroom server of our own for each test file.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long a process that was told to end may take, in milliseconds. */
const END = 60_000;

/** How long somebody else may have a port that was let go, in milliseconds. */
const TAKEN = 30_000;

/** What `cargo xtask test` hands over. */
function given(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests with \`cargo xtask test --browser\``);
  return value;
}

/** The folder with the page of a version. */
export const frontend = (version) => given(`CHARTROOM_FRONTEND_${version.replaceAll('.', '_')}`);

/** The folder with the demonstration data. */
export const data = () => given('CHARTROOM_DATA');

/**
 * Starts a server for a frontend version on a free port with a state directory of its own, and quiets the page
 * through the preference store. It serves the demonstration data, or another folder.
 */
export async function startServer(frontendVersion, options = [], folder = data()) {
  const state = await mkdtemp(join(tmpdir(), 'chartroom-e2e-'));
  const own = ['--frontend', frontend(frontendVersion), '--state-dir', state, '--no-browser'];
  const server = new Server(state, ['serve', folder, ...own, ...options]);
  try {
    await server.start();
    await quiet(server.address);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** A server whose process may end and start again: its port and its state directory stay the same. */
class Server {
  /** Where its page is, with the token; known once it has started. */
  address;

  /** The lines that all its processes have logged. */
  log = [];

  #state;
  #arguments;
  #process;
  #ended;

  constructor(state, args) {
    this.#state = state;
    this.#arguments = args;
  }

  /** Before the first start 0, which asks for any free one. */
  get port() {
    return Number(this.address?.port ?? 0);
  }

  /** Starts a process; resolves when it listens. */
  start() {
    return whileTaken(() => this.#launch());
  }

  async #launch() {
    const words = [...this.#arguments, '--port', String(this.port)];
    const child = spawn(given('CHARTROOM_SERVER'), words, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    this.#ended = new Promise((resolve) => {
      child.on('exit', (code, signal) => resolve(code ?? signal));
      // One that could not be started does not exit.
      child.on('error', resolve);
    });
    createInterface({ input: child.stderr }).on('line', (line) => this.log.push(line));
    this.address = await listening(child, this.log);
  }

  /** Ends the process as a crash would; nothing in it gets to say or write anything. */
  kill() {
    return this.#signal('SIGKILL');
  }

  /** Asks the process to end; resolves to its exit code. */
  halt() {
    return this.#signal('SIGTERM');
  }

  /** Has the next process ask for another token than this one. */
  async forgetToken() {
    const sessions = join(this.#state, 'sessions');
    const folders = await readdir(sessions);
    await Promise.all(folders.map((folder) => rm(join(sessions, folder, 'token.json'), { force: true })));
  }

  /** Ends the process if there is one, and removes the state directory; resolves to the exit code. */
  async stop() {
    const how = await this.halt();
    await rm(this.#state, { recursive: true, force: true });
    return how;
  }

  /** The number of sessions in a state: live, parked or stored. */
  async sessions(state) {
    const headers = { Authorization: `Bearer ${this.address.searchParams.get('token')}` };
    const text = await (await fetch(new URL('metrics', this.address), { headers })).text();
    const line = text.split('\n').find((line) => line.startsWith(`chartroom_sessions{state="${state}"}`));
    return Number(line?.split(' ')[1] ?? 0);
  }

  async #signal(signal) {
    const child = this.#process;
    child?.kill(signal);
    const impatience = setTimeout(() => child?.kill('SIGKILL'), END);
    const how = await this.#ended;
    clearTimeout(impatience);
    return how;
  }
}

/** The address in the first line of standard output. */
async function listening(child, log) {
  const first = new Promise((resolve) => createInterface({ input: child.stdout }).once('line', resolve));
  // Closed rather than ended: by then all that it logged has been read.
  const closed = once(child, 'close').then(([code, signal]) => `the server ended (${code ?? signal})`);
  const line = await Promise.race([first, closed]);
  const match = /^chartroom listening on (http:\S+)$/.exec(line);
  if (!match) throw new Error(`${line}\n${log.join('\n')}`);
  return new URL(match[1]);
}

/** Sets the preferences that keep a fresh page from asking about telemetry and new releases. */
async function quiet(address) {
  const { apiAddress } = await (await fetch(new URL('config', address))).json();
  const answer = await fetch(new URL(`${apiAddress}/database/preferences`, address), {
    method: 'PUT',
    headers: {
      'Content-Type': 'application/json',
      Authorization: `Bearer ${address.searchParams.get('token')}`,
    },
    body: JSON.stringify({ telemetryConsentShown: true, telemetryMode: 'none', checkNewRelease: false }),
  });
  if (!answer.ok) throw new Error(`the preference store answered ${answer.status}: ${await answer.text()}`);
}

/** Listens on a port that may have been let go, again and again as long as somebody else has it. */
export async function whileTaken(listen) {
  for (const deadline = Date.now() + TAKEN; ; ) {
    try {
      return await listen();
    } catch (error) {
      if (!/EADDRINUSE|Could not listen on/.test(error.message) || Date.now() > deadline) throw error;
      await sleep(250);
    }
  }
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
