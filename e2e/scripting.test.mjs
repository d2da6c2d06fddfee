// Scripts: programs that drive the official page of an open session over HTTP.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import * as cube from './support/demo-cube.mjs';
import { Door } from './support/door.mjs';
import { Setting, assertValue, eventually } from './support/interruption.mjs';
import { decode } from './support/png.mjs';

/** What the page prints when an action fails; the answer says it too. */
const FAILED_ACTION = [/Missing (target object|action function)/, /it fails/, /TypeError/];

describe('scripts drive carta-frontend 6.0.0', { timeout: 900_000, concurrency: 1 }, () => {
  let place;
  let viewer;
  let door;
  let session;

  before(async () => {
    place = await Setting.start('6.0.0', { options: ['--enable-scripting'] });
    door = new Door(place.server);
    viewer = await place.open({}, FAILED_ACTION);
    session = await registered(viewer);
  });

  after(async () => {
    try {
      await place?.close('scripting');
    } finally {
      await place?.stop();
    }
  });

  /** Calls an action that ends when `window.__go` is called. Gives the promise of the answer, once the action runs. */
  const begin = async (options) => {
    await viewer.page.evaluate(() => {
      window.app.__runs = 0;
      window.app.__wait = (value) => {
        window.app.__runs += 1;
        return new Promise((resolve) => (window.__go = () => resolve(value)));
      };
    });
    const answer = door.call(session, '', '__wait', ['done'], options);
    await viewer.until(() => window.app.__runs === 1, undefined, 'the action begins');
    // In an object, because a promise would be waited for.
    return { answer };
  };

  test('a script finds the session of the page', async () => {
    const found = (await door.sessions()).find(({ session_id: id }) => id === session);
    assert.equal(found?.state, 'live');
    assert.equal(found.files_open, 0);
  });

  test('a script opens a file, and reads about it by its return path', async () => {
    const call = ['', 'openFile', ['', 'disk.fits', '']];
    const info = await door.result(session, ...call, { returnPath: 'frameInfo.fileInfoExtended' });
    assert.deepEqual([info.width, info.height, info.depth], [cube.WIDTH, cube.HEIGHT, cube.CHANNELS]);
    const name = { macroTarget: 'activeFrame.frameInfo.fileInfo', macroVariable: 'name' };
    assert.equal(await door.result(session, '', 'fetchParameter', [name]), 'disk.fits');
    await viewer.drawn('disk.fits');
    const [found] = await door.sessions();
    assert.equal(found.files_open, 1);
  });

  test('a script sets the channel, and other tiles are drawn', async () => {
    const earlier = await viewer.settled();
    await door.result(session, 'activeFrame', 'setChannels', [32, 0, true]);
    await viewer.channel(32);
    assert.notEqual(await viewer.settled(), earlier);
    await assertValue(viewer, 300, 100, 32);
  });

  test('a script gets a picture of the image', async () => {
    await door.result(session, '', 'waitForImageData');
    const url = await door.result(session, '', 'getImageDataUrl', ['#ffffff']);
    const [, base64] = /^data:image\/png;base64,(.+)$/.exec(url) ?? assert.fail(url.slice(0, 100));
    const { width, height, samples, pixels } = decode(Buffer.from(base64, 'base64'));
    const { clientWidth, clientHeight } = await viewer.page.evaluate(() => {
      const { clientWidth, clientHeight } = document.querySelector('#raster-canvas');
      return { clientWidth, clientHeight };
    });
    assert.ok(width >= clientWidth && height >= clientHeight, `${width} × ${height}`);
    const colours = new Set();
    for (let at = 0; at < pixels.length; at += samples) colours.add(pixels.readUIntBE(at, 3));
    assert.ok(colours.size > 50, `${colours.size} colours`);
  });

  for (const [what, path, action, parameters, message] of [
    ['a target that is not there', 'nothing', 'go', [], 'Error: Missing target object: nothing'],
    ['a target beyond what is there', 'nothing.further', 'go', [], /^TypeError: /],
    ['an action that is not there', 'activeFrame', 'nothing', [], 'Error: Missing action function: nothing'],
    ['an action that throws', '', '__fail', ['it fails'], 'Error: it fails'],
  ]) {
    test(`${what} is an answer that says so`, async () => {
      await viewer.page.evaluate(() => {
        window.app.__fail = (message) => {
          throw new Error(message);
        };
      });
      const { status, body } = await door.call(session, path, action, parameters);
      assert.equal(status, 200);
      assert.equal(body.success, false);
      assert.match(body.message, message instanceof RegExp ? message : new RegExp(`^${message}$`));
    });
  }

  test('a call that does not want to wait is answered before its action ends', async () => {
    const { answer } = await begin({ isAsync: true });
    const { status, body } = await answer;
    assert.deepEqual([status, body.success], [200, true]);
    await viewer.page.evaluate(() => window.__go());
  });

  test('of 50 calls at once each gets its own answer, in whatever order they end', async () => {
    // The first ends last.
    await viewer.page.evaluate(() => {
      window.app.__echo = async (value) => {
        await window.app.delay(10 * (50 - value));
        return { value };
      };
    });
    const numbers = Array.from({ length: 50 }, (_, i) => i);
    const answers = await Promise.all(numbers.map((i) => door.result(session, '', '__echo', [i], { returnPath: 'value' })));
    assert.deepEqual(answers, numbers);
  });

  test('text and numbers arrive as they are', async () => {
    const values = [{ text: 'Ä "\\ \u2028 \u{1f52d}', number: -1.5e-300, none: null, list: [true, []] }];
    assert.deepEqual(await door.result(session, '', 'fetchParameter', values), values[0]);
  });

  test('10 MiB come in one answer', async () => {
    const length = 10 * 2 ** 20;
    await viewer.page.evaluate((length) => (window.app.__long = (letter) => letter.repeat(length)), length);
    const text = await door.result(session, '', '__long', ['z']);
    assert.equal(text.length, length);
    assert.ok(/^z*$/.test(text));
  });

  test('a page that takes too long is told of, and its late answer hurts nobody', async () => {
    await viewer.page.evaluate(() => {
      window.app.__wait = (value) => new Promise((resolve) => (window.__go = () => resolve(value)));
    });
    let ran;
    // On a busy machine the page may not even be asked within a short time.
    for (let timeout = 250; ran !== 'unknown'; timeout *= 2) {
      const { status, body } = await door.call(session, '', '__wait', ['done'], { timeout });
      assert.equal(status, 504);
      assert.match(body.ran, /^(no|unknown)$/);
      ran = body.ran;
    }
    await viewer.until(() => window.__go, undefined, 'the action begins');
    await viewer.page.evaluate(() => window.__go());
    assert.equal(await door.result(session, '', 'fetchParameter', [1]), 1);
  });

  test('a call while the page is away is answered when it is back', async () => {
    await place.network.fail();
    await place.sessions({ live: 0, parked: 1 });
    const { status, body } = await door.call(session, '', 'fetchParameter', ['now'], { wait: false });
    assert.deepEqual([status, body.ran], [503, 'no']);
    const answer = door.result(session, '', 'fetchParameter', ['later']);
    await place.network.restore();
    assert.equal(await answer, 'later');
    await viewer.reconnecting(false);
  });

  test('an action that ends while the link is cut is answered afterwards, and has run once', async () => {
    const { answer } = await begin();
    await place.network.fail();
    await place.sessions({ live: 0, parked: 1 });
    await viewer.page.evaluate(() => window.__go());
    await place.network.restore();
    const { status, body } = await answer;
    assert.deepEqual([status, body.response], [200, 'done']);
    assert.equal(await viewer.page.evaluate(() => window.app.__runs), 1);
    await viewer.reconnecting(false);
  });

  for (const how of ['kill', 'halt']) {
    const name = { kill: 'killed', halt: 'stopped' }[how];
    test(`be1416: a session that was resumed after the server was ${name} is found under its number`, async () => {
      await place.server[how]();
      await viewer.reconnecting();
      await place.server.start();
      assert.equal(await door.result(session, '', 'fetchParameter', ['at once']), 'at once');
      await viewer.reconnecting(false);
      assert.equal(await viewer.session(), session, 'the number of the session');
      assert.deepEqual((await door.sessions()).map(({ session_id: id, state }) => [id, state]), [[session, 'live']]);
      await door.result(session, 'activeFrame', 'setChannels', [7, 0, true]);
      await viewer.channel(7);
      await assertValue(viewer, 310, 100, 7);
      await door.result(session, 'activeFrame', 'setChannels', [0, 0, true]);
      await viewer.channel(0);
    });
  }

  test('a page that is closed while a call waits is told of', async () => {
    const other = await place.open({}, FAILED_ACTION);
    const id = await registered(other);
    await other.page.evaluate(() => {
      window.app.__wait = () => new Promise(() => (window.__waits = true));
    });
    const call = door.call(id, '', '__wait');
    await other.until(() => window.__waits, undefined, 'the action begins');
    await other.close();
    const { status, body } = await call;
    assert.deepEqual([status, body.ran], [404, 'unknown']);
    assert.equal((await door.call(id, '', 'fetchParameter', [1])).status, 404);
  });
});

/** The number of a page's session, once it has one. */
function registered(viewer) {
  return eventually(() => viewer.session(), 'the page is registered');
}
