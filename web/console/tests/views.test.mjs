// What the views decide without a page.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { rowsOf } from '../files.js';
import { formatOf, selected } from '../metrics.js';
import { parametersOf } from '../scripting.js';
import { news } from '../sessions.js';

const session = (sessionId, state) => ({ sessionId, state });

test('sessions that come, change their state and go are told of; counters that move are not', () => {
  const before = [session(1, 'live'), session(2, 'live'), session(3, 'parked')];
  const after = [session(1, 'live'), session(2, 'parked'), session(4, 'live')];
  assert.deepEqual(news(before, after), ['Session 2 is parked.', 'Session 4 is new.', 'Session 3 has ended.']);
  assert.deepEqual(news(before, before.map((one) => ({ ...one, bytesIn: 9 }))), []);
});

test('parameters are a JSON array or nothing', () => {
  assert.deepEqual(parametersOf(' '), []);
  assert.deepEqual(parametersOf('["", 1]'), ['', 1]);
  assert.throws(() => parametersOf('{"a": 1}'), /must be a JSON array/);
  assert.throws(() => parametersOf('[1'), /^Error: The parameters are not JSON: /);
});

test('folders come before files, each as people sort names', () => {
  const rows = rowsOf({
    directories: [{ name: 'b', items: 3 }, { name: 'a' }],
    files: [{ name: 'm10.fits', size: 1 }, { name: 'm9.fits', size: 2 }],
  });
  assert.deepEqual(rows.map(({ type, name }) => `${type} ${name}`), ['folder a', 'folder b', 'file m9.fits', 'file m10.fits']);
  assert.deepEqual(rowsOf({}), []);
});

test('charts are drawn of what the server tells of', () => {
  const names = ['chartroom_links', 'chartroom_sessions{state="live"}', 'chartroom_sessions{state="parked"}', 'other'];
  const found = selected(names).map(({ title, lines }) => [title, lines.map(({ name }) => name)]);
  assert.deepEqual(found, [
    ['Sessions', ['live', 'parked']],
    ['Links', ['viewer']],
  ]);
  assert.deepEqual(selected([]), []);
});

test('metrics are written in their unit, counters per second', () => {
  const cases = [
    ['a_bytes', 2048, '2.00 KiB'],
    ['a_bytes_total', 2048, '2.00 KiB/s'],
    ['a_seconds', 0.25, '250 ms'],
    ['cpu_seconds_total', 1.5, '1.5'],
    ['a_requests_total', 12.345, '12.3/s'],
    ['a_links', 3, '3'],
  ];
  for (const [name, y, text] of cases) assert.equal(formatOf(name)(y), text, name);
});
