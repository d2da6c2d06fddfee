// Sessions that survive: the official pages when the connection is cut, the machine sleeps, or the server is killed.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import * as cube from './support/demo-cube.mjs';
import {
  NOTICES_SILENCE,
  Setting,
  assertSame,
  assertUnnoticed,
  assertValue,
  eventually,
  snapshot,
} from './support/interruption.mjs';
import { frontend } from './support/server.mjs';
import { launchSleeper } from './support/viewer.mjs';

/** The tests of one page; nested suites would otherwise inherit the concurrency. */
const IN_ORDER = { concurrency: 1 };

// Side by side, since much of it is waiting.
describe('a session survives', { timeout: 1_500_000, concurrency: 2 }, () => {
  describe('the connection of carta-frontend 6.0.0', IN_ORDER, () => {
    let place;
    let viewer;
    let same;

    before(async () => {
      place = await Setting.start('6.0.0', { options: NOTICES_SILENCE });
      viewer = await place.open({ file: 'disk.fits' });
      await viewer.drawn('disk.fits');
      await viewer.addRectangle(200, 150, 41, 31);
      await viewer.part('animator-0-header-title').click();
      same = await snapshot(viewer);
    });

    after(async () => {
      try {
        await place?.close('connection');
      } finally {
        await place?.stop();
      }
    });

    test('a link that is cut is replaced at once, and nobody notices', async () => {
      const { links } = place.network;
      place.network.cut();
      await place.linkBeyond(links);
      await assertValue(viewer, 300, 100, 0);
      await assertUnnoticed(viewer, same);
    });

    test('while connections are refused a mark is shown, and what the user does takes effect afterwards', async () => {
      const outage = sleep(4000);
      await place.network.fail();
      await viewer.reconnecting();
      await viewer.picture('reconnecting');
      await viewer.part('animator-next-button').click();
      await outage;
      assert.equal(await viewer.isReconnecting(), true, 'the mark stays as long as the outage');
      await place.network.restore();
      await viewer.reconnecting(false);
      await viewer.channel(1);
      await assertValue(viewer, 310, 100, 1);
      await viewer.setChannel(0);
      await assertUnnoticed(viewer, same);
    });

    test('a link that is cut in the middle of a burst of tiles costs no tile', async () => {
      const pictures = new Map();
      for (const channel of [1, 2, 3, 4]) {
        await viewer.setChannel(channel);
        pictures.set(channel, await viewer.settled());
      }
      const start = place.network.received;
      await viewer.setChannel(0);
      await viewer.settled();
      const burst = place.network.received - start;
      assert.ok(burst > 20_000, `a burst of ${burst} bytes`);
      for (const [channel, part] of [[1, 0], [2, 0.02], [3, 0.5], [4, 0.9]]) {
        const { links } = place.network;
        place.network.cutAfter(Math.floor(part * burst));
        await viewer.setChannel(channel);
        await place.linkBeyond(links);
        assert.equal(await viewer.settled(), pictures.get(channel), `channel ${channel}, cut after ${part} of the burst`);
      }
      await viewer.setChannel(0);
      await assertUnnoticed(viewer, same);
    });

    test('a link that falls silent is given up at both ends and replaced', async () => {
      place.network.stall();
      await viewer.reconnecting();
      await place.sessions({ live: 0, parked: 1 });
      place.network.flow();
      await viewer.reconnecting(false);
      await place.sessions({ live: 1, parked: 0 });
      await assertValue(viewer, 320, 100, 0);
      await assertUnnoticed(viewer, same);
    });

    test('what is being computed when the link is cut arrives afterwards', async () => {
      await viewer.page.evaluate(() => {
        // As the choice of "Per-cube" in the render configuration does.
        const { renderConfig, frameInfo } = window.app.activeFrame;
        renderConfig.setUseCubeHistogram(true);
        window.app.requestCubeHistogram(frameInfo.fileId);
      });
      await place.network.fail();
      await viewer.reconnecting();
      await place.network.restore();
      const counted = await viewer.until(
        () => {
          const { cubeHistogram, cubeHistogramProgress } = window.app.activeFrame.renderConfig;
          return cubeHistogramProgress >= 1 && cubeHistogram?.bins?.reduce((a, b) => a + b, 0);
        },
        undefined,
        'the histogram of the cube comes',
        // It is computed when nobody else wants the processor.
        300_000,
      );
      assert.equal(counted, cube.statistics(0).NumPixels * cube.CHANNELS);
      await viewer.reconnecting(false);
      await viewer.page.evaluate(() => window.app.activeFrame.renderConfig.setUseCubeHistogram(false));
      await assertUnnoticed(viewer, same);
    });

    test('an animation goes on when its link is cut', async () => {
      const shown = () => viewer.page.evaluate(() => window.app.activeFrame.channel);
      await viewer.part('animator-play-stop-button').click();
      await viewer.until(() => window.app.activeFrame.channel >= 3, undefined, 'the animation begins');
      const { links } = place.network;
      place.network.cut();
      await place.linkBeyond(links);
      const channels = new Set();
      await eventually(async () => channels.add(await shown()).size > 5, 'five more frames come');
      await viewer.part('animator-play-stop-button').click();
      const stopped = await viewer.until(() => {
        const { channel } = window.app.activeFrame;
        return !window.app.animatorStore.isAnimationActive && window.__complete() && `${channel}`;
      });
      await assertValue(viewer, 250, 220, Number(stopped));
      await viewer.setChannel(0);
      await assertUnnoticed(viewer, same);
    });
  });

  describe('a laptop that sleeps', { ...IN_ORDER, skip: process.platform === 'win32' && 'needs signals' }, () => {
    let sleeper;
    let place;

    before(async () => {
      sleeper = await launchSleeper();
      place = await Setting.start('6.0.0', { options: NOTICES_SILENCE, launch: () => sleeper.browser });
    });

    after(async () => {
      sleeper?.wake();
      await place?.stop();
      await sleeper?.close();
    });

    test('finds everything as it was after a sleep longer than the server waits for a sign of life', async () => {
      const viewer = await place.open({ file: 'disk.fits' });
      await viewer.drawn('disk.fits');
      await viewer.addRectangle(200, 150, 41, 31);
      await viewer.setChannel(3);
      const same = await snapshot(viewer);
      sleeper.sleep();
      await place.sessions({ live: 0, parked: 1 });
      sleeper.wake();
      await place.sessions({ live: 1, parked: 0 });
      await viewer.reconnecting(false);
      await assertValue(viewer, 330, 100, 3);
      await assertUnnoticed(viewer, same);
      await place.close('sleep');
    });
  });

  for (const version of ['6.0.0', '4.1.0']) {
    /** Two images, one of them at another channel and polarisation, each with a region. Gives the page. */
    const openTwo = async (place) => {
      const viewer = await place.open({ file: 'disk.fits' });
      await viewer.drawn('disk.fits');
      assert.equal(await viewer.addRectangle(200, 150, 41, 31), 1, 'the id of the first region');
      await viewer.append('/', 'disk-iquv.fits');
      await viewer.setChannel(7, 1);
      assert.equal(await viewer.addRectangle(100, 80, 21, 11), 2, 'the id of the second region');
      await viewer.page.locator('#StatisticsWidgetButton').click();
      await viewer.page.locator('#SpectralProfilerButton').click();
      return viewer;
    };

    /** Asserts that a server knows all that is in such a page, and leaves the page as it was but for one more region. */
    const assertServed = async (viewer, regionId) => {
      await viewer.setChannel(8, 1);
      await viewer.until(
        () => window.app.regionStats.get(1)?.get(-1)?.get(1)?.channel === 8,
        undefined,
        'the statistics follow the channel',
      );
      await viewer.setChannel(7, 1);
      assert.equal(await viewer.addRectangle(60, 40, 11, 11), regionId, 'the id of the next region');
      await viewer.show(0);
      await viewer.drawn('disk.fits');
      // Below the widgets, which float over the upper part of the image.
      const { x, y } = { x: 300 + regionId, y: 100 };
      await assertValue(viewer, x, y, 0);
      const expected = cube.spectrum(x, y);
      const spectrum = await viewer.spectralProfile(expected[0]);
      const isClose = expected.every((value, i) => Math.abs(spectrum[i] - value) <= 1e-6 * Math.abs(value));
      assert.ok(isClose, `the spectral profile at (${x}, ${y})`);
      await viewer.show(1);
      await viewer.drawn('disk-iquv.fits');
    };

    describe(`the server of carta-frontend ${version}`, IN_ORDER, () => {
      let place;
      let viewer;

      before(async () => {
        place = await Setting.start(version);
        viewer = await openTwo(place);
      });

      after(async () => {
        try {
          await place?.close(`restart-${version}`);
        } finally {
          await place?.stop();
        }
      });

      test('the script is in the page, and the policy of the page allows it', async () => {
        const answer = await fetch(place.server.address);
        const page = await answer.text();
        const [, script] = /<script>([^]*?chartroom\.resume\.v1[^]*?)<\/script>/.exec(page) ?? assert.fail('no script');
        const hash = createHash('sha256').update(script).digest('base64');
        assert.match(answer.headers.get('content-security-policy'), new RegExp(`script-src[^;]*'sha256-${escape(hash)}'`));
      });

      test('a link that is cut is replaced, and nobody notices', async () => {
        const same = await snapshot(viewer);
        const { links } = place.network;
        place.network.cut();
        await place.linkBeyond(links);
        await assertUnnoticed(viewer, same);
        await assertServed(viewer, 3);
      });

      for (const [how, regionId] of [['kill', 4], ['halt', 6]]) {
        const name = { kill: 'is killed', halt: 'is stopped' }[how];
        test(`a server that ${name} and started again has all images, regions and requirements`, async () => {
          const same = await snapshot(viewer);
          const { href } = place.server.address;
          // Not stored yet, perhaps, when the process ends.
          assert.equal(await viewer.addRectangle(200 + regionId, 60, 11, 11), regionId);
          same.state = await viewer.state();
          await place.server[how]();
          await viewer.reconnecting();
          await viewer.page.evaluate(() => window.app.activeFrame.setChannels(9, 1, true));
          await place.server.start();
          assert.equal(place.server.address.href, href, 'the page knows the right token');
          await viewer.reconnecting(false);
          await viewer.channel(9);
          await viewer.setChannel(7, 1);
          await assertUnnoticed(viewer, same);
          await assertServed(viewer, regionId + 1);
        });
      }
    });

    describe(`carta-frontend ${version} without the script`, IN_ORDER, () => {
      let place;
      let viewer;

      before(async () => {
        place = await Setting.start(version, { options: ['--no-transparent-resume'] });
        viewer = await openTwo(place);
      });

      after(async () => {
        try {
          await place?.close(`retry-${version}`);
        } finally {
          await place?.stop();
        }
      });

      test('the page is served as it is in its file', async () => {
        const served = await (await fetch(place.server.address)).arrayBuffer();
        assert.ok(Buffer.from(served).equals(await readFile(join(frontend(version), 'index.html'))));
      });

      /** Waits for the page's own dialogue and clicks on its button. */
      const retry = async () => {
        const resuming = viewer.page.waitForEvent('console', (message) => /^Reconnected with session/.test(message.text()));
        await viewer.page.getByRole('button', { name: 'Retry' }).click();
        await resuming;
      };

      test('after a cut of the link one click on Retry finds the session as it was', async () => {
        const same = await snapshot(viewer);
        place.network.cut();
        await retry();
        await assertSame(viewer, same);
        await assertServed(viewer, 3);
        assert.ok(place.server.log.some((line) => line.includes(`session=${same.session} arrival=Warm`)), 'it was warm');
      });

      test('after a restart of the server one click on Retry brings everything back', async () => {
        const same = await snapshot(viewer);
        await place.server.kill();
        await place.server.start();
        await retry();
        await assertSame(viewer, same);
        await assertServed(viewer, 4);
        assert.ok(place.server.log.some((line) => line.includes(`session=${same.session} arrival=Cold`)), 'it was cold');
      });
    });
  }

  describe('a page that goes away', IN_ORDER, () => {
    let place;

    before(async () => {
      place = await Setting.start('6.0.0');
    });

    after(() => place?.stop());

    /** Asserts that there are just so many sessions soon, and that none is kept, as it would be for an hour. */
    const assertOnly = (live) => place.sessions({ live, parked: 0, stored: 0 });

    test('a page that is loaded again is a new session; when it is closed too, none is left', async () => {
      const viewer = await place.open({ file: 'disk.fits' });
      await viewer.drawn('disk.fits');
      await place.sessions({ live: 1 });
      const old = await viewer.session();
      await viewer.page.reload();
      await viewer.drawn('disk.fits');
      assert.notEqual(await viewer.session(), old);
      await assertOnly(1);
      await assertValue(viewer, 300, 100, 0);
      await viewer.close();
      await assertOnly(0);
      assert.deepEqual(viewer.errors, []);
    });
  });
});

/** Text as a regular expression that matches just it. */
function escape(text) {
  return text.replaceAll(/[+*.?^$()[\]{}|\\/]/g, '\\$&');
}
