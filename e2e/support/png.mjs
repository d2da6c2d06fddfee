// A decoder for the PNG files that browsers write: 8 bits per sample, RGB or RGBA, not interlaced.
// After W3C, Portable Network Graphics (PNG) Specification, third edition.

import assert from 'node:assert/strict';
import { crc32, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Samples of a pixel by colour type. */
const SAMPLES = { 2: 3, 6: 4 };

/** Decodes the bytes of a file: its size, the samples of a pixel, and all samples row by row from the top. */
export function decode(file) {
  assert.ok(file.subarray(0, 8).equals(SIGNATURE), 'the signature of PNG');
  const parts = [];
  let header;
  let isOver = false;
  for (let at = 8; !isOver; ) {
    const length = file.readUInt32BE(at);
    const type = file.toString('latin1', at + 4, at + 8);
    const body = file.subarray(at + 8, at + 8 + length);
    assert.equal(crc32(file.subarray(at + 4, at + 8 + length)), file.readUInt32BE(at + 8 + length), `the sum of ${type}`);
    if (type === 'IHDR') header = body;
    if (type === 'IDAT') parts.push(body);
    isOver = type === 'IEND';
    at += 12 + length;
  }
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const samples = SAMPLES[header[9]];
  assert.deepEqual([header[8], header[12]], [8, 0], '8 bits, not interlaced');
  assert.ok(samples, `RGB or RGBA, not ${header[9]}`);
  return { width, height, samples, pixels: unfilter(inflateSync(Buffer.concat(parts)), width, height, samples) };
}

/** Undoes the filters of the rows (section 9). */
function unfilter(data, width, height, samples) {
  const length = width * samples;
  assert.equal(data.length, height * (length + 1), 'all rows are there');
  const pixels = Buffer.alloc(height * length);
  for (let y = 0; y < height; y++) {
    const predict = PREDICTORS[data[y * (length + 1)]] ?? assert.fail('an unknown filter');
    for (let i = 0; i < length; i++) {
      const at = y * length + i;
      const left = i < samples ? 0 : pixels[at - samples];
      const up = y === 0 ? 0 : pixels[at - length];
      const corner = i < samples || y === 0 ? 0 : pixels[at - length - samples];
      pixels[at] = data[y * (length + 1) + 1 + i] + predict(left, up, corner);
    }
  }
  return pixels;
}

const PREDICTORS = [
  () => 0,
  (left) => left,
  (left, up) => up,
  (left, up) => (left + up) >> 1,
  (left, up, corner) => {
    const guess = left + up - corner;
    const [a, b, c] = [left, up, corner].map((value) => Math.abs(guess - value));
    if (a <= b && a <= c) return left;
    return b <= c ? up : corner;
  },
];
