/**
 * The window of a page, as far as the script and the mark need one, with the classic script run in it.
 */

import { readFileSync } from 'node:fs';
import { createContext, runInContext } from 'node:vm';

import { Clock } from './clock.mjs';
import { Network } from './network.mjs';
import { Server } from './server.mjs';

const script = readFileSync(new URL('../../dist/resumable-socket.js', import.meta.url), 'utf8');

class Element {
  children = [];
  attributes = {};
  textContent = '';
  parent = null;
  shadow = null;

  constructor(name) {
    this.name = name;
  }

  append(child) {
    this.children.push(child);
    child.parent = this;
  }

  remove() {
    this.parent.children = this.parent.children.filter((child) => child !== this);
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  attachShadow(options) {
    this.shadow = Object.assign(new Element('#shadow'), options);
    return this.shadow;
  }
}

class CSSStyleSheet {
  replaceSync(text) {
    this.text = text;
  }
}

/** @param {string} address of the page */
export function openPage(address) {
  const clock = new Clock();
  const network = new Network(clock);
  const server = new Server(network);
  const location = new URL(address);
  const window = new EventTarget();
  const document = Object.assign(new EventTarget(), {
    baseURI: address,
    visibilityState: 'visible',
    documentElement: new Element('html'),
    createElement: (name) => new Element(name),
  });
  const { setTimeout, clearTimeout } = clock;
  class TimeOfPage extends Date {
    static now = () => clock.now;
  }
  const { WebSocket } = network;
  Object.assign(window, { window, document, location, setTimeout, clearTimeout, CSSStyleSheet });
  Object.assign(window, { Date: TimeOfPage, URL, Event, EventTarget, MessageEvent, DOMException, Blob });
  Object.defineProperty(window, 'WebSocket', { value: WebSocket, writable: true, configurable: true });
  const context = createContext(window);
  const before = Object.getOwnPropertyNames(window);
  runInContext(script, context);
  return { clock, network, server, window, document, before, Native: WebSocket };
}
