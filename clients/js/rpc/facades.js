/**
 * One capability, or one object, of the server.
 */

/** @import { RpcClient } from './client.js' */
/** @import { Route } from './envelope.js' */
/** @import { EmitOptions, RequestOptions } from './options.js' */

/** A capability of the server, with named arguments. */
export class CapabilityFacade {
  #client;
  #route;
  #defaults;

  /**
   * @param {RpcClient} client
   * @param {string} name `family@version`
   * @param {RequestOptions} [defaults] options for everything
   */
  constructor(client, name, defaults = {}) {
    this.#client = client;
    this.#route = { capability: name };
    this.#defaults = defaults;
  }

  /**
   * @param {string} path
   * @param {any} [payload] named arguments; an array holds positional ones
   * @param {RequestOptions} [options]
   */
  call(path, payload = {}, options = {}) {
    const [args, named] = Array.isArray(payload) ? [payload, {}] : [undefined, payload];
    return this.#client.request({ route: this.#route, path, args }, named, { ...this.#defaults, ...options });
  }

  /**
   * @param {string} path
   * @param {any} [payload]
   * @param {EmitOptions} [options]
   */
  emit(path, payload = {}, options = {}) {
    return this.#client.emit(this.#route, path, payload, { ...this.#defaults, ...options });
  }

  /**
   * @param {string} path
   * @param {any} [payload]
   */
  subscribe(path, payload = {}) {
    return this.#client.subscribe(this.#route, path, 'none', payload);
  }
}

/** An object of the server. */
export class ObjectFacade {
  #ask;

  /**
   * @param {RpcClient} client
   * @param {string} id
   */
  constructor(client, id) {
    /** @type {Route} */
    const route = { object: id };
    this.#ask = (/** @type {any} */ invocation, /** @type {any} */ payload, /** @type {RequestOptions} */ options = {}) =>
      client.request({ route, ...invocation }, payload, options);
  }

  /**
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<{value: any, version: number}>}
   */
  get(path, options) {
    return this.#ask({ op: 'get', path }, {}, options);
  }

  /**
   * @param {string} path
   * @param {any} value
   * @param {RequestOptions} [options]
   * @returns {Promise<{ok: boolean, version: number}>}
   */
  set(path, value, options) {
    return this.#ask({ op: 'set', path }, { value }, options);
  }

  /**
   * @param {RequestOptions} [options]
   * @returns {Promise<{oid: string, kind: string, version: number, state: any}>}
   */
  snapshot(options) {
    return this.#ask({ op: 'snapshot' }, {}, options);
  }

  /**
   * @param {string} method
   * @param {any[]} [args]
   * @param {RequestOptions} [options]
   * @returns {Promise<{result: any, version: number}>}
   */
  call(method, args = [], options) {
    return this.#ask({ op: 'call', args }, { method }, options);
  }
}
