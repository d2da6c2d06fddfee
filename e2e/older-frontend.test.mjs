// The official CARTA frontend 4.1.0, which speaks an older version of the protocol.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import * as cube from './support/demo-cube.mjs';
import { startServerAndBrowser } from './support/interruption.mjs';
import { Viewer } from './support/viewer.mjs';

describe('carta-frontend 4.1.0', { timeout: 900_000 }, () => {
  let server;
  let browser;

  before(async () => {
    ({ server, browser } = await startServerAndBrowser('4.1.0'));
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  test('the image is drawn and the cursor has its value', async () => {
    const viewer = await Viewer.open(browser, server.address, { file: 'disk.fits' });
    await viewer.drawn('disk.fits');
    const cursor = await viewer.hover(250, 220);
    await viewer.picture('older-frontend');
    const expected = cube.value(250, 220, 0);
    assert.ok(Math.abs(cursor.value - expected) <= 1e-5 * Math.abs(expected), `${cursor.text}: ${expected}`);
    assert.deepEqual(viewer.errors, []);
  });
});
