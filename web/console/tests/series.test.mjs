import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Meter, Record, isCounter, rates, title, unitOf } from '../series.js';

test('counters are known by their names', () => {
  for (const name of ['a_total', 'a_total{x="1"}', 'a_seconds_count', 'a_seconds_sum{x="b_total"}']) assert.ok(isCounter(name));
  for (const name of ['a', 'total_links', 'a{x="b_total"}']) assert.ok(!isCounter(name));
});

test('units are known by their names', () => {
  const units = ['a_bytes', 'a_bytes_total{x="1"}', 'a_seconds_sum', 'a_seconds_count', 'cpu_ratio', 'a{unit="bytes"}'].map(unitOf);
  assert.deepEqual(units, ['bytes', 'bytes', 'seconds', 'number', 'fraction', 'number']);
});

test('a name is read as words with its labels', () => {
  assert.equal(title('chartroom_links'), 'links');
  assert.equal(title('chartroom_message_bytes_total{direction="in",event="A \\"b\\""}'), 'message bytes (direction in, event A \\"b\\")');
});

test('a rate is what a counter grows per second, and a counter that starts again is a gap', () => {
  assert.deepEqual(rates([[0, 10], [1000, 14], [3000, 24], [4000, 2], [5000, null], [6000, 3], [6000, 5]]), [
    [1000, 4],
    [3000, 5],
    [4000, null],
    [5000, null],
    [6000, null],
    [6000, null],
  ]);
  assert.deepEqual(rates([]), []);
});

test('a rate over several points is calmer, and does not look back over a gap', () => {
  const points = [[0, 0], [1000, 4], [2000, 4], [3000, 4], [4000, 1], [5000, 3], [6000, 3]];
  assert.deepEqual(rates(points, 2), [[1000, 4], [2000, 2], [3000, 0], [4000, null], [5000, 2], [6000, 1]]);
});

test('a record is bounded, and what is missing is a gap', () => {
  const record = new Record(3);
  record.add(1, { a: 1 });
  record.add(2, { a: 2, b: 5 });
  record.add(3, { b: 6 });
  record.add(3, { a: 99 });
  record.add(4, { a: 4, b: 7 });
  assert.deepEqual(record.names, ['a', 'b']);
  assert.deepEqual(record.points('a'), [[2, 2], [3, null], [4, 4]]);
  assert.deepEqual(record.points('b'), [[2, 5], [3, 6], [4, 7]]);
  assert.deepEqual(record.points('c'), []);
});

test('a sum of metrics takes counters as rates', () => {
  const record = new Record(10);
  record.add(0, { x_total: 0, y_total: 10 });
  record.add(1000, { x_total: 3, y_total: 11 });
  record.add(2000, { x_total: 6 });
  assert.deepEqual(record.sum(['x_total', 'y_total']), [[1000, 4], [2000, 3]]);
  record.interrupt(3000);
  assert.deepEqual(record.shown('x_total').at(-1), [3000, null]);
});

test('a meter needs two values, looks back a few seconds and forgets a counter that fell', () => {
  const meter = new Meter(3000);
  assert.equal(meter.take('a', 0, 0), undefined);
  assert.equal(meter.take('a', 1000, 100), 100);
  assert.equal(meter.take('a', 2000, 100), 50);
  for (const at of [3000, 4000, 5000]) meter.take('a', at, 100);
  assert.equal(meter.take('a', 6000, 100), 0);
  assert.equal(meter.take('a', 7000, 5), undefined);
  assert.equal(meter.take('b', 7000, 5), undefined);
  meter.keep(['a']);
  assert.equal(meter.take('b', 8000, 6), undefined);
});
