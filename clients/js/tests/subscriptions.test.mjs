import assert from 'node:assert/strict';
import { test } from 'node:test';

import { World, settled, watch } from './support/world.mjs';

const TICKS = 'ticks@1';

async function subscribed(world, rpc, opts) {
  const [subscription] = await Promise.all([rpc.subscribe(TICKS, 'stream', 'none', opts), world.pass(30)]);
  return subscription;
}

async function begin(opts) {
  const world = new World();
  const rpc = await world.connect();
  const subscription = await subscribed(world, rpc, opts);
  const update = (payload, more) => world.say('stateUpdate', { correlatesTo: subscription.id, payload, ...more });
  return { world, rpc, subscription, update };
}

test('updates go to every listener, also after one that throws', async (t) => {
  t.mock.method(console, 'error', () => {});
  const { subscription, update } = await begin();
  const seen = [];
  subscription.on('update', () => {
    throw new Error('mine');
  });
  const remove = subscription.on('update', ({ n }) => seen.push(n));
  subscription.on('update', ({ n }) => seen.push(-n));
  await update({ n: 1 });
  remove();
  await update({ n: 2 });
  assert.deepEqual(seen, [1, -1, -2]);
});

test('updates that come before anybody listens are told to the first listener', async () => {
  const { subscription, update } = await begin();
  await update({ n: 1 });
  await update({ n: 2 });
  const seen = [];
  subscription.on('update', ({ n }) => seen.push(n));
  await update({ n: 3 });
  assert.deepEqual(seen, [1, 2, 3]);
});

test('the options are the payload, and are not changed', async () => {
  const opts = Object.freeze({ periodMs: 5, origin: { modId: 'm' } });
  const { world } = await begin(opts);
  const { payload, origin } = world.last('subscribe');
  assert.deepEqual([payload, origin], [{ priority: 'low', periodMs: 5 }, { modId: 'm' }]);
});

test('the budget of a subscription is the one that its options give, or that of their class', async () => {
  for (const [opts, budgetMs] of [
    [{ budgetMs: 1234 }, 1234],
    [{ class: 'request.fast' }, 800],
    [{ class: { of: 'the application' } }, 3000],
    [{}, 3000],
  ]) {
    const { world } = await begin(opts);
    const frame = world.last('subscribe');
    assert.deepEqual([frame.budgetMs, frame.payload], [budgetMs, { priority: 'low', ...opts }]);
  }
});

test('after a reconnection the same handle goes on under another id', async () => {
  const { world, rpc, subscription } = await begin({ periodMs: 5 });
  const seen = [];
  subscription.on('update', ({ n }) => seen.push(n));
  const { id } = subscription;
  world.network.cut();
  await world.pass(1000);
  const [first, second] = world.of('subscribe');
  assert.notEqual(subscription.id, id);
  assert.equal(second.id, subscription.id);
  assert.deepEqual([second.route, second.path, second.op, second.payload], [first.route, first.path, first.op, first.payload]);
  await world.say('stateUpdate', { correlatesTo: subscription.id, payload: { n: 7 } });
  assert.deepEqual(seen, [7]);
  assert.deepEqual([...rpc.subscriptions.values()], [subscription]);
});

test('subscriptions are made again before anything else that waits', async () => {
  const { world, rpc } = await begin();
  world.network.cut();
  await world.pass(10);
  watch(rpc.request({ route: 'echo@1' }));
  await world.pass(1000);
  assert.deepEqual(world.frames.filter(({ socket }) => socket === 2).map(({ type }) => type), ['hello', 'subscribe', 'request']);
});

test('a subscribe message whose acknowledgement was lost with the connection is sent again, with another id', async () => {
  const world = new World();
  const rpc = await world.connect();
  world.acknowledges = false;
  const outcome = watch(rpc.subscribe(TICKS));
  await world.pass(20);
  world.network.cut();
  world.acknowledges = true;
  await world.pass(1000);
  const [first, second] = world.of('subscribe');
  assert.notEqual(first.id, second.id);
  assert.equal(outcome.value.id, second.id);
  assert.equal(rpc.subscriptions.size, 1);
});

test('a subscription that cannot be made again fails', async () => {
  const { world, rpc, subscription } = await begin();
  const failure = watch(new Promise((_, reject) => subscription.on('error', reject)));
  world.onframe = (frame) => frame.type === 'subscribe' && world.fail(frame, { code: 'CAPABILITY_NOT_FOUND', message: 'Gone.' });
  world.network.cut();
  await world.pass(1000);
  assert.equal(failure.error.code, 'CAPABILITY_NOT_FOUND');
  assert.equal(rpc.subscriptions.size, 0);
  world.network.cut();
  await world.pass(5000);
  assert.equal(world.of('subscribe').length, 2);
});

test('a completed subscription ends, and is not made again', async () => {
  const { world, rpc, subscription, update } = await begin();
  const seen = [];
  subscription.on('update', (payload) => seen.push(payload));
  await update({ n: 1 });
  await update({ done: true }, { final: 1 });
  // Who comes late is told as well.
  subscription.on('end', (payload) => seen.push(['end', payload]));
  assert.deepEqual(seen, [{ n: 1 }, ['end', { done: true }]]);
  assert.equal(subscription.isActive, false);
  assert.equal(rpc.subscriptions.size, 0);
  subscription.close();
  world.network.cut();
  await world.pass(2000);
  assert.equal(world.of('subscribe').length, 1);
  assert.deepEqual(world.of('unsubscribe'), []);
});

test('an error of the server ends a subscription, whenever it is listened for', async () => {
  const { world, subscription } = await begin();
  await world.say('error', { correlatesTo: subscription.id, lane: 'sys', payload: { code: 'GONE', message: 'It is gone.' } });
  const codes = [];
  subscription.on('error', ({ code }) => codes.push(code));
  assert.deepEqual(codes, ['GONE']);
  await assert.rejects(async () => {
    for await (const _ of subscription);
  }, { code: 'GONE' });
});

test('closing tells the server once, and updates that still come are passed over', async () => {
  const { world, rpc, subscription, update } = await begin({ origin: { modId: 'm' } });
  const seen = [];
  subscription.on('update', (payload) => seen.push(payload));
  const { id } = subscription;
  subscription.close();
  subscription.close();
  rpc.unsubscribe('unknown');
  await update({ n: 1 });
  assert.deepEqual(world.of('unsubscribe').map(({ correlatesTo }) => correlatesTo), [id, 'unknown']);
  assert.deepEqual(world.of('unsubscribe')[0].origin, { modId: 'm' });
  assert.deepEqual(seen, []);
});

test('a loop over a subscription gets every update, and ends with it', async () => {
  const { subscription, update } = await begin();
  const seen = [];
  const loop = watch((async () => {
    for await (const { n } of subscription) seen.push(n);
    return seen;
  })());
  for (const n of [1, 2, 3]) await update({ n });
  await update({ done: true }, { final: 1 });
  assert.deepEqual(loop.value, [1, 2, 3]);
});

test('leaving a loop closes the subscription', async () => {
  const { world, subscription, update } = await begin();
  for (const n of [1, 2]) await update({ n });
  for await (const { n } of subscription) {
    assert.equal(n, 1);
    break;
  }
  await world.pass(20);
  assert.equal(world.of('unsubscribe').length, 1);
});

test('a loop that is too slow fails, and one over the newest updates passes over older ones', async () => {
  const { subscription, update } = await begin();
  const all = subscription.updates({ limit: 2 });
  const newest = subscription.updates({ newest: true });
  for (const n of [1, 2, 3]) await update({ n });
  assert.deepEqual(await newest.next(), { value: { n: 3 }, done: false });
  assert.deepEqual((await all.next()).value, { n: 1 });
  assert.deepEqual((await all.next()).value, { n: 2 });
  await assert.rejects(all.next(), { code: 'SLOW_CONSUMER' });
  assert.equal((await all.next()).done, true);
});

test('the signal of a subscription closes it', async () => {
  const controller = new AbortController();
  const { world, subscription } = await begin({ signal: controller.signal });
  assert.deepEqual(world.last('subscribe').payload, { priority: 'low' });
  controller.abort();
  await world.pass(20);
  assert.equal(subscription.isActive, false);
  assert.equal(world.of('unsubscribe').length, 1);
});

test('an update that comes before the acknowledgement stands for it', async () => {
  const world = new World();
  const rpc = await world.connect();
  world.acknowledges = false;
  world.onframe = ({ type, id }) => type === 'subscribe' && world.send('stateUpdate', { correlatesTo: id, payload: { n: 1 } });
  const subscription = await subscribed(world, rpc);
  const seen = [];
  subscription.on('update', ({ n }) => seen.push(n));
  await settled();
  assert.deepEqual(seen, [1]);
  await world.pass(1000);
  assert.equal(subscription.isActive, true);
});
