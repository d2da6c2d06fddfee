/**
 * The classic script in a page.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { build, target } from '../../build.mjs';
import { openPage } from './support/page.mjs';

const PAGE = 'https://chartroom.example/carta/?token=x';

/** A page with an open socket to its server. */
function openSocket() {
  const page = openPage(PAGE);
  const socket = new page.window.WebSocket('wss://chartroom.example/');
  page.clock.advance(100);
  return { ...page, socket };
}

const mark = ({ document }) => document.documentElement.children[0];
const status = (page) => mark(page).shadow.children[0];

test('the committed script is what the modules give', () => {
  assert.equal(readFileSync(target, 'utf8').replaceAll('\r\n', '\n'), build());
});

test('the script can stand in a page of any encoding', () => {
  const script = build();
  assert.match(script, /^[\n -~]*$/);
  for (const ending of ['</script', '<!--']) assert.ok(!script.includes(ending));
});

test('nothing of the script is left in the page but WebSocket', () => {
  const { window, before, Native } = openPage(PAGE);
  assert.deepEqual(Object.getOwnPropertyNames(window), before);
  assert.notEqual(window.WebSocket, Native);
  const { writable, enumerable, configurable } = Object.getOwnPropertyDescriptor(window, 'WebSocket');
  assert.deepEqual({ writable, enumerable, configurable }, { writable: true, enumerable: false, configurable: true });
});

test('the class keeps its name, its constants and its prototype', () => {
  const { window, Native } = openPage(PAGE);
  assert.equal(window.WebSocket.name, 'WebSocket');
  assert.equal(window.WebSocket.length, Native.length);
  assert.equal(window.WebSocket.OPEN, 1);
  assert.equal(window.WebSocket.prototype, Native.prototype);
  assert.throws(() => window.WebSocket('wss://chartroom.example/'), TypeError);
});

test('sockets to the page’s own origin survive a cut, and are WebSockets', () => {
  for (const [address, url] of [
    [PAGE, 'wss://chartroom.example/'],
    [PAGE, 'wss://chartroom.example:443/ws?token=x'],
    [PAGE, '/ws'],
    ['http://localhost:3002/', 'ws://localhost:3002'],
    ['http://localhost:3002/', new URL('http://localhost:3002/ws')],
  ]) {
    const { window, clock, network } = openPage(address);
    const socket = new window.WebSocket(url);
    assert.ok(socket instanceof window.WebSocket);
    assert.ok(socket instanceof EventTarget);
    assert.deepEqual(network.last.protocols, ['chartroom.resume.v1']);
    clock.advance(100);
    network.cut();
    clock.advance(1000);
    assert.equal(network.connections.length, 2);
    assert.equal(socket.readyState, window.WebSocket.OPEN);
  }
});

test('all other sockets are the browser’s own', () => {
  for (const [url, protocols] of [
    ['wss://other.example/'],
    ['wss://chartroom.example:8443/'],
    ['ws://chartroom.example/'],
    ['wss://chartroom.example/', 'chat'],
    ['wss://chartroom.example/', ['chat']],
  ]) {
    const { window, network, Native } = openPage(PAGE);
    const socket = new window.WebSocket(url, protocols);
    assert.equal(Object.getPrototypeOf(socket), Native.prototype);
    assert.ok(socket instanceof window.WebSocket);
    assert.deepEqual(network.last.protocols, [protocols ?? []].flat());
  }
});

test('classes that a page derives from WebSocket are left alone', () => {
  const { window, network } = openPage(PAGE);
  class Derived extends window.WebSocket {
    own() {
      return true;
    }
  }
  const socket = new Derived('wss://chartroom.example/');
  assert.ok(socket.own());
  assert.ok(socket instanceof window.WebSocket);
  assert.deepEqual(network.last.protocols, []);
});

test('the CARTA frontend’s way of using its socket works through a cut', () => {
  const { window, clock, network, server } = openPage(PAGE);
  server.onmessage = (stream, data) => {
    if (data === 'PING') stream.send('PONG');
  };
  const seen = [];
  const socket = new window.WebSocket('wss://chartroom.example/carta/');
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => seen.push('open');
  socket.onclose = ({ code }) => seen.push(code);
  socket.onerror = () => seen.push('error');
  socket.onmessage = ({ data }) => seen.push(typeof data === 'string' ? data : data.byteLength);
  clock.advance(100);
  socket.send('PING');
  clock.advance(100);
  network.isRefusing = true;
  network.cut();
  clock.advance(4000);
  socket.send('PING');
  server.stream.send(new ArrayBuffer(5));
  network.isRefusing = false;
  clock.advance(5000);
  socket.close();
  clock.advance(100);
  assert.deepEqual(seen, ['open', 'PONG', 5, 'PONG', 1005]);
});

test('the page’s events end the wait for the next attempt', () => {
  for (const [target, type] of [
    ['window', 'online'],
    ['window', 'pageshow'],
    ['document', 'visibilitychange'],
    ['document', 'resume'],
  ]) {
    const page = openSocket();
    page.network.isRefusing = true;
    page.network.cut();
    page.clock.advance(30_000);
    page.network.isRefusing = false;
    page[target].dispatchEvent(new Event(type));
    page.clock.advance(20);
    assert.equal(page.network.last.readyState, 1, type);
  }
});

test('a page that becomes hidden does nothing, and one that is left does not reconnect', () => {
  const page = openSocket();
  page.document.visibilityState = 'hidden';
  page.document.dispatchEvent(new Event('visibilitychange'));
  page.clock.advance(100);
  assert.equal(page.server.stream.heartbeats, 0);
  page.window.dispatchEvent(new Event('pagehide'));
  page.network.cut();
  page.clock.advance(60_000);
  assert.equal(page.network.connections.length, 1);
});

test('the mark is there after a second without a link, and goes when the link is back', () => {
  const page = openSocket();
  assert.equal(mark(page), undefined);
  page.network.isRefusing = true;
  page.network.cut();
  page.clock.advance(900);
  assert.equal(status(page).textContent, '');
  page.clock.advance(200);
  assert.equal(status(page).textContent, 'Reconnecting …');
  assert.deepEqual(status(page).attributes, { role: 'status', 'aria-live': 'polite' });
  page.network.isRefusing = false;
  page.clock.advance(10_000);
  assert.equal(mark(page), undefined);
});

test('a short cut shows no mark', () => {
  const page = openSocket();
  page.network.cut();
  page.clock.advance(600);
  assert.equal(mark(page), undefined);
  page.clock.advance(5000);
  assert.equal(mark(page), undefined);
});

test('one mark stands for all sockets, until the last is back or over', () => {
  const page = openSocket();
  const second = new page.window.WebSocket('wss://chartroom.example/second');
  page.clock.advance(100);
  page.network.isRefusing = true;
  page.network.cut();
  page.clock.advance(2000);
  assert.equal(page.document.documentElement.children.length, 1);
  second.close();
  page.clock.advance(20_000);
  assert.equal(second.readyState, 3);
  assert.equal(page.document.documentElement.children.length, 1);
  page.network.isRefusing = false;
  page.clock.advance(10_000);
  assert.equal(mark(page), undefined);
});

test('the mark’s style lies in its shadow, follows the page’s preferences, and takes no part in its layout', () => {
  const page = openSocket();
  page.network.isRefusing = true;
  page.network.cut();
  page.clock.advance(2000);
  const [sheet] = mark(page).shadow.adoptedStyleSheets;
  for (const rule of ['position: fixed', 'pointer-events: none', 'prefers-color-scheme: dark', 'prefers-reduced-motion']) {
    assert.ok(sheet.text.includes(rule), rule);
  }
  assert.equal(mark(page).shadow.mode, 'open', 'tests and assistive tools of others can read it');
});
