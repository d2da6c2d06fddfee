/**
 * From a page that knows nothing to a page that is ready.
 */

import { RpcClient } from './client.js';
import { RpcError } from './error.js';
import { instanceIdOf, lastGeneration, rememberGeneration } from './memory.js';
import { loadMods } from './mods.js';

/** @import { LoadReport } from './mods.js' */
/** @import { ConnectOptions } from './options.js' */

/**
 * @typedef {object} OwnBootstrapOptions
 * @property {string} [base] where the server is mounted: `/prefix`, or `https://example.org/prefix`; else the root
 * @property {string} [viewKind] which kind of view the page is; the server has a default
 * @property {string} [global] the name under which the settings are put, frozen, as `{settings}`
 * @property {(welcome: any, page: {rpc: RpcClient, settings: any}) => LoadReport | Promise<LoadReport>} [modules] loads
 * what the application consists of; the default loads what the server names in the state
 * @property {typeof fetch} [fetch] another one than the global one
 * @property {any} [scope] what stands for the page's window
 *
 * @property {string} [token] what a server asks for that does not let everybody in: every request says it, as
 * `Authorization: Bearer …`, and the socket in its address, `?token=…`, since browsers let pages add nothing else
 *
 * @typedef {Omit<ConnectOptions, 'settings' | 'hello'> & OwnBootstrapOptions} BootstrapOptions
 */

/**
 * What a page has when it is ready.
 * @typedef {object} Page
 * @property {RpcClient} rpc
 * @property {any} settings what GET /settings says, frozen
 * @property {string} viewId of the beginning; `rpc.welcome.viewId` is the present one
 * @property {any} state of the first welcome
 * @property {LoadReport} report what was loaded
 */

/**
 * Fetches the settings, gets a view, connects, loads the application's modules and tells the server that the page is
 * ready, now and after every reconnection.
 * @param {BootstrapOptions} [options]
 * @returns {Promise<Page>}
 * @throws {RpcError} BOOTSTRAP_FAILED if the server does not let the page in; DISCONNECTED if the socket does not open
 */
export async function bootstrap(options = {}) {
  const { base = '', viewKind, global = 'Chartroom', modules = loadMods, scope = globalThis, ...connection } = options;
  const { token, environment, fetch = scope.fetch.bind(scope) } = options;
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  if (token) connection.WebSocket = saying(token, connection.WebSocket ?? environment?.WebSocket ?? scope.WebSocket);
  const root = base.replace(/\/+$/, '');
  const settings = freeze(await json(fetch(`${root}/settings`, { headers })));
  scope[global] = Object.freeze({ settings });
  const register = () =>
    json(
      fetch(`${root}/api/bootstrap`, {
        method: 'POST',
        credentials: 'include',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify({ viewKind }),
      }),
    );

  const { viewId, viewToken } = await register();
  const clientInstanceId = instanceIdOf(scope);
  const lastKnownGen = lastGeneration(scope, viewId);
  const hello = { payload: { viewId, viewToken, viewKind, clientInstanceId, lastKnownGen } };
  const rpc = await RpcClient.connect(`${root}/ws`, { ...connection, settings, hello });
  const remember = () => rememberGeneration(scope, rpc.welcome.viewId ?? viewId, rpc.generation?.num ?? 0);
  rpc.onWelcome.add(remember);
  rpc.onServerRestart.add(async ({ isNewView }) => {
    if (!isNewView) return;
    // The server does not know the page's token any more. It still knows who the page is, by its cookie.
    const renewed = await register().catch(console.warn);
    if (renewed) Object.assign(rpc.hello.payload, { viewId: renewed.viewId, viewToken: renewed.viewToken });
  });

  const state = await rpc.waitForWelcome();
  const report = await modules(rpc.welcome, { rpc, settings });
  // A report that is lost with its connection is followed by one in the next generation.
  const tell = () => rpc.clientReady(report).catch(console.warn);
  rpc.onWelcome.add(tell);
  if (rpc.isReady) await tell();
  return { rpc, settings, viewId, state, report };
}

/**
 * @param {string} token
 * @param {any} Socket
 * @returns {any} sockets that say the token, which is in no address that anybody is shown
 */
function saying(token, Socket) {
  return class extends Socket {
    constructor(/** @type {string} */ url, /** @type {any} */ protocols) {
      const address = new URL(url);
      address.searchParams.set('token', token);
      super(address, protocols);
    }
  };
}

/**
 * @param {Promise<Response>} answer
 * @returns {Promise<any>}
 */
async function json(answer) {
  const response = await answer;
  if (response.ok) return response.json();
  const { status, url } = response;
  const isTransient = status === 429 || status >= 500;
  const message = `${url} answered with the status ${status}.`;
  throw new RpcError('BOOTSTRAP_FAILED', message, { retryable: isTransient, err: { status } });
}

/**
 * @param {any} value
 * @returns {any} the same, which cannot be changed any more, nor anything in it
 */
function freeze(value) {
  if (typeof value !== 'object' || value === null) return value;
  for (const part of Object.values(value)) freeze(part);
  return Object.freeze(value);
}
