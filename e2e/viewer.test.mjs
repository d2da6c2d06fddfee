// The official CARTA frontend 6.0.0 on the demonstration data.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import * as cube from './support/demo-cube.mjs';
import { startServerAndBrowser } from './support/interruption.mjs';
import { Viewer } from './support/viewer.mjs';

/** A pixel in the approaching half of the disk, where the line is bright in the first half of the channels. */
const PIXEL = { x: 250, y: 220 };

/** Single precision, summed over a few hundred thousand pixels in some order. */
const TOLERANCE = 1e-6;

const close = (actual, expected, tolerance, what) =>
  assert.ok(
    Object.is(actual, expected) || Math.abs(actual - expected) <= tolerance * Math.abs(expected),
    `${what}: ${actual} instead of ${expected}`,
  );

const allClose = (actual, expected, what) => {
  assert.equal(actual.length, expected.length, `length of ${what}`);
  expected.forEach((value, i) => close(actual[i], value, TOLERANCE, `${what} at ${i}`));
};

describe('carta-frontend 6.0.0', { timeout: 1_500_000 }, () => {
  let server;
  let browser;
  let viewer;

  before(async () => {
    ({ server, browser } = await startServerAndBrowser('6.0.0'));
  });

  after(async () => {
    await browser?.close();
    assert.equal(await server?.stop(), 0, 'the server stops by itself when it is asked to');
  });

  /** Opens a tab; it is closed after the test, with a picture of its last state. */
  const open = async (query) => {
    viewer = await Viewer.open(browser, server.address, query);
  };

  afterEach(async (context) => {
    const name = context.name.replaceAll(/[^a-z0-9.]+/gi, '-');
    await viewer?.picture(name);
    await viewer?.close();
    assert.deepEqual(viewer?.errors, [], 'the page prints no error');
    viewer = undefined;
  });

  test('the file browser opens by itself and a double click opens the file', async () => {
    await open();
    const dialog = viewer.part('file-browser-dialog');
    await dialog.getByText('disk.fits', { exact: true }).waitFor();
    for (const name of ['disk-iquv.fits', 'more']) await dialog.getByText(name, { exact: true }).waitFor();
    await dialog.getByText('disk.fits', { exact: true }).click();
    await viewer.part('file-info').getByText(/640, 512, 64/).first().waitFor();
    await viewer.picture('file-browser');
    await dialog.getByText('disk.fits', { exact: true }).dblclick();
    await viewer.drawn('disk.fits');
  });

  test('a folder opens in the file browser and leads back', async () => {
    await open();
    const dialog = viewer.part('file-browser-dialog');
    await dialog.getByText('more', { exact: true }).dblclick();
    await dialog.getByText('continuum.fits', { exact: true }).dblclick();
    await viewer.drawn('continuum.fits');
  });

  test('the image of the address is drawn as the formula says, and changes with the channel', async () => {
    await open({ file: 'disk.fits' });
    const first = await viewer.drawn('disk.fits');

    await viewer.part('animator-0-header-title').click();
    await viewer.part('animator-next-button').click();
    await viewer.channel(1);
    await viewer.changed(first);
    const second = await viewer.settled();

    await viewer.part('animator-previous-button').click();
    await viewer.channel(0);
    await viewer.changed(second);
    assert.equal(await viewer.settled(), first, 'the picture comes back with the channel');

    await viewer.page.evaluate(() => window.app.activeFrame.setChannels(31, 0, true));
    await viewer.channel(31);
    await viewer.settled();
    const brightness = async (x, y) => (await viewer.colour(x, y)).reduce((a, b) => a + b);
    const centre = await brightness(320, 256);
    const beside = await brightness(120, 450);
    assert.ok(centre > 2 * beside, `the disk is brighter (${centre}) than the sky (${beside})`);
  });

  test('the cursor shows the value and the profiles along x and y', async () => {
    await open({ file: 'disk.fits' });
    await viewer.drawn('disk.fits');
    const { x, y } = PIXEL;
    const cursor = await viewer.hover(x, y);
    assert.deepEqual([cursor.x, cursor.y], [x, y]);
    close(cursor.value, cube.value(x, y, 0), 1e-5, 'value under the cursor');

    await viewer.until(
      ([x]) => document.querySelector('[data-testid=x-profiler-info]').innerText.includes(`Image: ${x} px`),
      [x],
      'the x profile follows the cursor',
    );
    allClose(await viewer.spatialProfile('x', x, y, cube.WIDTH), cube.row(y, 0), 'x profile');
    allClose(await viewer.spatialProfile('y', x, y, cube.HEIGHT), cube.column(x, 0), 'y profile');

    const masked = await viewer.hover(10, 10);
    assert.ok(Number.isNaN(masked.value), `a masked pixel has no value: ${masked.text}`);
  });

  test('the spectral profile of the cursor has the value of every channel', async () => {
    await open({ file: 'disk.fits' });
    await viewer.drawn('disk.fits');
    await viewer.page.locator('#SpectralProfilerButton').click();
    await viewer.part('spectral-profiler-0-plot').waitFor();
    // Below the widget, which floats over the upper part of the image.
    for (const { x, y } of [{ x: 320, y: 120 }, { x: 260, y: 150 }]) {
      await viewer.hover(x, y);
      const expected = cube.spectrum(x, y);
      allClose(await viewer.spectralProfile(expected[0]), expected, 'z profile');
    }
  });

  test('the histogram counts every pixel that is not masked', async () => {
    await open({ file: 'disk.fits' });
    await viewer.drawn('disk.fits');
    const expected = cube.statistics(0);
    const histogram = await viewer.until(() => {
      const histogram = window.app.activeFrame.renderConfig.channelHistogram;
      return histogram?.bins?.length > 1 && { ...histogram, bins: Array.from(histogram.bins) };
    });
    assert.equal(histogram.bins.length, Math.floor(Math.sqrt(cube.WIDTH * cube.HEIGHT)));
    assert.equal(histogram.bins.reduce((a, b) => a + b), expected.NumPixels);
    close(histogram.mean, expected.Mean, TOLERANCE, 'mean');
    close(histogram.stdDev, expected.StdDev, TOLERANCE, 'standard deviation');
    close(histogram.firstBinCenter - histogram.binWidth / 2, expected.Min, TOLERANCE, 'lower end');

    const clip = await Promise.all(['min', 'max'].map((end) => viewer.part(`clip-${end}-input`).inputValue()));
    assert.ok(expected.Min <= Number(clip[0]) && Number(clip[1]) <= expected.Max, `clip ${clip}`);

    await viewer.page.locator('#HistogramWidgetButton').click();
    await viewer.part('histogram-0-plot').waitFor();
    await viewer.until(() => window.app.regionHistograms.get(0)?.get(-1)?.size > 0, undefined, 'the widget has data');
  });

  test('the statistics are those of the plane', async () => {
    await open({ file: 'disk.fits' });
    await viewer.drawn('disk.fits');
    await viewer.page.locator('#StatisticsWidgetButton').click();
    const rows = viewer.part('statistics-table').locator('tbody tr');
    await rows.first().waitFor();
    const shown = await rows.evaluateAll((rows) =>
      Object.fromEntries(rows.map((row) => [row.cells[0].innerText, Number.parseFloat(row.cells[1].innerText)])),
    );
    const expected = cube.statistics(0);
    assert.deepEqual(Object.keys(shown).sort(), Object.keys(expected).sort());
    Object.entries(expected).forEach(([name, value]) => close(shown[name], value, TOLERANCE, name));
  });

  test('an animation plays through the channels and stops', async () => {
    await open({ file: 'disk.fits' });
    await viewer.drawn('disk.fits');
    await viewer.part('animator-0-header-title').click();
    const first = await viewer.fingerprint();
    await viewer.part('animator-play-stop-button').click();
    await viewer.until(() => window.app.activeFrame.channel >= 5, undefined, 'the animation reaches channel 5');
    await viewer.changed(first);
    await viewer.picture('animation');
    await viewer.part('animator-play-stop-button').click();
    const stopped = await viewer.until(() => {
      const { channel } = window.app.activeFrame;
      return !window.app.animatorStore.isAnimationActive && window.__complete() && `${channel}`;
    });
    const cursor = await viewer.hover(PIXEL.x, PIXEL.y);
    close(cursor.value, cube.value(PIXEL.x, PIXEL.y, Number(stopped)), 1e-5, `value in channel ${stopped}`);
  });

  test('zooming in brings tiles of full resolution', async () => {
    await open({ file: 'disk.fits' });
    const before = await viewer.drawn('disk.fits');
    for (let i = 0; i < 3; i++) await viewer.part('zoom-in-button').click();
    await viewer.drawn('disk.fits');
    await viewer.until(() => window.app.activeFrame.requiredFrameView.mip === 1, undefined, 'full resolution is shown');
    await viewer.changed(before);
  });

  test('a polarised cube shows its Stokes parameters and the computed polarisation', async () => {
    await open({ file: 'disk-iquv.fits' });
    const first = await viewer.drawn('disk-iquv.fits');
    const stokes = await viewer.page.evaluate(() => window.app.activeFrame.stokesOptions?.map(({ label }) => label));
    assert.ok(stokes.length >= 4, `Stokes ${stokes}`);
    await viewer.page.evaluate(() => window.app.activeFrame.setChannels(7, 1, true));
    await viewer.channel(7);
    await viewer.changed(first);
    const stokesQ = await viewer.settled();
    await viewer.page.evaluate(() => window.app.activeFrame.setChannels(7, 14, true));
    await viewer.until(
      () => window.app.activeFrame.stokes === 14 && window.__complete(),
      undefined,
      'the linear polarisation is shown',
    );
    await viewer.changed(stokesQ);
  });
});
