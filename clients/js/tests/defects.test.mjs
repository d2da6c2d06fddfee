/**
 * What the first client of this protocol did wrong, and this one does not.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RpcClient, RpcError } from '../rpc/index.js';
import { World, settled, watch } from './support/world.mjs';

const ECHO = { route: { capability: 'echo@1' }, path: 'say' };
const TICKS = { capability: 'ticks@1' };

test('heartbeats go on after a reconnection, and a connection that fell silent is given up', async () => {
  const world = new World();
  const rpc = await world.connect();
  await world.pass(5100);
  assert.equal(world.of('heartbeat').length, 1);
  world.network.cut();
  await world.pass(1000);
  assert.equal(world.of('hello').length, 2);
  await world.pass(5100);
  assert.equal(world.last('heartbeat').socket, 2);

  world.network.stall();
  await world.pass(16_000);
  assert.equal(rpc.isReady, true);
  assert.equal(world.last('hello').socket, 3);
});

test('a call that is made before the welcome waits for it, and leaves with its generation', async () => {
  const world = new World();
  world.welcomes = false;
  world.onframe = (frame) => frame.type === 'request' && world.reply(frame, { text: 'x' });
  const rpc = await world.connect();
  const answer = watch(rpc.request(ECHO, { text: 'x' }));
  await world.pass(5000);
  assert.deepEqual(world.of('request'), []);
  assert.deepEqual(answer, {});
  // The server does not welcome within 10 seconds, so the page tries anew.
  world.welcomes = true;
  await world.pass(10_000);
  assert.deepEqual(answer.value, { text: 'x' });
  assert.deepEqual(world.of('request').map(({ gen }) => gen), [world.generation]);
});

test('a call that timed out, was aborted or was told DISCONNECTED is never sent afterwards', async () => {
  const world = new World();
  const rpc = await world.connect({ settings: { protocol: { maxInFlightPerLane: 2 } } });
  const controller = new AbortController();
  const outcomes = ['a', 'b', 'c', 'd'].map((text, index) =>
    watch(rpc.request(ECHO, { text }, index === 3 ? { signal: controller.signal } : {})),
  );
  await world.pass(20);
  assert.deepEqual(world.of('request').map(({ payload }) => payload.text), ['a', 'b']);
  assert.deepEqual(rpc.laneStates.get('cap:echo@1'), { inFlight: 2, queued: 2 });
  controller.abort();
  await settled();
  assert.equal(outcomes[3].error.name, 'AbortError');
  world.network.cut();
  await world.pass(1000);
  assert.deepEqual(outcomes.slice(0, 2).map(({ error }) => error.code), ['DISCONNECTED', 'DISCONNECTED']);
  assert.equal(outcomes[0].error.retryable, true);
  // What was not sent is not lost.
  assert.deepEqual(world.of('request').map(({ payload, socket }) => [payload.text, socket]), [['a', 1], ['b', 1], ['c', 2]]);
});

test('the number of calls under way is exact, whatever becomes of them', async () => {
  const world = new World();
  const rpc = await world.connect({ settings: { protocol: { maxInFlightPerLane: 2 } } });
  const outcomes = Array.from({ length: 5 }, (_, index) => watch(rpc.request(ECHO, { index }, { budgetMs: 100 })));
  await world.pass(20);
  assert.equal(world.of('request').length, 2);
  // All time out in their turn, counted from when they left.
  await world.pass(310);
  assert.deepEqual(outcomes.map(({ error }) => error?.code), ['TIMEOUT', 'TIMEOUT', undefined, undefined, undefined]);
  assert.equal(world.of('request').length, 4);
  assert.deepEqual(rpc.laneStates.get('cap:echo@1'), { inFlight: 2, queued: 1 });
  await world.pass(620);
  assert.ok(outcomes.every(({ error }) => error.code === 'TIMEOUT'));
  assert.match(outcomes[4].error.message, /was sent, and within 300 ms was not answered/);
  assert.equal(rpc.laneStates.size, 0);
  assert.equal(world.of('cancel').length, 5);
});

test('an emit that is made offline waits for the connection and is acknowledged then', async () => {
  const world = new World();
  const rpc = await world.connect();
  world.network.isRefusing = true;
  world.network.cut();
  await world.pass(20);
  const outcome = watch(rpc.emit({ capability: 'note@1' }, 'note', { text: 'x' }, { idempotencyKey: 'key' }));
  await world.pass(2000);
  assert.deepEqual(outcome, {});
  world.network.isRefusing = false;
  await world.pass(20_000);
  assert.equal(outcome.value, true);
  assert.deepEqual(world.of('emit').map(({ idempotencyKey, payload }) => [idempotencyKey, payload]), [['key', { text: 'x' }]]);
});

test('an emit with a key whose acknowledgement was lost comes again with the same key and id', async () => {
  const world = new World();
  const rpc = await world.connect();
  world.acknowledges = false;
  const outcome = watch(rpc.emit({ capability: 'note@1' }, 'note', {}, { idempotencyKey: 'key' }));
  await world.pass(20);
  world.network.cut();
  world.acknowledges = true;
  await world.pass(1000);
  assert.equal(outcome.value, true);
  const [first, second] = world.of('emit');
  assert.deepEqual([second.id, second.idempotencyKey, second.gen.num], [first.id, 'key', 2]);
});

test('a subscription that is not acknowledged is taken back, and not made again', async () => {
  const world = new World();
  const rpc = await world.connect();
  world.acknowledges = false;
  const outcome = watch(rpc.subscribe(TICKS, 'ticks'));
  await world.pass(400);
  assert.equal(outcome.error.code, 'NO_ACK');
  assert.match(outcome.error.message, /was sent, and within 250 ms was not acknowledged/);
  assert.equal(rpc.subscriptions.size, 0);
  assert.equal(world.last('unsubscribe').correlatesTo, world.last('subscribe').id);
  world.network.cut();
  await world.pass(1000);
  assert.equal(rpc.isReady, true);
  assert.equal(world.of('subscribe').length, 1);
});

test('what the server subscribed to is not subscribed to at the server', async () => {
  const world = new World();
  const rpc = await world.connect();
  const signals = [];
  rpc.expose('time@1', { subscribe: (_path, _payload, { signal }) => void signals.push(signal) });
  await world.say('subscribe', { route: { capability: 'time@1' }, path: 'now' });
  assert.equal(rpc.subscriptions.size, 0);
  world.network.cut();
  await world.pass(1000);
  assert.equal(signals[0].aborted, true);
  assert.deepEqual(world.of('subscribe'), []);
});

test('an abort settles a call at once, cancels it, and leaves no listener', async () => {
  const world = new World();
  const rpc = await world.connect();
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...rest) => (listeners++, addEventListener.apply(signal, rest));
  signal.removeEventListener = (...rest) => (listeners--, removeEventListener.apply(signal, rest));
  const outcome = watch(rpc.request(ECHO, {}, { signal, origin: { modId: 'm' } }));
  await world.pass(20);
  controller.abort();
  await settled();
  assert.equal(outcome.error.name, 'AbortError');
  assert.ok(outcome.error instanceof DOMException);
  await world.pass(20);
  assert.equal(world.last('cancel').correlatesTo, world.last('request').id);
  assert.deepEqual(world.last('cancel').origin, { modId: 'm' });
  assert.equal(listeners, 0);

  const late = watch(rpc.request(ECHO, {}, { signal }));
  await world.pass(20);
  assert.equal(late.error.name, 'AbortError');
  assert.equal(world.of('request').length, 1);
  assert.equal(listeners, 0);

  world.onframe = (frame) => frame.type === 'request' && world.reply(frame, {});
  const other = new AbortController();
  await Promise.all([rpc.request(ECHO, {}, { signal: other.signal }), world.pass(50)]);
  other.abort();
  await world.pass(50);
  assert.equal(world.of('cancel').length, 1);
});

test('an error keeps its code and all that it says', async () => {
  const world = new World();
  const rpc = await world.connect();
  const err = { family: 'echo', decision: 'denied' };
  world.onframe = (frame) =>
    frame.type === 'request' &&
    world.fail(frame, { code: 'RATE_LIMITED', message: 'Too often.', retryable: true, retryAfterMs: 300, err });
  const outcome = watch(rpc.request(ECHO));
  await world.pass(50);
  const { error } = outcome;
  assert.ok(error instanceof RpcError && error instanceof Error);
  const { name, code, message, retryable, retryAfterMs } = error;
  assert.deepEqual(
    { name, code, message, retryable, retryAfterMs, err: error.err },
    { name: 'RpcError', code: 'RATE_LIMITED', message: 'Too often.', retryable: true, retryAfterMs: 300, err },
  );
});

test('an operation on an object is sent as it is given', async () => {
  const world = new World();
  const rpc = await world.connect();
  const object = rpc.object('conformance.obj');
  for (const call of [
    object.get('a.b'),
    object.set('a.b', 5),
    object.snapshot(),
    object.call('add', [1, 2]),
    rpc.request({ route: { object: 'o' }, op: 'get', path: 'p' }),
    rpc.request({ route: 'echo@1', path: 'say' }),
  ]) {
    call.catch(() => {});
  }
  await world.pass(20);
  assert.deepEqual(
    world.of('request').map(({ route, op, path, args, payload, lane }) => ({ route, op, path, args, payload, lane })),
    [
      { route: { object: 'conformance.obj' }, op: 'get', path: 'a.b', args: undefined, payload: {}, lane: 'obj:conformance.obj' },
      { route: { object: 'conformance.obj' }, op: 'set', path: 'a.b', args: undefined, payload: { value: 5 }, lane: 'obj:conformance.obj' },
      { route: { object: 'conformance.obj' }, op: 'snapshot', path: undefined, args: undefined, payload: {}, lane: 'obj:conformance.obj' },
      { route: { object: 'conformance.obj' }, op: 'call', path: undefined, args: [1, 2], payload: { method: 'add' }, lane: 'obj:conformance.obj' },
      { route: { object: 'o' }, op: 'get', path: 'p', args: undefined, payload: {}, lane: 'obj:o' },
      { route: { capability: 'echo@1' }, op: 'call', path: 'say', args: undefined, payload: {}, lane: 'cap:echo@1' },
    ],
  );
});

test('a call of the server to what is not exposed is answered with an error', async () => {
  const world = new World();
  await world.connect();
  await world.say('request', { id: 'r1', route: { capability: 'nobody@1' } });
  assert.equal(world.last('ack').correlatesTo, 'r1');
  const { correlatesTo, payload, lane } = world.last('error');
  assert.deepEqual([correlatesTo, payload.code, lane], ['r1', 'CAPABILITY_NOT_FOUND', 'sys']);
});

test('what does not fit into a queue is refused, and nothing is dropped', async () => {
  const world = new World();
  const rpc = await world.connect({ settings: { protocol: { maxInFlightPerLane: 1, maxQueue: 2 } } });
  const outcomes = Array.from({ length: 4 }, (_, index) => watch(rpc.request(ECHO, { index })));
  await world.pass(20);
  assert.deepEqual(outcomes.map(({ error }) => error?.code), [undefined, undefined, undefined, 'QUEUE_FULL']);
  assert.equal(outcomes[3].error.retryable, true);
  assert.equal(world.of('request').length, 1);
});

test('queues are bounded in bytes, and in all lanes together', async () => {
  const world = new World();
  world.welcomes = false;
  const protocol = { maxOfflineQueue: 3, maxQueueBytes: 2500 };
  const rpc = await world.connect({ settings: { protocol } });
  const text = 'x'.repeat(1500);
  const outcomes = [{ text }, { text }, {}].map((payload, index) =>
    watch(rpc.request({ route: { capability: `c${index}@1` } }, payload)),
  );
  await settled();
  assert.deepEqual(outcomes.map(({ error }) => error?.code), [undefined, 'QUEUE_FULL', undefined]);
  rpc.settings.protocol.maxQueueBytes = 1e6;
  const more = [0, 1].map(() => watch(rpc.request(ECHO)));
  await settled();
  assert.deepEqual(more.map(({ error }) => error?.code), [undefined, 'QUEUE_FULL']);
  assert.equal(rpc.offlineQueue.length, 3);
});

test('the signal that an exposed capability gets is aborted when the server cancels', async () => {
  const world = new World();
  const rpc = await world.connect();
  const seen = [];
  rpc.expose('work@1', {
    call: (_path, _args, { signal }) => new Promise((_, reject) => {
      signal.addEventListener('abort', () => (seen.push('call'), reject(new Error('stopped'))));
    }),
    subscribe: (_path, _payload, { signal }) => {
      signal.addEventListener('abort', () => seen.push('subscribe'));
      return { onCancel: (frame) => seen.push(frame.type) };
    },
  });
  await world.say('request', { id: 'r1', route: { capability: 'work@1' } });
  await world.say('subscribe', { id: 'r2', route: { capability: 'work@1' } });
  await world.say('cancel', { correlatesTo: 'r1' });
  await world.say('unsubscribe', { correlatesTo: 'r2' });
  assert.deepEqual(seen, ['call', 'subscribe', 'unsubscribe']);
  // Nobody waits for an answer any more.
  assert.deepEqual([world.of('error'), world.of('reply')], [[], []]);
});

test('a message of the server that comes twice is acknowledged twice and carried out once', async () => {
  const world = new World();
  const rpc = await world.connect();
  let calls = 0;
  rpc.expose('count@1', { call: () => ({ calls: ++calls }), emit: () => void calls++ });
  for (const type of ['request', 'emit', 'request']) {
    for (let time = 0; time < 2; time++) await world.say(type, { id: `${type}-1`, route: { capability: 'count@1' } });
  }
  assert.equal(calls, 2);
  assert.equal(world.of('reply').length, 1);
  assert.equal(world.of('ack').length, 6);
});

test('frames of another generation are no sign of life, and are not acknowledged', async () => {
  const world = new World();
  await world.connect();
  world.acknowledges = false;
  const stale = { gen: { num: 99, salt: 'other' } };
  for (let second = 0; second < 16; second++) {
    await world.say('stateUpdate', { ...stale, correlatesTo: 'x' });
    await world.pass(990);
  }
  assert.deepEqual(world.of('ack'), []);
  assert.ok(world.of('hello').length > 1);
});

test('two tabs of one client have connections, generations and calls of their own', async () => {
  const world = new World();
  world.onframe = (frame) => frame.type === 'request' && world.reply(frame, frame.payload);
  const [one, two] = [await world.connect(), await world.connect()];
  assert.notDeepEqual(one.generation, two.generation);
  const answers = [one, two, one].map((rpc, tab) => watch(rpc.request(ECHO, { tab })));
  await world.pass(50);
  assert.deepEqual(answers.map(({ value }) => value), [{ tab: 0 }, { tab: 1 }, { tab: 2 }]);
  one.close();
  const after = watch(two.request(ECHO, { tab: 'two' }));
  await world.pass(20_000);
  assert.deepEqual(after.value, { tab: 'two' });
  assert.equal(world.of('hello').length, 2);
});

test('a server that welcomes and then closes is asked less and less often', async () => {
  const world = new World();
  world.chance = 1;
  const rpc = await world.connect();
  const attempts = [];
  for (let time = 0; time < 6; time++) {
    world.network.cut();
    const before = world.clock.now;
    const count = world.of('hello').length;
    while (world.of('hello').length === count) await world.pass(10);
    attempts.push(world.clock.now - before);
    await world.pass(20);
    assert.equal(rpc.isReady, true);
  }
  const expected = [500, 1000, 2000, 4000, 8000, 15_000];
  for (const [index, milliseconds] of attempts.entries()) {
    assert.ok(Math.abs(milliseconds - expected[index]) <= 30, `${attempts}`);
  }
  assert.equal(rpc.reconnectAttempts, 6);
  // A welcome that lasts ends the row.
  await world.pass(6000);
  world.network.cut();
  await world.pass(520);
  assert.equal(rpc.isReady, true);
  assert.equal(rpc.reconnectAttempts, 1);
});

test('each hello tells the newest generation that the page knows', async () => {
  const world = new World();
  await world.connect({ hello: { payload: { viewId: 'v_1', viewToken: 't', lastKnownGen: 0 } } });
  world.network.cut();
  await world.pass(1000);
  assert.deepEqual(world.of('hello').map(({ payload }) => payload.lastKnownGen), [0, 1]);
  assert.equal(world.last('hello').payload.viewToken, 't');
});

test('the page is told that the server was restarted and that its view is new', async () => {
  const world = new World();
  const rpc = await world.connect();
  const restarts = [];
  rpc.onServerRestart = (restart) => restarts.push(restart);
  world.network.cut();
  await world.pass(1000);
  assert.deepEqual(restarts, []);
  world.welcome = { viewId: 'v_2', serverEpoch: 'e2', resumed: false };
  world.network.cut();
  await world.pass(2000);
  assert.deepEqual(restarts, [{ viewId: 'v_2', previousViewId: 'v_1', isNewView: true }]);
});

test('a client can be closed: nothing is left of it', async () => {
  const world = new World();
  const rpc = await world.connect();
  const readiness = [];
  rpc.onReadyChange.add((isReady) => readiness.push(isReady));
  const subscription = await Promise.all([rpc.subscribe(TICKS), world.pass(50)]).then(([first]) => first);
  const failure = watch(new Promise((_, reject) => subscription.on('error', reject)));
  const call = watch(rpc.request(ECHO));
  const welcome = watch(rpc.waitForWelcome({ fresh: true }));
  rpc.close();
  rpc.close();
  await world.pass(50);
  for (const { error } of [failure, call, welcome, watch(rpc.waitForWelcome())]) {
    await settled();
    assert.equal(error?.code ?? 'CLOSED', 'CLOSED');
  }
  assert.equal(call.error.code, 'CLOSED');
  assert.deepEqual(readiness, [false]);
  const late = watch(rpc.request(ECHO));
  await settled();
  assert.equal(late.error.code, 'CLOSED');
  await world.pass(60_000);
  assert.equal(world.clock.pending, 0);
  assert.equal(world.observers, 0);
  assert.equal(world.network.connections.length, 1);
  assert.equal(world.network.last.closedWith, 1000);
});

test('connect() is rejected if the first socket does not open, and does not try again', async () => {
  const world = new World();
  world.network.isRefusing = true;
  const connecting = watch(RpcClient.connect('/ws', { environment: world.environment, transport: 'plain' }));
  await world.pass(60_000);
  assert.equal(connecting.error.code, 'DISCONNECTED');
  assert.equal(world.network.connections.length, 1);
  assert.equal(world.clock.pending, 0);
});

test('a signal has one listener, however many calls share it, and none when they are over', async () => {
  const world = new World();
  const rpc = await world.connect();
  const { signal, abort } = watchedController();
  const outcomes = Array.from({ length: 20 }, () => watch(rpc.request(ECHO, {}, { signal })));
  const subscribing = watch(rpc.subscribe(TICKS, 's', 'none', { signal }));
  const waiting = watch(rpc.waitForWelcome({ fresh: true, signal }));
  await world.pass(50);
  assert.equal(signal.listeners, 1);
  for (const { id } of world.of('request').slice(0, 19)) await world.say('reply', { correlatesTo: id });
  assert.equal(signal.listeners, 1);
  abort();
  await world.pass(50);
  assert.equal(outcomes.filter(({ value }) => value).length, 19);
  assert.equal(outcomes[19].error.name, 'AbortError');
  assert.equal(waiting.error.name, 'AbortError');
  assert.equal(subscribing.value.isActive, false);
  assert.equal(signal.listeners, 0);
});

function watchedController() {
  const controller = new AbortController();
  const { signal } = controller;
  const listeners = new Set();
  Object.defineProperty(signal, 'listeners', { get: () => listeners.size });
  for (const [method, note] of [['addEventListener', 'add'], ['removeEventListener', 'delete']]) {
    const native = signal[method];
    signal[method] = (type, listener) => {
      listeners[note](listener);
      native.call(signal, type, listener);
    };
  }
  return { signal, abort: () => controller.abort() };
}
