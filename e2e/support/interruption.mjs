// What is expected of a page whose connection or server went away and came back.

import assert from 'node:assert/strict';

import { startNetwork } from './network.mjs';
import { startServer } from './server.mjs';
import { NETWORK_FAILURE, PATIENCE, Viewer, launchBrowser } from './viewer.mjs';
import * as cube from './demo-cube.mjs';

/**
 * For servers that have to notice silence: the shortest that they take. Others wait longer, since on a busy machine
 * a browser may be silent for seconds, and a page without the script does not come back by itself.
 */
export const NOTICES_SILENCE = ['--liveness-timeout', '5s'];

/**
 * Starts a server and a browser. If one of them cannot be started, the other one is stopped: it would keep the file of
 * tests from ending.
 */
export async function startServerAndBrowser(version, { options = [], launch = launchBrowser, folder } = {}) {
  const starts = await Promise.allSettled([startServer(version, options, folder), launch()]);
  const [server, browser] = starts.map(({ value }) => value);
  const failed = starts.find(({ status }) => status === 'rejected');
  if (!failed) return { server, browser };
  await browser?.close();
  await server?.stop();
  throw failed.reason;
}

/** A server, a network in front of it, and a browser. */
export class Setting {
  #opened = [];

  static async start(version, options) {
    const setting = new Setting();
    Object.assign(setting, await startServerAndBrowser(version, options));
    setting.network = await startNetwork(setting.server);
    return setting;
  }

  async stop() {
    await this.browser?.close();
    await this.network?.stop();
    return this.server?.stop();
  }

  /** Opens the page through the network. Errors on its console that match `expected` are none. */
  async open(query, expected = []) {
    const address = this.network.through(this.server.address);
    const viewer = await Viewer.open(this.browser, address, query, [NETWORK_FAILURE, ...expected]);
    this.#opened.push(viewer);
    return viewer;
  }

  /** Closes all pages, with a picture of the last state of each; they must have printed no error. */
  async close(name) {
    const opened = this.#opened.splice(0);
    for (const viewer of opened) {
      if (viewer.page.isClosed()) continue;
      await viewer.picture(name.replaceAll(/[^a-z0-9.]+/gi, '-'));
      await viewer.close();
    }
    for (const { errors } of opened) assert.deepEqual(errors, [], 'the page prints no error');
  }

  /** Waits for a link beyond so many. */
  linkBeyond(links) {
    return eventually(() => this.network.links > links, 'the page connects again');
  }

  /** Waits until so many sessions are in each of the states. */
  async sessions(expected) {
    const counted = async () => {
      const states = Object.keys(expected);
      const counts = await Promise.all(states.map((state) => this.server.sessions(state)));
      return states.every((state, i) => counts[i] === expected[state]);
    };
    await eventually(counted, `the server has these sessions: ${JSON.stringify(expected)}`);
  }
}

/** Waits until `condition` gives something true, and gives that. */
export async function eventually(condition, what) {
  for (const deadline = Date.now() + PATIENCE; Date.now() < deadline; ) {
    const result = await condition();
    if (result) return result;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`never happened: ${what}`);
}

/** What a page shows and is, to be compared after an interruption. */
export async function snapshot(viewer) {
  await viewer.page.evaluate(() => (window.__marker = 'not reloaded'));
  return {
    session: await viewer.session(),
    state: await viewer.state(),
    picture: await viewer.settled(),
    image: await viewer.image(),
    notices: await viewer.notices(),
  };
}

/** Asserts that nothing was lost: the same page and session, the same images, regions and picture. */
export async function assertSame(viewer, before) {
  assert.equal(await viewer.page.evaluate(() => window.__marker), 'not reloaded', 'the page was not reloaded');
  assert.equal(await viewer.session(), before.session, 'the session');
  const picture = await viewer.settled();
  assert.deepEqual(await viewer.state(), before.state, 'images, channels, polarisations and regions');
  if (picture === before.picture) return;
  // For people, who see at once what no two numbers tell.
  await viewer.keep('differs-before', before.image);
  await viewer.keep('differs-after', await viewer.image());
  assert.fail('the picture is another one: see differs-before.png and differs-after.png');
}

/** Asserts that nothing was lost and that the user was told of nothing. */
export async function assertUnnoticed(viewer, before) {
  await assertSame(viewer, before);
  assert.deepEqual(await viewer.notices(), before.notices, 'no dialogue and no toast');
  await viewer.reconnecting(false);
}

/** Asserts that the server answers for `disk.fits`: the value under the mouse is that of the formula. */
export async function assertValue(viewer, x, y, channel) {
  const cursor = await viewer.hover(x, y);
  const expected = cube.value(x, y, channel);
  const isClose = Math.abs(cursor.value - expected) <= 1e-5 * Math.abs(expected);
  assert.ok(isClose, `${expected} at (${x}, ${y}) in channel ${channel}: ${cursor.text}`);
}
