import assert from 'node:assert/strict';
import { test } from 'node:test';

import { delay } from '../backoff.js';
import { Liveness } from '../liveness.js';

/**
 * Looks whenever planned, late by what `lateness` gives, until `end`; the verdicts other than `alive`, with their times.
 */
function watch(liveness, end, { heard = () => false, lateness = () => 0 } = {}) {
  const verdicts = [];
  for (;;) {
    const now = liveness.planned + lateness(liveness.planned);
    if (now > end) return verdicts;
    if (heard(now)) liveness.heard(now);
    const verdict = liveness.look(now);
    if (verdict !== 'alive') verdicts.push([now, verdict]);
    if (verdict === 'dead') return verdicts;
  }
}

test('a silent link is asked after a third of the liveness time and given up ten seconds later', () => {
  assert.deepEqual(watch(new Liveness(30, 0), 60_000), [
    [10_000, 'ask'],
    [20_000, 'dead'],
  ]);
});

test('with a short liveness time a link is given up when that is over', () => {
  assert.deepEqual(watch(new Liveness(3, 0), 60_000), [
    [1000, 'ask'],
    [3000, 'dead'],
  ]);
});

test('a link that may be carrying a large message is given more time', () => {
  assert.deepEqual(watch(new Liveness(30, 0, 4), 100_000), [
    [10_000, 'ask'],
    [50_000, 'dead'],
  ]);
});

test('a link over which something is heard is neither asked nor given up', () => {
  assert.deepEqual(watch(new Liveness(30, 0), 100_000, { heard: () => true }), []);
});

test('an answer ends the doubt', () => {
  const liveness = new Liveness(30, 0);
  liveness.doubt(1000);
  liveness.heard(1100);
  assert.deepEqual(watch(liveness, 11_000), []);
});

test('a link that is doubted is given up after two seconds', () => {
  const liveness = new Liveness(30, 0);
  liveness.doubt(1000);
  assert.deepEqual(watch(liveness, 60_000), [[3000, 'dead']]);
});

test('the first look after a sleep asks, and the link is given up two seconds later', () => {
  const liveness = new Liveness(30, 0);
  assert.equal(liveness.look(3_600_000), 'ask');
  assert.deepEqual(watch(liveness, 4_000_000), [[3_602_000, 'dead']]);
});

test('an answer that was waiting when the page was held up keeps the link', () => {
  const liveness = new Liveness(30, 0);
  watch(liveness, 11_000);
  assert.equal(liveness.look(25_000), 'ask');
  liveness.heard(25_001);
  assert.equal(liveness.look(27_000), 'alive');
});

test('a live link is kept for hours where timers come once a minute', () => {
  const lateness = (planned) => 60_000 - (planned % 60_000);
  // Every heartbeat is answered before the next look.
  const verdicts = watch(new Liveness(30, 0), 7_200_000, { heard: () => true, lateness });
  assert.ok(verdicts.every(([, verdict]) => verdict === 'ask'));
});

test('a dead link is noticed within minutes where timers come once a minute', () => {
  const lateness = (planned) => 60_000 - (planned % 60_000);
  assert.deepEqual(watch(new Liveness(30, 0), 7_200_000, { lateness }), [
    [60_000, 'ask'],
    [120_000, 'dead'],
  ]);
});

test('a clock that is set back does not end a link, and does not keep a dead one', () => {
  const liveness = new Liveness(30, 10_000_000);
  assert.equal(liveness.look(1_000_000), 'alive');
  assert.deepEqual(watch(liveness, 2_000_000), [
    [1_010_000, 'ask'],
    [1_020_000, 'dead'],
  ]);
});

test('the time before the next attempt doubles up to five seconds, with full jitter', () => {
  const longest = (attempt) => delay(attempt, () => 1);
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6, 1000].map(longest), [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
  assert.equal(
    delay(9, () => 0),
    0,
  );
  assert.equal(
    delay(9, () => 0.5),
    2500,
  );
});
