import assert from 'node:assert/strict';
import { test } from 'node:test';

import { barPath, extent, linePath, linear, nearest, summary, thin, ticks } from '../scale.js';

const identity = (number) => number;

test('the extent leaves out what is no number', () => {
  assert.deepEqual(extent([3, null, NaN, -1, Infinity]), { low: -1, high: 3 });
  assert.equal(extent([null, NaN]), undefined);
  assert.equal(extent([]), undefined);
});

test('ticks are round and cover the range', () => {
  assert.deepEqual(ticks({ low: 0, high: 10 }, 5), [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(ticks({ low: 0, high: 0.3 }, 3), [0, 0.1, 0.2, 0.3]);
  assert.deepEqual(ticks({ low: -7, high: 12 }, 4), [-10, -5, 0, 5, 10, 15]);
  assert.deepEqual(ticks({ low: 1.42e9, high: 1.4232e9 }, 2), [1.42e9, 1.422e9, 1.424e9]);
});

test('ticks of sizes are round in binary units', () => {
  const MiB = 2 ** 20;
  assert.deepEqual(ticks({ low: 0, high: 280 * MiB }, 3, true), [0, 100 * MiB, 200 * MiB, 300 * MiB]);
  assert.deepEqual(ticks({ low: 0, high: 1 }, 2, true), [0, 0.5, 1]);
  assert.deepEqual(ticks({ low: 0, high: 1024 }, 2, true), [0, 512, 1024]);
});

test('a range without length has ticks too', () => {
  for (const value of [0, 5, -5, 1e-30, 1e30]) {
    const found = ticks({ low: value, high: value });
    assert.ok(found.length >= 2 && found.length < 10, `${value}: ${found}`);
    assert.ok(found[0] <= value && found.at(-1) >= value, `${value}: ${found}`);
  }
});

test('a scale turns around when its target does', () => {
  const scale = linear({ low: 0, high: 10 }, { low: 100, high: 0 });
  assert.deepEqual([0, 5, 10].map(scale), [100, 50, 0]);
  assert.equal(linear({ low: 1, high: 1 }, { low: 0, high: 9 })(1), 0);
});

test('a gap interrupts a line, and a lonely point is a dot', () => {
  const points = [[0, 1], [1, 2], [2, null], [3, 4], [4, NaN], [5, 6], [6, 7.12345]];
  assert.equal(linePath(points, identity, identity), 'M0,1L1,2M3,4h0M5,6L6,7.12');
  assert.equal(linePath([], identity, identity), '');
});

test('bars stand on the ground', () => {
  assert.equal(barPath([[0, 2], [1, -3], [2, null]], 1, identity, identity, 0), 'M0,0V2H1V0H2V0H3V0Z');
  assert.equal(barPath([], 1, identity, identity, 0), '');
});

test('thinning keeps the peaks and the order', () => {
  const points = Array.from({ length: 1000 }, (_, x) => [x, x === 333 ? 50 : x === 777 ? -50 : Math.sin(x)]);
  const kept = thin(points, 100);
  assert.ok(kept.length <= 100);
  assert.ok(kept.some(([x]) => x === 333) && kept.some(([x]) => x === 777));
  assert.deepEqual(kept, [...kept].sort(([a], [b]) => a - b));
  assert.equal(thin(points, 1000), points);
});

test('thinning keeps a stretch of gaps as a gap', () => {
  const kept = thin(Array.from({ length: 40 }, (_, x) => [x, x < 20 ? null : 1]), 4);
  assert.deepEqual(kept.map(([, y]) => y), [null, 1]);
});

test('the nearest point is found', () => {
  const points = [[0, 1], [10, 2], [20, 3]];
  assert.deepEqual(nearest(points, 14), [10, 2]);
  assert.deepEqual(nearest(points, -5), [0, 1]);
  assert.equal(nearest([], 1), undefined);
});

test('a line is told in words', () => {
  const format = (number) => `${number} B`;
  assert.equal(summary('Memory', [[0, 4], [1, 9], [2, 5], [3, null]], format), 'Memory: last 5 B, lowest 4 B, highest 9 B');
  assert.equal(summary('Memory', [[0, null]], format), 'Memory: no values');
});
