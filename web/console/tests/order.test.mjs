import assert from 'node:assert/strict';
import { test } from 'node:test';

import { compare, difference, successor } from '../order.js';

test('nothing changes when nothing changes', () => {
  assert.deepEqual(difference([1, 2, 3], [1, 2, 3]), { removed: [], added: [], moved: [] });
  assert.deepEqual(difference([], []), { removed: [], added: [], moved: [] });
});

test('what goes, comes and moves is told apart', () => {
  assert.deepEqual(difference(['a', 'b', 'c'], ['c', 'a', 'd']), { removed: ['b'], added: ['d'], moved: ['c'] });
});

test('when one of many goes to another place, only it moves', () => {
  assert.deepEqual(difference([1, 2, 3, 4, 5], [5, 1, 2, 3, 4]).moved, [5]);
  assert.deepEqual(difference([1, 2, 3, 4, 5], [2, 3, 4, 5, 1]).moved, [1]);
});

test('carrying out a difference gives what was wanted, and nothing else is touched', () => {
  // A linear congruential generator (Numerical Recipes), so that the cases are the same everywhere.
  let state = 7;
  const random = (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const list = () => {
    const keys = Array.from({ length: 12 }, (_, i) => i).filter(() => random(3) > 0);
    for (let i = keys.length - 1; i > 0; i -= 1) {
      const other = random(i + 1);
      [keys[i], keys[other]] = [keys[other], keys[i]];
    }
    return keys;
  };
  for (let round = 0; round < 500; round += 1) {
    const [shown, wanted] = [list(), list()];
    const { removed, added, moved } = difference(shown, wanted);
    const staying = shown.filter((key) => !removed.includes(key) && !moved.includes(key));
    assert.deepEqual(wanted.filter((key) => !added.includes(key) && !moved.includes(key)), staying);
    assert.deepEqual(new Set([...staying, ...added, ...moved]), new Set(wanted));
  }
});

test('the focus goes on to the next one that stays, at the end to the one before', () => {
  assert.equal(successor([1, 2, 3], [1, 3], 2), 3);
  assert.equal(successor([1, 2, 3], [1, 2], 3), 2);
  assert.equal(successor([1, 2, 3], [2, 3], 2), 2);
  assert.equal(successor([1], [], 1), undefined);
});

test('cells are sorted as numbers or as people sort text, and what is missing comes last', () => {
  assert.deepEqual([10, undefined, 9, NaN].sort(compare).slice(0, 2), [9, 10]);
  assert.deepEqual(['b10', 'b9', 'A'].sort(compare), ['A', 'b9', 'b10']);
  assert.equal(compare(undefined, null), 0);
});
