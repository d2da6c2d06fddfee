/**
 * The interface as https://websockets.spec.whatwg.org/ and Web IDL describe it.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ResumableWebSocket } from '../socket.js';
import { World } from './support/world.mjs';

const throwsNamed = (name, action) =>
  assert.throws(action, (error) => error instanceof DOMException && error.name === name);

test('the constants are on the class and on instances, and cannot be changed', () => {
  const socket = new World().socket();
  for (const [value, name] of ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'].entries()) {
    assert.equal(ResumableWebSocket[name], value);
    assert.equal(socket[name], value);
    assert.throws(() => (ResumableWebSocket[name] = 7), TypeError);
    assert.throws(() => (socket[name] = 7), TypeError);
  }
});

test('URLs may be relative, and http and https stand for ws and wss', () => {
  const url = (text) => new World().socket(text).url;
  assert.equal(url('wss://chartroom.example'), 'wss://chartroom.example/');
  assert.equal(url('ws://chartroom.example:80/a?b=c'), 'ws://chartroom.example/a?b=c');
  assert.equal(url('http://chartroom.example/a'), 'ws://chartroom.example/a');
  assert.equal(url('https://chartroom.example/a'), 'wss://chartroom.example/a');
  assert.equal(url('socket'), 'wss://chartroom.example/folder/socket');
  assert.equal(url('/socket'), 'wss://chartroom.example/socket');
  assert.equal(url(''), 'wss://chartroom.example/folder/page.html');
  assert.equal(url(new URL('wss://chartroom.example/object')), 'wss://chartroom.example/object');
});

test('other URLs are refused with a SyntaxError', () => {
  for (const url of ['ftp://a/', 'mailto:a@b', 'wss://', 'wss://a:b:c/', 'wss://a/#f', 'wss://a/#', 'about:blank']) {
    throwsNamed('SyntaxError', () => new World().socket(url));
  }
});

test('subprotocols that are no tokens or are named twice are refused with a SyntaxError', () => {
  for (const protocols of ['', 'a b', 'a,b', 'é', ['a', ''], ['a', 'a'], ['a', 'A'], 'a/b', '\u0010']) {
    throwsNamed('SyntaxError', () => new World().socket('wss://a/', protocols));
  }
  const world = new World();
  world.socket('wss://a/', ['chat', 'v2.chat']);
  assert.deepEqual(world.network.last.protocols, ['chartroom.resume.v1', 'chat', 'v2.chat']);
});

test('a new socket is connecting and has its initial values', () => {
  const world = new World();
  const socket = new ResumableWebSocket('wss://chartroom.example/', [], world.environment);
  assert.equal(socket.readyState, 0);
  assert.equal(socket.binaryType, 'blob');
  assert.equal(socket.bufferedAmount, 0);
  assert.equal(socket.protocol, '');
  assert.equal(socket.extensions, '');
  for (const name of ['onopen', 'onmessage', 'onerror', 'onclose']) assert.equal(socket[name], null);
  assert.equal(String(socket), '[object WebSocket]');
});

test('an unknown binaryType is passed over', () => {
  const socket = new World().socket();
  socket.binaryType = 'array';
  assert.equal(socket.binaryType, 'arraybuffer');
  socket.binaryType = 'blob';
  assert.equal(socket.binaryType, 'blob');
});

test('binary messages arrive as the binaryType of the moment, on every link', () => {
  const world = new World();
  const socket = world.open();
  const { stream } = world.server;
  const bytes = new Uint8Array([1, 2, 3]).buffer;
  socket.binaryType = 'blob';
  stream.send(bytes);
  world.clock.advance(10);
  socket.binaryType = 'arraybuffer';
  stream.send(bytes);
  world.clock.advance(10);
  world.network.cut();
  world.clock.advance(1000);
  stream.send(bytes);
  world.clock.advance(10);
  const [first, second, third] = socket.messages;
  assert.ok(first instanceof Blob);
  assert.equal(first.size, 3);
  assert.equal(second, bytes);
  assert.equal(third, bytes);
});

test('events are of their classes, with the origin of the URL', () => {
  const world = new World();
  const socket = world.socket('wss://chartroom.example:444/a?b');
  const events = [];
  for (const type of ['open', 'message', 'close']) socket.addEventListener(type, (event) => events.push(event));
  world.clock.advance(100);
  world.server.stream.send('text');
  world.network.last.peer.close(4001, 'because');
  world.clock.advance(100);
  const [open, message, close] = events;
  assert.equal(open.constructor, Event);
  assert.ok(message instanceof MessageEvent);
  assert.equal(message.origin, 'wss://chartroom.example:444');
  assert.equal(message.data, 'text');
  assert.deepEqual([close.code, close.reason, close.wasClean], [4001, 'because', true]);
  for (const event of events) {
    assert.equal(event.target, socket);
    assert.equal(event.bubbles, false);
    assert.equal(event.cancelable, false);
  }
});

test('a handler property takes its turn from when it was first set', () => {
  const world = new World();
  const socket = world.socket();
  const calls = [];
  socket.onopen = () => calls.push('never');
  socket.addEventListener('open', () => calls.push('listener'));
  socket.onopen = function (event) {
    calls.push(this === socket && event.type === 'open' ? 'handler' : 'wrong');
  };
  world.clock.advance(100);
  assert.deepEqual(calls, ['handler', 'listener']);
});

test('a handler property is null again after anything that is no object', () => {
  const socket = new World().socket();
  const handler = () => {};
  for (const value of [null, undefined, 1, 'text', true]) {
    socket.onmessage = handler;
    assert.equal(socket.onmessage, handler);
    socket.onmessage = value;
    assert.equal(socket.onmessage, null);
  }
  const object = {};
  socket.onmessage = object;
  assert.equal(socket.onmessage, object);
});

test('a handler that was taken away is not called', () => {
  const world = new World();
  const socket = world.socket();
  socket.onopen = () => assert.fail('called');
  socket.onopen = null;
  world.clock.advance(100);
});

test('sending while connecting is an InvalidStateError, and sending nothing a TypeError', () => {
  const world = new World();
  const socket = world.socket();
  throwsNamed('InvalidStateError', () => socket.send('early'));
  assert.throws(() => socket.send(), TypeError);
});

test('strings, buffers, views and Blobs are sent in order', () => {
  const world = new World();
  const socket = world.open();
  const bytes = new Uint8Array([9, 1, 2, 3, 9]);
  const blob = new Blob(['blob']);
  socket.send('text');
  socket.send(bytes.buffer);
  socket.send(bytes.subarray(1, 4));
  socket.send(new DataView(bytes.buffer, 1, 2));
  socket.send(new Uint16Array([1]));
  socket.send(blob);
  socket.send(12);
  socket.send(null);
  world.clock.advance(10);
  const plain = (data) => (data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data);
  assert.deepEqual(world.server.stream.taken.map(plain), [
    'text',
    [9, 1, 2, 3, 9],
    [1, 2, 3],
    [1, 2],
    [...new Uint8Array(new Uint16Array([1]).buffer)],
    blob,
    '12',
    'null',
  ]);
});

test('what is written to a buffer after it was sent is not sent, on any link', () => {
  const world = new World();
  const socket = world.open();
  world.network.stall();
  const bytes = new Uint8Array([1, 2, 3]);
  socket.send(bytes);
  bytes.fill(0);
  world.clock.advance(30_000);
  assert.deepEqual([...new Uint8Array(world.server.stream.taken[0])], [1, 2, 3]);
});

test('a buffer that was transferred is empty, and views of shared memory are refused', () => {
  const world = new World();
  const socket = world.open();
  const { buffer } = new Uint8Array(4);
  structuredClone(buffer, { transfer: [buffer] });
  socket.send(buffer);
  world.clock.advance(10);
  assert.equal(world.server.stream.taken[0].byteLength, 0);
  assert.throws(() => socket.send(new Uint8Array(new SharedArrayBuffer(4))), TypeError);
});

test('bufferedAmount counts bytes of UTF-8 while there is no link, and goes to 0 when the server has them', () => {
  const world = new World();
  const socket = world.open();
  world.network.isRefusing = true;
  world.network.cut();
  world.clock.advance(1);
  for (const [data, bytes] of [
    ['abc', 3],
    ['é', 2],
    ['€', 3],
    ['😀', 4],
    ['\ud800', 3],
    ['\udc00\ud800', 6],
    [new ArrayBuffer(10), 10],
    [new Uint16Array(3), 6],
    [new Blob(['12345']), 5],
  ]) {
    const before = socket.bufferedAmount;
    socket.send(data);
    assert.equal(socket.bufferedAmount - before, bytes, String(data));
  }
  world.network.isRefusing = false;
  world.clock.advance(10_000);
  assert.equal(socket.bufferedAmount, 0);
  assert.equal(world.server.stream.taken.length, 9);
});

test('what is sent after closing is counted and not sent', () => {
  const world = new World();
  const socket = world.open();
  socket.close();
  socket.send('abc');
  socket.send(new ArrayBuffer(4));
  assert.equal(socket.bufferedAmount, 7);
  world.clock.advance(100);
  socket.send('d');
  assert.equal(socket.bufferedAmount, 8);
  assert.deepEqual(world.server.stream?.taken ?? [], []);
});

test('the arguments of close are checked in every state', () => {
  const world = new World();
  const socket = world.socket();
  for (let state = 0; state < 2; state++) {
    for (const code of [0, 999, 1001, 1005, 2999, 5000, 65536, -1, NaN, null]) {
      throwsNamed('InvalidAccessError', () => socket.close(code));
    }
    throwsNamed('SyntaxError', () => socket.close(1000, 'x'.repeat(124)));
    throwsNamed('SyntaxError', () => socket.close(1000, 'é'.repeat(62)));
    world.clock.advance(100);
  }
  assert.equal(socket.readyState, 1);
  socket.close(4999, 'é'.repeat(61) + 'x');
  assert.equal(socket.readyState, 2);
});

test('closing while connecting is a failure of the connection', () => {
  const world = new World();
  const socket = world.socket();
  socket.close();
  assert.equal(socket.readyState, 2);
  assert.deepEqual(socket.events, []);
  world.clock.advance(100);
  assert.equal(socket.readyState, 3);
  assert.deepEqual(socket.events, ['error', 'close 1006 false']);
});

test('closing between the connection and its welcome is a failure too, and ends the stream', () => {
  const world = new World();
  const socket = world.socket();
  world.clock.advance(8);
  socket.close();
  world.clock.advance(100);
  assert.deepEqual(socket.events, ['error', 'close 1006 false']);
  assert.equal(world.server.streams.size, 0);
});

test('closing again, and closing what is closed, does nothing', () => {
  const world = new World();
  const socket = world.open();
  socket.close(3000);
  socket.close(4000);
  world.clock.advance(100);
  socket.close();
  world.clock.advance(20_000);
  assert.deepEqual(socket.events, ['open', 'close 3000 true']);
  assert.equal(world.clock.pending, 0);
  assert.equal(world.observers, 0);
});

test('nothing is handed out after close was called', () => {
  const world = new World();
  const socket = world.open();
  world.server.stream.send('late');
  socket.close();
  world.clock.advance(100);
  assert.deepEqual(socket.messages, []);
});
