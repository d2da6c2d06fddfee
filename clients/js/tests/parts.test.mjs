/**
 * The parts that can be used alone.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PerLaneSerializer, createEmitter, defineEventProperty, defaultSettings, evaluateOp, getByPath, normalizeMessage, uuidv7 } from '../rpc/index.js';
import { budgetOf, completeSettings } from '../rpc/settings.js';

test('listeners are called in order, once if they want that, and can be removed by themselves or their handles', () => {
  const emitter = createEmitter();
  const seen = [];
  const listener = (value) => seen.push(['a', value]);
  emitter.add(listener);
  const handle = emitter.add((value) => seen.push(['b', value]));
  emitter.once((value) => seen.push(['once', value]));
  assert.equal(emitter.size(), 3);
  emitter.emit(1);
  assert.equal(handle(), true);
  assert.equal(handle(), false);
  emitter.emit(2);
  assert.equal(emitter.remove(listener), true);
  assert.equal(emitter.remove(listener), false);
  emitter.emit(3);
  assert.deepEqual(seen, [['a', 1], ['b', 1], ['once', 1], ['a', 2]]);
  assert.equal(emitter.size(), 0);
  assert.throws(() => emitter.add('no function'), TypeError);
});

test('a listener that throws does not keep the others from being called', (t) => {
  const log = t.mock.method(console, 'error', () => {});
  const emitter = createEmitter();
  let calls = 0;
  emitter.add(() => {
    throw new Error('mine');
  });
  emitter.add(() => calls++);
  emitter.emit();
  assert.deepEqual([calls, log.mock.callCount()], [1, 1]);
});

test('a listener that removes another while it is called has removed it', () => {
  const emitter = createEmitter();
  let calls = 0;
  emitter.add(() => second());
  const second = emitter.add(() => calls++);
  emitter.emit();
  assert.equal(calls, 0);
});

test('assigning to an event property adds a listener', () => {
  const owner = {};
  const emitter = createEmitter();
  defineEventProperty(owner, 'onThing', emitter);
  let calls = 0;
  owner.onThing = () => calls++;
  owner.onThing = () => calls++;
  owner.onThing.emit();
  assert.equal(calls, 2);
  assert.equal(owner.onThing, emitter);
});

test('ids sort by when they were made, within a millisecond and with a clock that is set back', () => {
  const now = Date.now() + 1e6;
  const ids = [...Array.from({ length: 5000 }, () => uuidv7(now)), uuidv7(now - 5000), uuidv7(now + 50)];
  assert.deepEqual([...ids].sort(), ids);
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('an id tells when it was made', () => {
  const now = Date.now() + 2e6;
  assert.equal(Number.parseInt(uuidv7(now).replaceAll('-', '').slice(0, 12), 16), now);
});

test('budgets come from the call, from its class, or from the usual class', () => {
  const settings = defaultSettings();
  assert.deepEqual(budgetOf(settings, {}), { budgetMs: 3000, waitMs: 3200 });
  assert.deepEqual(budgetOf(settings, { class: 'request.fast' }), { budgetMs: 800, waitMs: 950 });
  assert.deepEqual(budgetOf(settings, { class: 'request.heavy' }), { budgetMs: 30_000, waitMs: 30_250 });
  assert.deepEqual(budgetOf(settings, { class: 'unknown' }), { budgetMs: 3000, waitMs: 3200 });
  assert.deepEqual(budgetOf(settings, { budgetMs: 120_000 }), { budgetMs: 120_000, waitMs: 120_200 });
  const nested = { ...settings, timeouts: { classes: { request: { fast: { serviceTtlMs: 1, clientPatienceExtraMs: 2 } } } } };
  assert.deepEqual(budgetOf(nested, { class: 'request.fast' }), { budgetMs: 1, waitMs: 3 });
});

test('settings are completed, and what the server told is left as it is', () => {
  const told = Object.freeze({ protocol: Object.freeze({ heartbeatMs: 1 }), application: { colour: 'red' } });
  const settings = completeSettings(told);
  assert.deepEqual([settings.protocol.heartbeatMs, settings.protocol.maxQueue, settings.application.colour], [1, 1024, 'red']);
  assert.notEqual(settings.protocol, told.protocol);
  assert.deepEqual(completeSettings(undefined), defaultSettings());
  assert.equal(completeSettings(JSON.parse('{"__proto__": {"x": 1}}')).x, undefined);
});

test('values are found by their paths, and nothing that was inherited', () => {
  const object = { a: { b: [{ c: 1 }] } };
  for (const path of ['a.b.0.c', 'a/b/0/c', 'a/b.0/c']) assert.equal(getByPath(object, path), 1);
  for (const path of ['a.x', 'a.b.1.c', 'constructor', 'a.b.0.c.d', '', '/a']) assert.equal(getByPath(object, path), undefined);
});

test('facts are compared', () => {
  for (const [left, op, right, expected] of [
    ['a', '==', 'a', true], ['a', '!=', 'a', false], [1, '<', 2, true], [2, '<=', 2, true], [1, '>', 2, false],
    [2, '>=', 2, true], ['a', 'in', ['a', 'b'], true], ['cap:echo@1', 'like', 'cap:*@1', true], ['x', 'like', ['y', '*x*'], true],
    [undefined, 'like', '*', false],
    ['a', 'equals', 'a', true], ['a', 'equals', 'b', false], ['a', 'notEquals', 'b', true], ['a', 'notEquals', 'a', false],
    ['c', 'in', ['a', 'b'], false], ['c', 'notIn', ['a', 'b'], true], ['a', 'notIn', ['a', 'b'], false],
    [0, 'exists', undefined, true], [null, 'exists', undefined, false], [undefined, 'exists', undefined, false],
    ['', 'notExists', undefined, false], [null, 'notExists', undefined, true], [undefined, 'notExists', undefined, true],
    [1, 'lt', 2, true], [2, 'lt', 2, false], [2, 'lte', 2, true], [3, 'lte', 2, false],
    [3, 'gt', 2, true], [2, 'gt', 2, false], [2, 'gte', 2, true], [1, 'gte', 2, false],
    ['cap:echo@1', 'matches', '^cap:.+@[0-9]$', true], ['obj:echo', 'matches', /^cap:/, false], [undefined, 'matches', '', false],
  ]) {
    assert.equal(evaluateOp(left, op, right), expected, `${left} ${op} ${right}`);
  }
});

test('a comparison that does not exist is never true', () => {
  for (const op of ['~', 'constructor', 'toString', '__proto__', '', undefined]) assert.equal(evaluateOp(1, op, 1), false, op);
});

test('the facts of a message', () => {
  const message = { id: 'i', type: 'request', route: { capability: ' echo@1 ' } };
  const { lane, capability, exchange, direction } = normalizeMessage(message);
  assert.deepEqual([lane, capability, exchange, direction], ['cap: echo@1 ', 'echo@1', 'i', 'in']);
  assert.equal(normalizeMessage('{"type":"ack","correlatesTo":"r"}').bytes, 33);
  assert.equal(normalizeMessage({ type: 'ack' }).lane, 'noLaneSet');
});

test('a listener is removed by its handle, or by itself wherever it was added', () => {
  const emitter = createEmitter();
  let count = 0;
  const listener = () => (count += 1);
  emitter.add(listener)();
  for (const { unsubscribe } of [emitter.add(listener), emitter.once(listener)]) {
    assert.equal(unsubscribe(), true);
    assert.equal(unsubscribe(), false);
  }
  emitter.remove(emitter.add(listener));
  assert.equal(emitter.size(), 0);
  emitter.add(listener);
  emitter.once(listener);
  assert.equal(emitter.remove(listener), true);
  assert.equal(emitter.remove(listener), false);
  emitter.emit();
  assert.equal(count, 0);
});

test('tasks of a lane are carried out one after another, and lanes side by side', async () => {
  const serializer = new PerLaneSerializer();
  const order = [];
  const gates = [];
  const task = (name) => async () => {
    order.push(`${name} begins`);
    await new Promise((open) => gates.push(open));
    order.push(`${name} ends`);
  };
  const [error] = [console.error, (console.error = () => {})];
  serializer.enqueue('a', () => {
    throw new Error('It broke.');
  });
  serializer.enqueue('a', task('first'));
  serializer.enqueue('a', task('second'));
  serializer.enqueue('b', task('other'));
  while (order.length < 2) await Promise.resolve();
  assert.deepEqual(order.toSorted(), ['first begins', 'other begins']);
  while (order.length < 6) {
    gates.splice(0).forEach((open) => open());
    await Promise.resolve();
  }
  assert.ok(order.indexOf('first ends') < order.indexOf('second begins'));
  await Promise.all(serializer.tails.values());
  assert.equal(serializer.tails.size, 0);
  console.error = error;
});
