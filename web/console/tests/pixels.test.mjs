import assert from 'node:assert/strict';
import { test } from 'node:test';

import { dimensions, moved, pixelAt, placeOf } from '../pixels.js';

test('axes that are missing have one pixel, and polarisations without a name a number', () => {
  assert.deepEqual(dimensions({ shape: [30, 20, 5, 2], stokes: ['I', 'Q'] }), { width: 30, height: 20, channels: 5, stokes: ['I', 'Q'] });
  assert.deepEqual(dimensions({ shape: [30, 20, 1, 2], stokes: ['I'] }).stokes, ['I', '1']);
  assert.deepEqual(dimensions({ shape: [] }), { width: 1, height: 1, channels: 1, stokes: ['0'] });
});

test('the lower left pixel is the first, and the edges belong to the image', () => {
  const image = { width: 4, height: 2 };
  assert.deepEqual(pixelAt(image, 0, 1), { x: 0, y: 0 });
  assert.deepEqual(pixelAt(image, 0.999, 0.001), { x: 3, y: 1 });
  assert.deepEqual(pixelAt(image, 1, 0), { x: 3, y: 1 });
  assert.deepEqual(pixelAt(image, -1, 2), { x: 0, y: 0 });
});

test('the place of a pixel leads back to it', () => {
  const image = { width: 640, height: 512 };
  for (const pixel of [{ x: 0, y: 0 }, { x: 639, y: 511 }, { x: 17, y: 400 }]) {
    const { right, down } = placeOf(image, pixel);
    assert.deepEqual(pixelAt(image, right, down), pixel);
  }
});

test('steps end at the edge', () => {
  const image = { width: 4, height: 4 };
  assert.deepEqual(moved(image, { x: 1, y: 1 }, [1, -1]), { x: 2, y: 0 });
  assert.deepEqual(moved(image, { x: 1, y: 1 }, [10, -10]), { x: 3, y: 0 });
});
