/**
 * The console's way to the server: one RPC client for all views.
 */

import { bootstrap } from './client.js';
import { withoutToken } from './route.js';
import { recall, remember, storage } from './storage.js';

const TOKEN = 'chartroom.console.token';

/** Where the server's paths begin: the console's files are in the folder `console` there. */
const BASE = new URL('../', import.meta.url);

/** How long it is said that the server was restarted, in milliseconds. */
const NEWS = 60_000;

/** How often it is asked, while there is no connection, whether the token is still the right one, in milliseconds. */
const DOUBT = 5000;

/**
 * @typedef {'connecting' | 'connected' | 'reconnecting' | 'restarted' | 'refused' | 'failed'} State
 *
 * @typedef {object} CallOptions
 * @property {AbortSignal} [signal]
 * @property {(fraction: number) => void} [onProgress]
 * @property {number} [budgetMs]
 */

/** Takes the token out of the address and keeps it for as long as the tab lives. @returns {string | undefined} */
export function takeToken() {
  const { address, token } = withoutToken(location.href);
  if (token === undefined) {
    const kept = recall(storage('session'), TOKEN);
    return typeof kept === 'string' ? kept : undefined;
  }
  remember(storage('session'), TOKEN, token);
  history.replaceState(history.state, '', address);
  return token;
}

export class Server {
  /** @type {import('./client.js').RpcClient | undefined} */
  #rpc;
  #onState;
  #isLinked = true;
  #restartedAt = -Infinity;

  /** @param {(state: State) => void} onState told of each change of the connection */
  constructor(onState) {
    this.#onState = onState;
  }

  /**
   * Connects; from then on the connection is kept by itself.
   *
   * @param {string | undefined} token
   * @throws when the server cannot be reached or does not accept the token
   */
  async connect(token) {
    this.#onState('connecting');
    try {
      const { rpc } = await bootstrap({ base: BASE.href, modules: () => ({ loaded: [], failed: [], modsHash: null }), token });
      this.#rpc = rpc;
    } catch (error) {
      this.#onState('failed');
      throw error;
    }
    const tell = () => {
      if (!this.#rpc?.isClosed) this.#onState(this.#state);
    };
    this.#doubt(token);
    this.#rpc.onReadyChange.add((isReady) => {
      // A welcome comes over a link that is up, be it another one than the one that was lost.
      this.#isLinked ||= isReady;
      tell();
    });
    this.#rpc.onLinkChange.add((isLinked) => {
      this.#isLinked = isLinked;
      tell();
    });
    this.#rpc.onServerRestart.add(() => {
      this.#restartedAt = performance.now();
      setTimeout(tell, NEWS);
      tell();
    });
    tell();
  }

  /** @returns {State} */
  get #state() {
    if (!this.#rpc?.isReady || !this.#isLinked) return 'reconnecting';
    return performance.now() - this.#restartedAt < NEWS ? 'restarted' : 'connected';
  }

  /**
   * A server that was started again may want another token. Browsers do not tell why a socket was refused; files do.
   *
   * @param {string | undefined} token
   */
  #doubt(token) {
    const headers = token === undefined ? undefined : { Authorization: `Bearer ${token}` };
    const timer = setInterval(async () => {
      if (this.#state !== 'reconnecting') return;
      const answer = await fetch(new URL('console/', BASE), { cache: 'no-store', headers }).catch(() => undefined);
      if (answer?.status !== 401 && answer?.status !== 403) return;
      clearInterval(timer);
      this.#rpc?.close();
      this.#onState('refused');
    }, DOUBT);
  }

  get #client() {
    if (!this.#rpc) throw new Error('There is no connection to the server.');
    return this.#rpc;
  }

  /**
   * Calls the server.
   *
   * @param {string} capability
   * @param {string} path
   * @param {object} [payload] named arguments
   * @param {CallOptions} [options]
   * @returns {Promise<any>}
   */
  async call(capability, path, payload = {}, options = {}) {
    return this.#client.request({ route: { capability }, path }, payload, options);
  }

  /**
   * Follows a stream until the function is called that it gives. It is opened again by itself after a lost connection,
   * but not after an error, such as that it is not permitted.
   *
   * @param {string} capability
   * @param {string} path
   * @param {object} payload
   * @param {(update: any) => void} onUpdate
   * @param {(error: unknown) => void} onError
   * @returns {() => void}
   */
  watch(capability, path, payload, onUpdate, onError) {
    const over = new AbortController();
    const { signal } = over;
    const open = async () => {
      const subscription = await this.#client.subscribe({ capability }, path, 'none', { ...payload, signal });
      subscription.on('update', (update) => signal.aborted || onUpdate(update));
      subscription.on('error', (error) => signal.aborted || onError(error));
      subscription.on('end', () => signal.aborted || onError(new Error('The server has ended it.')));
    };
    open().catch((error) => signal.aborted || onError(error));
    return () => over.abort();
  }
}
