import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RpcClient } from '../rpc/index.js';
import { delayOf } from '../rpc/link.js';
import { World, settled, watch } from './support/world.mjs';

const ECHO = { route: 'echo@1', path: 'say' };

/** A client over plain connections. */
async function plain() {
  const world = new World();
  return { world, rpc: await world.connect() };
}

/** A client over the resumable transport. */
async function resumable() {
  const world = new World();
  const streams = world.resumable();
  const rpc = await world.connect({ transport: 'auto' });
  return { world, streams, rpc };
}

test('over the resumable transport nothing is lost with a connection, and no new generation begins', async () => {
  const { world, rpc } = await resumable();
  assert.equal(rpc.isResumable, true);
  assert.deepEqual(world.network.last.protocols, ['chartroom.resume.v1']);
  const links = [];
  rpc.onLinkChange = (isUp) => links.push(isUp);
  const before = watch(rpc.request(ECHO, { text: 'before' }));
  await world.pass(20);
  world.network.isRefusing = true;
  world.network.cut();
  await world.pass(20);
  const during = watch(rpc.request(ECHO, { text: 'during' }));
  // Longer than any of them may take, and than silence may last.
  await world.pass(60_000);
  assert.deepEqual([before, during], [{}, {}]);
  assert.equal(rpc.isReady, true);
  world.onframe = (frame) => frame.type === 'request' && world.reply(frame, frame.payload);
  world.network.isRefusing = false;
  world.wake();
  await world.pass(100);
  world.reply(world.of('request')[0], { text: 'before' });
  await world.pass(20);
  assert.deepEqual([before.value, during.value], [{ text: 'before' }, { text: 'during' }]);
  assert.deepEqual(links, [false, true]);
  assert.equal(world.of('hello').length, 1);
});

test('time-outs go on where they stood when the connection is back', async () => {
  const { world, rpc } = await resumable();
  const outcome = watch(rpc.request(ECHO, {}, { budgetMs: 1000 }));
  await world.pass(600);
  world.network.isRefusing = true;
  world.network.cut();
  await world.pass(10_000);
  world.network.isRefusing = false;
  await world.pass(6000);
  assert.equal(outcome.error.code, 'TIMEOUT');
  assert.match(outcome.error.message, /within 1200 ms/);
});

for (const transport of ['plain', 'auto']) {
  test(`${transport}: what is said after the socket began to close waits, and is sent once over the next one`, async () => {
    const { world, rpc } = await (transport === 'auto' ? resumable() : plain());
    world.onframe = (frame) => frame.type === 'request' && frame.payload.text && world.reply(frame, frame.payload);
    const readiness = [];
    rpc.onReadyChange = (isReady) => readiness.push(isReady);
    const before = watch(rpc.request(ECHO));
    await world.pass(20);
    rpc.webSocket.close();
    assert.deepEqual([rpc.connected, rpc.isReady, rpc.webSocket.readyState], [false, false, 2]);
    const after = [
      rpc.request(ECHO, { text: 'after' }),
      rpc.emit('note@1', 'note', { n: 1 }),
      rpc.emit('note@1', 'note', { n: 2 }, { noAck: true }),
      rpc.subscribe('ticks@1'),
    ].map(watch);
    assert.equal(rpc.offlineQueue.length, 4);
    await world.pass(2000);
    assert.equal(before.error.code, 'DISCONNECTED');
    assert.deepEqual(after.map(({ error }) => error), Array(4).fill(undefined));
    assert.deepEqual(after[0].value, { text: 'after' });
    assert.deepEqual([after[1].value, after[3].value.isActive], [true, true]);
    const said = world.frames.filter(({ type }) => ['request', 'emit', 'subscribe'].includes(type));
    assert.deepEqual(
      said.map(({ gen, type, payload }) => [gen.num, type, payload.text ?? payload.n]),
      [[1, 'request', undefined], [2, 'request', 'after'], [2, 'emit', 1], [2, 'emit', 2], [2, 'subscribe', undefined]],
    );
    assert.deepEqual(readiness, [false, true]);
  });
}

test('what waits for a place in its lane does not take one on a socket that is being closed', async () => {
  for (const connect of [plain, resumable]) {
    const { world, rpc } = await connect();
    rpc.settings.protocol.maxInFlightPerLane = 1;
    const [first, second] = [rpc.request(ECHO), rpc.request(ECHO)];
    const outcomes = [watch(first), watch(second)];
    rpc.webSocket.close();
    rpc.cancel(first.id);
    await world.pass(2000);
    assert.equal(outcomes[0].error.code, 'REQUEST_CANCELLED');
    assert.deepEqual(outcomes[1], {});
    assert.deepEqual(world.of('request').map(({ id, gen }) => [id, gen.num]), [[first.id, 1], [second.id, 2]]);
    assert.deepEqual(world.of('cancel'), []);
  }
});

test('a socket that the server has begun to close is not used any more', async () => {
  const { world, rpc } = await plain();
  const socket = world.network.last;
  // The browser has the server's close frame, and waits for the end of the connection.
  socket.readyState = 2;
  const outcome = watch(rpc.request(ECHO));
  socket.peer.close(1001);
  await world.pass(2000);
  assert.deepEqual(outcome, {});
  assert.deepEqual(world.of('request').map(({ gen }) => gen.num), [2]);
});

test('calls that are made after a stream was given up, because too much was sent, wait for the next one', async () => {
  const world = new World();
  const streams = world.resumable();
  streams.limit = 1000;
  const rpc = await world.connect({ transport: 'auto' });
  const far = watch(rpc.request(ECHO, { text: 'x'.repeat(9000) }));
  const next = watch(rpc.request({ route: 'other@1' }));
  await world.pass(2000);
  assert.equal(far.error.code, 'DISCONNECTED');
  assert.deepEqual(next, {});
  assert.deepEqual(world.of('request').map(({ lane, gen }) => [lane, gen.num]), [['cap:other@1', 2]]);
});

test('when the server does not know the stream any more, there is a new one with a new hello', async () => {
  const { world, streams, rpc } = await resumable();
  const restarts = [];
  rpc.onServerRestart = (restart) => restarts.push(restart);
  const outcome = watch(rpc.request(ECHO));
  const again = watch(rpc.request(ECHO, {}, { retry: true }));
  await world.pass(20);
  world.onframe = (frame) => frame.type === 'request' && world.reply(frame, {});
  world.welcome = { ...world.welcome, serverEpoch: 'e2' };
  streams.streams.clear();
  world.network.cut();
  await world.pass(3000);
  assert.equal(outcome.error.code, 'DISCONNECTED');
  assert.deepEqual(again.value, {});
  assert.equal(world.of('hello').length, 2);
  assert.deepEqual(restarts, [{ viewId: 'v_1', previousViewId: 'v_1', isNewView: false }]);
  const [, first, second] = world.of('request');
  assert.deepEqual([second.id, second.idempotencyKey], [first.id, first.idempotencyKey]);
  assert.notEqual(first.idempotencyKey, first.id);
});

test('a server that chooses no subprotocol has plain connections', async () => {
  const world = new World();
  const rpc = await world.connect({ transport: 'auto' });
  assert.deepEqual([rpc.isReady, rpc.isResumable], [true, false]);
  world.network.cut();
  await world.pass(1000);
  assert.deepEqual([rpc.isReady, world.of('hello').length], [true, 2]);
});

test('a browser that fails such connections is connected without a subprotocol', async () => {
  const world = new World();
  const { WebSocket } = world.network;
  class Browser extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols);
      if (protocols?.length) this.close();
    }
  }
  const rpc = await world.connect({ transport: 'auto', WebSocket: undefined, environment: { ...world.environment, WebSocket: Browser } });
  assert.equal(rpc.isReady, true);
  assert.deepEqual(world.network.connections.map(({ protocols }) => protocols.length), [1, 0]);
  world.network.cut();
  await world.pass(1000);
  // It is known by now.
  assert.deepEqual(world.network.connections.map(({ protocols }) => protocols.length), [1, 0, 0]);
});

test('the time before an attempt grows up to a limit, with full jitter', () => {
  const reconnect = { initialDelayMs: 500, maxDelayMs: 15_000, factor: 2 };
  const delays = (chance) => [0, 1, 2, 3, 4, 5, 6].map((attempt) => delayOf(attempt, reconnect, () => chance));
  assert.deepEqual(delays(1), [500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
  assert.deepEqual(delays(0.5), [250, 500, 1000, 2000, 4000, 7500, 7500]);
  assert.deepEqual(delays(0), [0, 0, 0, 0, 0, 0, 0]);
});

test('a page that is online or visible again connects at once', async () => {
  const world = new World();
  world.chance = 1;
  const rpc = await world.connect();
  world.network.isRefusing = true;
  world.network.cut();
  await world.pass(20_000);
  world.network.isRefusing = false;
  assert.equal(rpc.isReady, false);
  world.wake();
  await world.pass(30);
  assert.equal(rpc.isReady, true);
});

test('a page that wakes up notices a dead connection within five seconds', async () => {
  const world = new World();
  const rpc = await world.connect();
  world.network.stall();
  world.wake();
  await world.pass(5020);
  assert.equal(rpc.isReady, false);
  await world.pass(1000);
  assert.equal(rpc.isReady, true);
  world.wake();
  await world.pass(6000);
  assert.equal(world.of('hello').length, 2);
});

test('a connection over which something comes is kept, where timers run once a minute too', async () => {
  const world = new World();
  await world.connect();
  for (let minute = 0; minute < 30; minute++) {
    world.clock.sleep(60_000);
    await world.pass(100);
  }
  assert.equal(world.of('hello').length, 1);
});

test('an attempt that hangs is given up, and a server that never welcomes too', async () => {
  const world = new World();
  const rpc = await world.connect();
  world.network.isSilent = true;
  world.network.cut();
  await world.pass(25_000);
  const attempts = world.network.connections.length;
  assert.ok(attempts >= 3, `${attempts}`);
  world.network.isSilent = false;
  world.welcomes = false;
  await world.pass(60_000);
  assert.ok(world.of('hello').length > 2);
  world.welcomes = true;
  await world.pass(30_000);
  assert.equal(rpc.isReady, true);
});

test('acknowledgements are waited for longer on a slow connection', async () => {
  const world = new World();
  // A hello takes a second to be answered, and an emit too.
  world.delays = (take) => world.clock.setTimeout(take, 1000);
  const rpc = await world.connect();
  await world.pass(1000);
  const outcome = watch(rpc.emit('note@1', 'note'));
  await world.pass(990);
  assert.deepEqual(outcome, {});
  await world.pass(50);
  assert.equal(outcome.value, true);
});

test('a call that needs no acknowledgement is sent in its turn, and holds no place', async () => {
  const world = new World();
  const rpc = await world.connect({ settings: { protocol: { maxInFlightPerLane: 1 } } });
  world.acknowledges = false;
  const outcomes = [1, 2, 3].map((n) => watch(rpc.emit('note@1', 'note', { n }, { noAck: true })));
  await world.pass(20);
  assert.deepEqual(outcomes.map(({ value }) => value), [true, true, true]);
  assert.deepEqual(world.of('emit').map(({ payload, seq }) => [payload.n, seq]), [[1, 1], [2, 2], [3, 3]]);
  assert.equal(rpc.pending.size, 0);
});

test('lanes do not wait for each other', async () => {
  const world = new World();
  const rpc = await world.connect({ settings: { protocol: { maxInFlightPerLane: 1 } } });
  for (const name of ['a@1', 'a@1', 'b@1']) watch(rpc.request({ route: name }));
  await world.pass(20);
  assert.deepEqual(world.of('request').map(({ lane }) => lane), ['cap:a@1', 'cap:b@1']);
});

test('what is larger than the server takes is refused, and what cannot be written as JSON throws', async () => {
  const world = new World();
  const rpc = await world.connect({ settings: { protocol: { maxFrameBytes: 1000 } } });
  await assert.rejects(rpc.request(ECHO, { text: 'é'.repeat(500) }), { code: 'FRAME_TOO_LARGE', retryable: false });
  const circle = {};
  circle.circle = circle;
  assert.throws(() => rpc.request(ECHO, circle), TypeError);
  assert.throws(() => rpc.request({}), TypeError);
  await settled();
  assert.deepEqual([world.of('request'), rpc.laneStates.size], [[], 0]);
});

test('what is sent is what the payload was when the call was made', async () => {
  const world = new World();
  world.welcomes = false;
  const rpc = await world.connect();
  const payload = { text: 'before' };
  watch(rpc.request(ECHO, payload));
  payload.text = 'after';
  world.welcomes = true;
  await world.pass(12_000);
  assert.equal(world.last('request').payload.text, 'before');
});

test('cancel() settles a call, whether it was sent or not', async () => {
  const world = new World();
  const rpc = await world.connect({ settings: { protocol: { maxInFlightPerLane: 1 } } });
  const [one, two] = [rpc.request(ECHO), rpc.request(ECHO)];
  const outcomes = [watch(one), watch(two)];
  await world.pass(20);
  rpc.cancel(two.id);
  rpc.cancel(one.id);
  await world.pass(20);
  assert.deepEqual(outcomes.map(({ error }) => error.code), ['REQUEST_CANCELLED', 'REQUEST_CANCELLED']);
  assert.equal(world.of('request').length, 1);
  assert.deepEqual(world.of('cancel').map(({ correlatesTo }) => correlatesTo), [one.id]);
});

test('waiting for a welcome: the last one, the next one, or until it is aborted', async () => {
  const world = new World();
  world.welcomes = false;
  const rpc = await world.connect();
  const controller = new AbortController();
  const [first, aborted] = [watch(rpc.waitForWelcome()), watch(rpc.waitForWelcome({ signal: controller.signal }))];
  controller.abort();
  world.welcomes = true;
  await world.pass(12_000);
  assert.equal(aborted.error.name, 'AbortError');
  assert.deepEqual(first.value, { greeting: 'hello' });
  assert.deepEqual(await rpc.waitForWelcome(), { greeting: 'hello' });
  const fresh = watch(rpc.waitForWelcome({ fresh: true }));
  await settled();
  assert.deepEqual(fresh, {});
  world.welcome = { viewId: 'v_1', state: { greeting: 'again' }, serverEpoch: 'e1' };
  world.network.cut();
  await world.pass(2000);
  assert.deepEqual(fresh.value, { greeting: 'again' });
});

test('a relative URL that has no page to be relative to is refused', async () => {
  await assert.rejects(RpcClient.connect('/ws'), { name: 'SyntaxError' });
});

test('an error that answers nothing is written on the console, and one that comes too late is not', async (t) => {
  const warn = t.mock.method(console, 'warn', () => {});
  const world = new World();
  await world.connect();
  await world.say('error', { correlatesTo: 'long ago', payload: { code: 'REQUEST_CANCELLED', message: 'x' } });
  assert.equal(warn.mock.callCount(), 0);
  await world.say('error', { payload: { code: 'FRAME_TOO_LARGE', message: 'x' } });
  await world.say('error', { gen: { num: 0, salt: '' }, payload: { code: 'UNSUPPORTED_VERSION', message: 'x' } });
  assert.equal(warn.mock.callCount(), 2);
});

test('a connection that fails without a close event is tried again as fast as others', async () => {
  for (const transport of ['plain', 'auto']) {
    const world = new World();
    world.network.isNode = true;
    const rpc = await world.connect({ transport });
    world.network.isRefusing = true;
    world.network.cut();
    await world.pass(4000);
    assert.ok(world.network.connections.length > 3, transport);
    world.network.isRefusing = false;
    await world.pass(4000);
    assert.equal(rpc.isReady, true, transport);
  }
});
