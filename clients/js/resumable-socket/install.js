/**
 * Puts the resumable socket in the place of a page's WebSocket.
 */

import { environmentOf } from './environment.js';
import { Mark } from './mark.js';
import { ResumableWebSocket } from './socket.js';

/**
 * Sockets to the origin of the page survive their connections from now on; that the server there speaks the protocol is
 * known from its having served this script. All others are the browser's own: sockets to other places, sockets
 * with subprotocols of the page's choice (a connection has only one), and those of the page's subclasses of WebSocket.
 * @param {Window & typeof globalThis} window
 */
export function install(window) {
  const Native = window.WebSocket;
  const environment = environmentOf(window);
  const mark = new Mark(window);
  // What is instanceof WebSocket goes by the prototype, which the replacement shares with the native class.
  Object.setPrototypeOf(ResumableWebSocket.prototype, Native.prototype);
  /** @type {typeof WebSocket} */
  const Replacement = new Proxy(Native, {
    construct(native, [...args], target) {
      if (target !== Replacement) return Reflect.construct(native, args, target);
      if (!isOurs(window, args[0], args[1])) return Reflect.construct(native, args);
      const socket = new ResumableWebSocket(args[0], undefined, environment);
      mark.watch(socket);
      return socket;
    },
  });
  Object.defineProperty(window, 'WebSocket', { value: Replacement, writable: true, configurable: true });
}

/**
 * @param {Window} window
 * @param {any} url
 * @param {any} protocols
 */
function isOurs({ document, location }, url, protocols) {
  if (protocols !== undefined && !(Array.isArray(protocols) && protocols.length === 0)) return false;
  try {
    const { protocol, host } = new URL(url, document.baseURI);
    return host === location.host && protocol.replace(/^ws/, 'http') === location.protocol;
  } catch {
    // The browser knows best how to refuse it.
    return false;
  }
}
