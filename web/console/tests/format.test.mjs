import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ago, byteRate, bytes, countdown, counted, date, duration, moment, percent, sentence, value } from '../format.js';

const all = (format, cases) => {
  for (const [given, expected] of cases) assert.equal(format(given), expected, String(given));
};

test('sizes have three significant digits and binary units', () => {
  all(bytes, [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '0.98 KiB'],
    [1024, '1.00 KiB'],
    [10_240, '10.0 KiB'],
    [102_400, '100 KiB'],
    [1024 ** 2 - 1, '1.00 MiB'],
    [1_536_000, '1.46 MiB'],
    [5 * 1024 ** 4, '5.00 TiB'],
    [2 ** 70, '1048576 PiB'],
    [undefined, '–'],
    [null, '–'],
    [NaN, '–'],
  ]);
  assert.equal(byteRate(2048), '2.00 KiB/s');
  assert.equal(byteRate(undefined), '–');
});

test('values keep six significant digits and use exponents where zeros would be many', () => {
  all(value, [
    [0, '0'],
    [-0, '0'],
    [1, '1'],
    [-3, '−3'],
    [1234567, '1\u202f234\u202f567'],
    [0.1 + 0.2, '0.3'],
    [-0.001234567, '−0.00123457'],
    [123456.789, '123457'],
    [1234567.5, '1.23457e6'],
    [1.5e-7, '1.5e−7'],
    [1e15, '1e15'],
    [null, 'NaN'],
    [NaN, 'NaN'],
    [Infinity, '∞'],
    [-Infinity, '−∞'],
  ]);
  assert.equal(value(Math.PI, 3), '3.14');
});

test('durations have their two largest units', () => {
  all(duration, [
    [-5, '0 ms'],
    [0, '0 ms'],
    [850, '850 ms'],
    [1000, '1.0 s'],
    [9990, '9.9 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [200_000, '3 min 20 s'],
    [3_600_000, '1 h'],
    [7_500_000, '2 h 5 min'],
    [97_200_000, '1 d 3 h'],
  ]);
});

test('a countdown shows its last second until it is over', () => {
  all(countdown, [
    [3_600_000, '1:00:00'],
    [3_599_001, '1:00:00'],
    [3_599_000, '59:59'],
    [61_000, '1:01'],
    [1, '0:01'],
    [0, '0:00'],
    [-1, '0:00'],
  ]);
});

test('how long ago something was changes seldom', () => {
  const now = new Date('2024-03-01T12:00:00Z');
  const before = (seconds) => ago(new Date(now - seconds * 1000), now);
  all(before, [
    [-3, 'just now'],
    [1, 'just now'],
    [2, '2 s ago'],
    [59.9, '59 s ago'],
    [60, '1 min ago'],
    [3600, '1 h ago'],
    [86_400, '24 h ago'],
    [200_000, '2 d ago'],
  ]);
  assert.equal(ago(undefined, now), '–');
});

test('times are read as RFC 3339, seconds or milliseconds', () => {
  const expected = Date.UTC(2024, 2, 1);
  for (const given of ['2024-03-01T00:00:00Z', '2024-03-01T01:00:00+01:00', expected, expected / 1000]) {
    assert.equal(date(given)?.getTime(), expected);
  }
  for (const given of [undefined, null, 'yesterday', {}, NaN]) assert.equal(date(given), undefined);
});

test('a moment has its date unless it is of today', () => {
  const now = new Date(2024, 2, 1, 18, 0, 0);
  assert.equal(moment(new Date(2024, 2, 1, 4, 5, 6), now), '04:05:06');
  assert.equal(moment(new Date(2024, 1, 29, 4, 5, 6), now), '2024-02-29 04:05');
  assert.equal(moment(undefined, now), '–');
});

test('a percentage is full only at the end', () => {
  all(percent, [
    [0, '0 %'],
    [0.999, '99 %'],
    [1, '100 %'],
    [7, '100 %'],
    [-1, '0 %'],
  ]);
});

test('a noun follows its number', () => {
  assert.deepEqual([0, 1, 2].map((count) => counted(count, 'file')), ['0 files', '1 file', '2 files']);
  assert.equal(counted(2, 'entry', 'entries'), '2 entries');
});

test('an error is a sentence: the words of the server, or what its code means', () => {
  all(sentence, [
    [{ code: 'X', message: 'there is no file a.fits' }, 'There is no file a.fits.'],
    [{ code: 'X', message: 'Really?' }, 'Really?'],
    [{ code: 'PERMISSION_DENIED', message: 'PERMISSION_DENIED' }, 'You are not permitted to do that.'],
    [{ code: 'PERMISSION_DENIED', message: '' }, 'You are not permitted to do that.'],
    [new Error('TIMEOUT'), 'No answer came in time.'],
    [{ code: 'ODD' }, 'The server answered ODD.'],
    ['it broke', 'It broke.'],
    [undefined, 'Something went wrong.'],
    [null, 'Something went wrong.'],
  ]);
});
