/**
 * The messages and log rules that the server is tested with as well.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { normalizeMessage, shouldLogRPCMessage } from '../rpc/index.js';
import { laneOf, read } from '../rpc/envelope.js';
import { decide, redact } from '../rpc/logging.js';
import { World, settled, watch } from './support/world.mjs';

const fixture = (name) => JSON.parse(readFileSync(new URL(`../../../crates/rpc/fixtures/${name}.json`, import.meta.url), 'utf8'));
const messages = fixture('messages');
const logging = fixture('logging');

const named = (name) => messages.find((message) => message.name === name).frame;

/** What a frame says, but for what differs from one to the next. */
function said({ id: _id, ts: _ts, gen: _gen, seq: _seq, idempotencyKey: _key, correlatesTo: _to, ...rest }) {
  return rest;
}

/** Lets a client send something, and compares it with the fixture. */
function sends(name, act) {
  test(`the client writes: ${name}`, async () => {
    const world = new World();
    const rpc = await world.connect();
    await act(rpc, world);
    await world.pass(20);
    const expected = named(name);
    const { type } = expected;
    const frame = world.last(type);
    assert.deepEqual(said(frame), { ...said(expected), lane: expected.lane ?? laneOf(expected.route) });
    assert.deepEqual(frame.gen, world.generation);
    assert.match(frame.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.ok(Number.isInteger(frame.ts));
    assert.equal(Number.isInteger(frame.seq), frame.lane !== 'sys');
  });
}

const request = (name, opts) => (rpc) => {
  const { route, path, op, args, payload } = named(name);
  rpc.request({ route, path, op, args }, payload, opts).catch(() => {});
};

sends('a request with positional arguments', request('a request with positional arguments', { origin: named('a request with positional arguments').origin }));
sends('a request with named arguments', request('a request with named arguments', { class: 'request.heavy' }));
for (const name of [
  'a call of a method of an object',
  'reading a part of an object',
  'changing a part of an object',
  'all of an object',
]) {
  sends(name, request(name));
}
sends('a subscription', (rpc) => void rpc.subscribe({ capability: 'conformance.ticks@1' }, 'stream', 'none', { periodMs: 100 }));
sends('the end of a subscription by the page', async (rpc, world) => {
  const [subscription] = await Promise.all([rpc.subscribe('conformance.ticks@1', 'stream'), world.pass(30)]);
  subscription.close();
});
sends('the cancellation of a request by the page', (rpc) => {
  const call = rpc.request({ route: 'conformance.echo@1' }, {}, { origin: { modId: 'my.mod', modVersion: '1.0.0' } });
  call.catch(() => {});
  rpc.cancel(call.id);
});
sends('an event of the page', (rpc) => {
  const { route, path, payload } = named('an event of the page');
  rpc.emit(route, path, payload, { budgetMs: 250 });
});
sends('the modules of a page', (rpc) => rpc.clientReady(named('the modules of a page').payload) && undefined);
sends('a heartbeat of the page', (_rpc, world) => world.pass(5000));
sends('the acknowledgement of the page', (rpc, world) => {
  rpc.expose('ui.toast@1', { call: () => ({}) });
  world.send('request', { ...named('a request to the page'), gen: world.generation });
});
sends('the reply of the page', (rpc, world) => {
  rpc.expose('ui.toast@1', { call: () => ({ shown: true }) });
  world.send('request', { ...named('a request to the page'), gen: world.generation });
});
sends('an error of the page', (rpc, world) => {
  rpc.expose('ui.toast@1', { call: () => Promise.reject(new Error('The toast could not be shown.')) });
  world.send('request', { ...named('a request to the page'), gen: world.generation });
});
sends('an update of the page', (rpc, world) => {
  rpc.expose('time.service@1', { subscribe: () => ({ initial: { now: 1795177519270 } }) });
  world.send('subscribe', { ...named('a subscription to what the page exposes'), gen: world.generation });
});
sends('the last update of the page', (rpc, world) => {
  rpc.expose('time.service@1', { subscribe: (_path, _payload, { end }) => void setImmediate(end) });
  world.send('subscribe', { ...named('a subscription to what the page exposes'), gen: world.generation });
});

test('the first hello is that of the fixture', async () => {
  const world = new World();
  const expected = named('the first hello of a page');
  await world.connect({ hello: { payload: expected.payload } });
  const hello = world.last('hello');
  assert.deepEqual(said(hello), said(expected));
  assert.deepEqual(hello.gen, expected.gen);
});

test('every message of the server can be read', () => {
  for (const { name, direction, frame } of messages) {
    if (direction === 'toClient') assert.deepEqual(read(JSON.stringify(frame)), frame, name);
  }
});

test('the progress of a request is told, and its reply is its outcome', async () => {
  const world = new World();
  const rpc = await world.connect();
  const seen = [];
  const call = rpc.request({ route: 'conformance.echo@1' }, {}, { onProgress: (progress) => seen.push(progress) });
  const outcome = watch(call);
  await world.pass(10);
  for (const name of ['the progress of a request', 'the reply to a request']) {
    await world.say(named(name).type, { ...named(name), gen: world.generation, correlatesTo: call.id });
  }
  assert.deepEqual(seen, [0.42]);
  assert.deepEqual(outcome.value, named('the reply to a request').payload);
});

test('a denial says what was asked for and what was granted', async () => {
  const world = new World();
  const rpc = await world.connect();
  const { payload } = named('a denial');
  const call = rpc.request({ route: 'conformance.denied@1' });
  const outcome = watch(call);
  await world.say('error', { ...named('a denial'), gen: world.generation, correlatesTo: call.id });
  const { code, message, err, retryable } = outcome.error;
  assert.deepEqual({ code, message, err, retryable }, payload);
});

for (const { name, rules, direction, bytes, frame, expected } of logging.cases) {
  test(`log rules: ${name}`, () => {
    const decision = decide(rules, normalizeMessage(frame, { direction, bytes }));
    assert.equal(decision?.level, expected?.level);
    assert.equal(shouldLogRPCMessage(frame, rules, { direction, bytes }), expected !== null);
    if (expected?.frame) assert.deepEqual(redact(frame, decision.fields), expected.frame);
    else if (decision) assert.deepEqual(redact(frame, decision.fields), frame);
  });
}

test('messages are written on the console as the settings say, and wrong rules keep none from passing', async (t) => {
  const lines = [];
  t.mock.method(console, 'info', (...values) => lines.push(values));
  t.mock.method(console, 'error', () => {});
  const world = new World();
  world.onframe = (frame) => frame.type === 'request' && world.reply(frame, { secret: 'x' });
  const outgoingMessages = { rules: [{ match: { type: 'request' }, action: { log: { level: 'info' } } }] };
  const incomingMessages = { rules: [{ match: { type: 'reply' }, action: { redact: { fields: ['payload.secret'], level: 'info' } } }] };
  const settings = { debug: { frontend: { rpc: { outgoingMessages, incomingMessages } } } };
  const rpc = await world.connect({ settings });
  await Promise.all([rpc.request({ route: 'echo@1' }), world.pass(50)]);
  assert.deepEqual(lines.map(([where, { type }]) => [where, type]), [['rpc out', 'request'], ['rpc in', 'reply']]);
  assert.equal(lines[1][1].payload.secret, '[redacted]');
  rpc.settings.debug.frontend.rpc.outgoingMessages = { rules: 'nonsense' };
  assert.deepEqual(await Promise.all([rpc.request({ route: 'echo@1' }), world.pass(50)]).then(([reply]) => reply), { secret: 'x' });
  await settled();
});
