import assert from 'node:assert/strict';
import { test } from 'node:test';

import { History, recall, remember } from '../storage.js';

/** A store as the browser has it. */
function store() {
  const items = new Map();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, text) => void items.set(key, text),
    removeItem: (key) => void items.delete(key),
  };
}

const REFUSING = {
  getItem: () => assert.fail('forbidden'),
  setItem: () => assert.fail('forbidden'),
  removeItem: () => assert.fail('forbidden'),
};

const open = (place) =>
  new History(place, 'k', { capacity: 3, identity: ({ call }) => call, isEntry: (entry) => typeof entry?.call === 'string' });

test('what is remembered is recalled, and what is broken is nothing', () => {
  const place = store();
  remember(place, 'a', { b: [1] });
  assert.deepEqual(recall(place, 'a'), { b: [1] });
  remember(place, 'a', undefined);
  assert.equal(recall(place, 'a'), undefined);
  place.setItem('a', '{');
  assert.equal(recall(place, 'a'), undefined);
});

test('a browser that refuses to store costs only the memory', () => {
  for (const place of [REFUSING, undefined]) {
    remember(place, 'a', 1);
    assert.equal(recall(place, 'a'), undefined);
    const history = open(place);
    history.add({ call: 'x' });
    assert.deepEqual(history.entries, [{ call: 'x' }]);
    history.clear();
  }
});

test('a history has the newest first, each once, and is bounded', () => {
  const place = store();
  const history = open(place);
  for (const call of ['a', 'b', 'a', 'c', 'd']) history.add({ call });
  assert.deepEqual(history.entries, [{ call: 'd' }, { call: 'c' }, { call: 'a' }]);
  assert.deepEqual(open(place).entries, history.entries);
  history.clear();
  assert.deepEqual(open(place).entries, []);
});

test('what is not an entry is ignored', () => {
  const place = store();
  remember(place, 'k', [{ call: 'a' }, null, 7, { other: 1 }]);
  assert.deepEqual(open(place).entries, [{ call: 'a' }]);
  remember(place, 'k', 'text');
  assert.deepEqual(open(place).entries, []);
});
