import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RpcError } from '../rpc/index.js';
import { World, settled } from './support/world.mjs';

const WORK = { capability: 'work@1' };

async function exposing(handlers) {
  const world = new World();
  const rpc = await world.connect();
  const remove = rpc.expose('work@1', handlers);
  return { world, rpc, remove };
}

test('a call is acknowledged before it is carried out, and answered on its lane', async () => {
  const calls = [];
  const { world } = await exposing({ call: (...values) => (calls.push(values), { sum: 3 }) });
  await world.say('request', { id: 'r', route: WORK, path: 'add', args: [1, 2], payload: { named: 1 }, origin: { modId: 'm' }, lane: 'cap:work@1' });
  const [[path, args, context]] = calls;
  assert.deepEqual([path, args, context.id, context.origin, context.payload], ['add', [1, 2], 'r', { modId: 'm' }, { named: 1 }]);
  const [ack, reply] = world.frames.slice(-2);
  assert.deepEqual([ack.type, ack.correlatesTo], ['ack', 'r']);
  assert.deepEqual([reply.type, reply.correlatesTo, reply.lane, reply.payload], ['reply', 'r', 'cap:work@1', { sum: 3 }]);
});

test('results that are no objects get one around them', async () => {
  const results = [5, 'x', null, undefined, false, [1], 0];
  const { world } = await exposing({ call: (path) => results[Number(path)] });
  for (const index of results.keys()) await world.say('request', { route: WORK, path: String(index) });
  assert.deepEqual(
    world.of('reply').map(({ payload }) => payload),
    [{ result: 5 }, { result: 'x' }, {}, {}, { result: false }, { result: [1] }, { result: 0 }],
  );
});

test('what a handler throws is told without its stack', async () => {
  const errors = {
    plain: new Error('It broke.'),
    own: new RpcError('BUSY', 'Come again.', { retryable: true, retryAfterMs: 5, err: { why: 'x' } }),
  };
  const { world } = await exposing({
    call: (path) => Promise.reject(errors[path]),
    emit: () => {
      throw errors.plain;
    },
    subscribe: () => {
      throw errors.plain;
    },
  });
  for (const path of ['plain', 'own']) await world.say('request', { route: WORK, path });
  await world.say('emit', { route: WORK });
  await world.say('subscribe', { route: WORK });
  const plain = (code) => ({ code, message: 'It broke.', retryable: false, err: {} });
  assert.deepEqual(world.of('error').map(({ payload }) => payload), [
    plain('FRONTEND_ERROR'),
    { code: 'BUSY', message: 'Come again.', retryable: true, retryAfterMs: 5, err: { why: 'x' } },
    plain('FRONTEND_EMIT_ERROR'),
    plain('FRONTEND_SUBSCRIBE_ERROR'),
  ]);
});

test('a kind of message for which there is no handler is an error', async () => {
  const { world } = await exposing({});
  for (const type of ['request', 'emit', 'subscribe']) await world.say(type, { route: WORK });
  assert.deepEqual(
    world.of('error').map(({ payload }) => payload.code),
    ['FRONTEND_REQUEST_ERROR', 'FRONTEND_EMIT_ERROR', 'FRONTEND_SUBSCRIBE_ERROR'],
  );
});

test('a capability is exposed once, until it is taken back', async () => {
  const { rpc, remove } = await exposing({});
  assert.throws(() => rpc.expose('work@1', {}), /exposed already/);
  assert.equal(remove(), true);
  assert.equal(remove(), false);
  rpc.expose('work@1', {});
  assert.equal(remove(), false);
});

test('a subscription of the server gets updates until it ends them or the server does', async () => {
  let context;
  const cancelled = [];
  const { world } = await exposing({
    subscribe: async (_path, payload, given) => {
      context = given;
      return { initial: { n: payload.from }, onCancel: () => cancelled.push(given.id) };
    },
  });
  await world.say('subscribe', { id: 's1', route: WORK, payload: { from: 1 } });
  context.push({ n: 2 });
  context.end();
  context.push({ n: 3 });
  await world.say('subscribe', { id: 's2', route: WORK, payload: { from: 5 } });
  await world.say('unsubscribe', { correlatesTo: 's2' });
  context.push({ n: 6 });
  await world.pass(20);
  assert.deepEqual(
    world.of('stateUpdate').map(({ correlatesTo, payload, final }) => [correlatesTo, payload, final]),
    [['s1', { n: 1 }, undefined], ['s1', { n: 2 }, undefined], ['s1', { done: true }, 1], ['s2', { n: 5 }, undefined]],
  );
  assert.deepEqual(cancelled, ['s2']);
});

test('a subscription that is cancelled while it is set up is cancelled then', async () => {
  let finish;
  let cancels = 0;
  const { world } = await exposing({
    subscribe: () => new Promise((resolve) => (finish = () => resolve({ initial: {}, onCancel: () => cancels++ }))),
  });
  await world.say('subscribe', { id: 's1', route: WORK });
  await world.say('cancel', { correlatesTo: 's1' });
  finish();
  await settled();
  assert.deepEqual([cancels, world.of('stateUpdate')], [1, []]);
});

test('ids are remembered only so long', async () => {
  let calls = 0;
  const { world } = await exposing({ emit: () => void calls++ });
  for (let n = 0; n < 2100; n++) world.send('emit', { id: `e${n}`, route: WORK });
  await world.say('emit', { id: 'e2099', route: WORK });
  assert.equal(calls, 2100);
  await world.say('emit', { id: 'e0', route: WORK });
  assert.equal(calls, 2101);
});

test('what a handler returns for a subscription can push by itself', async () => {
  const stream = { initial: { n: 1 } };
  const { world } = await exposing({ subscribe: () => stream });
  await world.say('subscribe', { id: 's', route: WORK });
  stream.push({ n: 2 });
  await world.pass(10);
  assert.deepEqual(world.of('stateUpdate').map(({ payload }) => payload), [{ n: 1 }, { n: 2 }]);
  assert.equal(JSON.stringify(stream), '{"initial":{"n":1}}');
});
