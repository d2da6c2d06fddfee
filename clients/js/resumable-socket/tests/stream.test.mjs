import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Stream } from '../stream.js';
import { ProtocolError } from '../wire.js';
import { randomOf } from './support/random.mjs';

/** Everything that the stream hands to the link now. */
function drain(stream, evenBeyond) {
  const messages = [];
  for (let message; (message = stream.next(evenBeyond)) !== undefined; ) messages.push(message);
  return messages;
}

function pushAll(stream, ...messages) {
  for (const message of messages) stream.push(message, message.length);
}

test('messages are handed to the link once, in order', () => {
  const stream = new Stream(1000);
  pushAll(stream, 'a', 'b');
  assert.deepEqual(drain(stream), ['a', 'b']);
  pushAll(stream, 'c');
  assert.deepEqual(drain(stream), ['c']);
  assert.deepEqual(drain(stream), []);
});

test('a new link gets what the peer has not taken, before anything new', () => {
  const stream = new Stream(1000);
  pushAll(stream, 'a', 'b', 'c');
  drain(stream);
  stream.acknowledge(1);
  pushAll(stream, 'd');
  assert.equal(stream.resume(2), true);
  assert.deepEqual(drain(stream), ['c', 'd']);
});

test('what the peer has taken is kept until it is acknowledged, for a restart may undo it', () => {
  const stream = new Stream(1000);
  pushAll(stream, 'a', 'b', 'c');
  drain(stream);
  stream.resume(3);
  assert.deepEqual(drain(stream), []);
  assert.equal(stream.acknowledged, 0);
  assert.equal(stream.bytes, 3);
  stream.acknowledge(1);
  assert.equal(stream.resume(1), true);
  assert.deepEqual(drain(stream), ['b', 'c']);
});

test('what is acknowledged is forgotten', () => {
  const stream = new Stream(1000);
  pushAll(stream, 'aa', 'bbb', 'c');
  drain(stream);
  assert.equal(stream.bytes, 6);
  stream.acknowledge(2);
  assert.equal(stream.bytes, 1);
  stream.acknowledge(3);
  assert.equal(stream.bytes, 0);
});

test('an older acknowledgement says nothing', () => {
  const stream = new Stream(1000);
  pushAll(stream, 'a', 'b');
  drain(stream);
  stream.acknowledge(2);
  stream.acknowledge(1);
  assert.equal(stream.acknowledged, 2);
});

test('an acknowledgement of what was never sent is a protocol error', () => {
  const stream = new Stream(1000);
  pushAll(stream, 'a', 'b');
  assert.throws(() => stream.acknowledge(1), ProtocolError);
  assert.throws(() => stream.resume(1), ProtocolError);
  stream.next();
  stream.acknowledge(1);
  assert.throws(() => stream.acknowledge(2), ProtocolError);
});

test('what was sent on an earlier link only can be acknowledged on the next', () => {
  const stream = new Stream(1000);
  pushAll(stream, 'a', 'b');
  drain(stream);
  stream.resume(0);
  stream.acknowledge(2);
  assert.deepEqual(drain(stream), []);
});

test('what the peer had acknowledged cannot be sent again', () => {
  const stream = new Stream(1000);
  pushAll(stream, 'a', 'b');
  drain(stream);
  stream.acknowledge(2);
  assert.equal(stream.resume(1), false);
});

test('messages wait while the limit is reached, and a message larger than the limit passes alone', () => {
  const stream = new Stream(4);
  pushAll(stream, 'aaa', 'b', 'c', 'dddddd', 'e');
  assert.deepEqual(drain(stream), ['aaa', 'b']);
  assert.equal(stream.waiting, 8);
  stream.acknowledge(1);
  assert.deepEqual(drain(stream), ['c']);
  stream.acknowledge(3);
  assert.deepEqual(drain(stream), ['dddddd']);
  stream.acknowledge(4);
  assert.deepEqual(drain(stream), ['e']);
});

test('the limit is passed over at the end of a conversation', () => {
  const stream = new Stream(1);
  pushAll(stream, 'a', 'b', 'c');
  assert.deepEqual(drain(stream, true), ['a', 'b', 'c']);
});

test('a stream with more than eight times its limit is full', () => {
  const stream = new Stream(10);
  assert.equal(stream.push('x', 80), true);
  assert.equal(stream.push('x', 1), false);
});

test('acknowledgements are due after 32 messages, 64 KiB, or 250 ms', () => {
  const after = (...messages) => {
    const stream = new Stream(1000);
    for (const [size, now, count] of messages) stream.take(size, now, count);
    return stream;
  };
  assert.equal(after().isDue(1000), false);
  assert.equal(after([1, 0]).isDue(249), false);
  assert.equal(after([1, 0], [1, 249]).isDue(250), true);
  assert.equal(after([65535, 0]).isDue(0), false);
  assert.equal(after([65536, 0]).isDue(0), true);
  assert.equal(after([0, 0, 31]).isDue(0), false);
  assert.equal(after([0, 0, 31], [0, 0]).isDue(0), true);
  const settled = after([65536, 0]);
  settled.settle();
  assert.equal(settled.owes, false);
  assert.equal(settled.isDue(10_000), false);
});

/**
 * Two streams and a link that is cut at random; each message of either side must arrive once and in order.
 * @param {number} seed
 * @param {number} start of the counts
 */
function converse(seed, start) {
  const random = randomOf(seed);
  const sides = [0, 1].map((name) => ({ name, stream: new Stream(40, start), sent: [], taken: [], wire: [] }));
  const [left, right] = sides;
  const other = (side) => (side === left ? right : left);
  const deliver = (side) => {
    const item = side.wire.shift();
    if (item === undefined) return;
    const peer = other(side);
    if (typeof item === 'number') return peer.stream.acknowledge(item);
    peer.stream.take(item.length, 0);
    peer.taken.push(item);
  };
  const acknowledge = (side) => {
    if (!side.stream.owes) return;
    side.stream.settle();
    side.wire.push(side.stream.received);
  };
  const transmit = (side) => side.wire.push(...drain(side.stream));
  const cut = () => {
    for (const side of sides) side.wire = [];
    for (const side of sides) {
      other(side).stream.resume(side.stream.received);
      side.stream.settle();
      side.wire.push(side.stream.received);
    }
    for (const side of sides) transmit(side);
  };
  for (let step = 0; step < 400; step++) {
    const side = random.pick(sides);
    const action = random.below(20);
    if (action < 7) {
      const message = `${side.name}:${side.sent.length}:${'x'.repeat(random.below(12))}`;
      side.sent.push(message);
      side.stream.push(message, message.length);
      transmit(side);
    } else if (action < 14) deliver(side);
    else if (action < 19) {
      acknowledge(side);
      transmit(side);
    } else cut();
  }
  cut();
  while (left.wire.length + right.wire.length > 0 || left.stream.bytes + right.stream.bytes > 0) {
    for (const side of sides) {
      deliver(side);
      acknowledge(side);
      transmit(side);
    }
  }
  for (const side of sides) assert.deepEqual(other(side).taken, side.sent, `seed ${seed}`);
  return left.sent.length + right.sent.length;
}

test('messages arrive once and in order wherever links are cut', () => {
  for (let seed = 0; seed < 150; seed++) converse(seed, 0);
});

test('counts wrap around at 2^32', () => {
  for (let seed = 0; seed < 150; seed++) converse(seed, 2 ** 32 - 1 - (seed % 50));
  for (let seed = 0; seed < 50; seed++) converse(seed, 2 ** 31 - 1 - (seed % 50));
});

test('a count from before the wrap is older than one from after it', () => {
  const stream = new Stream(1000, 2 ** 32 - 2);
  pushAll(stream, 'a', 'b', 'c', 'd');
  drain(stream);
  stream.acknowledge(1);
  assert.equal(stream.bytes, 1);
  stream.acknowledge(2 ** 32 - 1);
  assert.equal(stream.acknowledged, 1);
  assert.throws(() => stream.acknowledge(3), ProtocolError);
});
