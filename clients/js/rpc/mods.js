/**
 * Modules of an application that the server names in its welcome, and what they see of the client.
 */

import { CapabilityFacade, ObjectFacade } from './facades.js';
import { hexOf } from './uuid.js';

/** @import { RpcClient } from './client.js' */

/**
 * @typedef {object} Manifest
 * @property {string} id
 * @property {string} [version]
 * @property {string} [hash]
 * @property {string} entry the URL of its module, which exports `onLoad({rpc, manifest, settings})`
 * @property {boolean} [enabled]
 */

/**
 * What `clientReady` tells the server.
 * @typedef {object} LoadReport
 * @property {any[]} [loaded] `{id, version, hash}`
 * @property {any[]} [failed] `{id, reason}`
 * @property {string | null} [modsHash] of all that were to be loaded
 */

/**
 * Loads the modules that the state names in `mods.frontend.modManifests`, one after the other. One that fails does not
 * keep the others from being loaded.
 * @param {any} welcome its payload
 * @param {{rpc: RpcClient, settings: any}} page
 * @param {(url: string) => Promise<any>} [load]
 * @returns {Promise<LoadReport>}
 */
export async function loadMods({ state }, { rpc, settings }, load = (url) => import(url)) {
  const named = state?.mods?.frontend?.modManifests;
  /** @type {Manifest[]} */
  const manifests = (Array.isArray(named) ? named : []).filter(({ enabled }) => enabled !== false);
  const loaded = [];
  const failed = [];
  for (const manifest of manifests) {
    const { id, version, hash, entry } = manifest;
    try {
      const { onLoad } = await load(entry);
      await onLoad?.({ rpc: clientOf(rpc, manifest), manifest, settings });
      loaded.push({ id, version, hash });
    } catch (error) {
      console.error(`The module '${id}' could not be loaded.`, error);
      failed.push({ id, reason: String(/** @type {any} */ (error)?.message ?? error) });
    }
  }
  return { loaded, failed, modsHash: await hashOf(manifests) };
}

/**
 * SHA-256 of what was to be loaded, in an order of its own.
 * @param {Manifest[]} manifests
 * @returns {Promise<string | null>} nothing where the browser does not compute it: over http
 */
async function hashOf(manifests) {
  const order = (/** @type {any} */ one, /** @type {any} */ other) => (one < other ? -1 : Number(one > other));
  const items = manifests
    .map(({ id, version, hash }) => ({ id, version, hash }))
    .sort((one, other) => order(one.id, other.id) || order(one.version, other.version));
  const digest = await crypto.subtle?.digest('SHA-256', new TextEncoder().encode(JSON.stringify(items)));
  return digest ? hexOf(new Uint8Array(digest)) : null;
}

/** Where each method takes its options. */
const OPTIONS = { request: 2, emit: 3, subscribe: 3, unsubscribe: 1, cancel: 1 };

/** What every module has in common. */
const SHARED = ['expose', 'waitForWelcome', 'onReadyChange', 'onWelcome', 'onClientReady', 'onServerRestart'];

/**
 * @typedef {'request' | 'emit' | 'subscribe' | 'unsubscribe' | 'cancel' | 'expose' | 'waitForWelcome' | 'capability' |
 *   'object' | 'onReadyChange' | 'onWelcome' | 'onClientReady' | 'onServerRestart'} Shared
 */

/**
 * The client as a module sees it: everything that it asks for is asked in its name.
 * @param {RpcClient} rpc
 * @param {Manifest} manifest
 * @returns {Pick<RpcClient, Shared>}
 */
export function clientOf(rpc, { id, version }) {
  const origin = { modId: id, modVersion: version };
  const all = /** @type {any} */ (rpc);
  /** @type {any} */
  const client = {
    capability: (/** @type {string} */ name, /** @type {any} */ options) => new CapabilityFacade(client, name, options),
    object: (/** @type {string} */ name) => new ObjectFacade(client, name),
  };
  for (const name of SHARED) client[name] = all[name].bind?.(rpc) ?? all[name];
  for (const [method, place] of Object.entries(OPTIONS)) {
    client[method] = (/** @type {any[]} */ ...values) => {
      values[place] = { ...values[place], origin };
      return all[method](...values);
    };
  }
  return Object.freeze(client);
}
