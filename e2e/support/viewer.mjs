// The official frontend in a headless Chromium: what a user sees and does.

import { mkdir } from 'node:fs/promises';
import { chromium } from 'playwright-core';

const ARTEFACTS = new URL('../artefacts/', import.meta.url);

/** How long anything may take, in milliseconds: the page renders in software, perhaps on a busy machine. */
const PATIENCE = 30_000;

/** Software rendering of WebGL, and no calls of the browser's own to the outside. */
const ARGUMENTS = [
  '--no-sandbox',
  '--use-gl=angle',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  '--ignore-gpu-blocklist',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** What the page prints when it cannot reach the outside services that it calls at start. */
const EXPECTED = [/AxiosError: Network Error/, /alasky\.cds\.unistra\.fr/, /telemetry\.cartavis\.org/];

export const launchBrowser = () =>
  chromium.launch({ executablePath: process.env.CHARTROOM_CHROMIUM, args: ARGUMENTS });

/** One tab with the frontend. */
export class Viewer {
  /** Uncaught errors and unexpected errors on the console, as text. */
  errors = [];

  constructor(page) {
    this.page = page;
    page.setDefaultTimeout(PATIENCE);
    page.on('pageerror', (error) => this.errors.push(`uncaught: ${error.stack ?? error.message}`));
    page.on('console', (message) => {
      if (message.type() !== 'error') return;
      const text = `${message.text()} (${message.location().url})`;
      if (!EXPECTED.some((pattern) => pattern.test(text))) this.errors.push(`console: ${text}`);
    });
  }

  /** Opens a tab at the server's address with further query parameters, and waits for the connection. */
  static async open(browser, address, query = {}) {
    const viewer = new Viewer(await browser.newPage({ viewport: { width: 1600, height: 1000 } }));
    const url = new URL(address);
    Object.entries({ skipTelemetry: '1', ...query }).forEach(([name, value]) => url.searchParams.set(name, value));
    await viewer.page.goto(url.href);
    await viewer.page.locator('#info-session-id').waitFor({ state: 'attached', timeout: 60_000 });
    return viewer;
  }

  close() {
    return this.page.close();
  }

  part(testId) {
    return this.page.getByTestId(testId);
  }

  /** Keeps a picture of the whole page for people to look at. */
  async picture(name) {
    await mkdir(ARTEFACTS, { recursive: true });
    await this.page.screenshot({ path: new URL(`${name}.png`, ARTEFACTS).pathname });
  }

  /** Waits until `condition`, run in the page with `argument`, gives something true, and gives that. */
  async until(condition, argument, what = condition) {
    try {
      return await (await this.page.waitForFunction(condition, argument, { polling: 50 })).jsonValue();
    } catch (error) {
      throw new Error(`never happened: ${what}`, { cause: error });
    }
  }

  /** Waits until an image is drawn: the canvas holds more than a few colours and comes to rest. Gives its fingerprint. */
  async drawn(name) {
    await this.until(
      (name) => {
        const canvas = document.querySelector('#raster-canvas');
        if (!canvas || window.app?.activeFrame?.frameInfo.fileInfo.name !== name) return false;
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size > 10;
      },
      name,
      `${name} is drawn`,
    );
    return this.settled();
  }

  /** Waits until no tile is missing and the picture has not changed for half a second, and gives its fingerprint. */
  async settled() {
    let last;
    for (let since = Date.now(), deadline = since + PATIENCE; Date.now() < deadline; ) {
      const now = await this.fingerprint();
      if (now !== last || !(await this.complete())) since = Date.now();
      if (Date.now() - since > 500) return now;
      last = now;
      await this.page.waitForTimeout(50);
    }
    throw new Error('never happened: the picture comes to rest');
  }

  /** Whether every tile that the view needs is there. */
  complete() {
    return this.page.evaluate(() => window.app.tileService.remainingTiles === 0);
  }

  /** Waits until the page shows a channel as received, tiles included. */
  channel(channel) {
    return this.until(
      (channel) => window.app.activeFrame?.channel === channel && window.app.tileService.remainingTiles === 0,
      channel,
      `channel ${channel} is shown`,
    );
  }

  /** A number that changes with any pixel of the drawn image. */
  fingerprint() {
    return this.page.evaluate(() => {
      const canvas = document.querySelector('#raster-canvas');
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return new Uint32Array(data.buffer).reduce((hash, pixel) => Math.imul(hash ^ pixel, 16777619), 2166136261);
    });
  }

  /** Waits until the picture differs from an earlier fingerprint. */
  async changed(earlier) {
    for (const deadline = Date.now() + PATIENCE; Date.now() < deadline; ) {
      if ((await this.fingerprint()) !== earlier) return;
      await this.page.waitForTimeout(50);
    }
    throw new Error('never happened: the picture changes');
  }

  /** Mean red, green and blue of the canvas in a square of image pixels around (x, y). */
  colour(x, y, half = 4) {
    return this.page.evaluate(
      ([x, y, half]) => {
        const canvas = document.querySelector('#raster-canvas');
        const view = window.app.activeFrame.requiredFrameView;
        const scale = canvas.width / (view.xMax - view.xMin);
        const left = Math.round((x - half - view.xMin) * scale);
        const top = Math.round(canvas.height - (y + half - view.yMin) * scale);
        const size = Math.max(1, Math.round(2 * half * scale));
        const { data } = canvas.getContext('2d').getImageData(left, top, size, size);
        const sum = [0, 0, 0];
        data.forEach((byte, i) => i % 4 < 3 && (sum[i % 4] += byte));
        return sum.map((total) => total / (data.length / 4));
      },
      [x, y, half],
    );
  }

  /** Puts the mouse on an image pixel and waits for its value. Gives the pixel and what the page writes about it. */
  async hover(x, y) {
    const position = await this.page.evaluate(
      ([x, y]) => {
        const canvas = document.querySelector('#raster-canvas');
        const view = window.app.activeFrame.requiredFrameView;
        return {
          x: ((x - view.xMin) / (view.xMax - view.xMin)) * canvas.clientWidth,
          y: (1 - (y - view.yMin) / (view.yMax - view.yMin)) * canvas.clientHeight,
        };
      },
      [x, y],
    );
    const box = await this.page.locator('#raster-canvas').boundingBox();
    await this.page.mouse.move(box.x + position.x - 5, box.y + position.y);
    await this.page.mouse.move(box.x + position.x, box.y + position.y);
    return this.cursor(x, y);
  }

  /** Waits until the cursor's value for a pixel has come, then reads the information bar. */
  async cursor(x, y) {
    await this.until(
      ([x, y]) => {
        const { cursorValue, requiredChannel } = window.app.activeFrame ?? {};
        const at = cursorValue?.position;
        return at?.x === x && at?.y === y && cursorValue.channel === requiredChannel;
      },
      [x, y],
      `the value at (${x}, ${y}) comes`,
    );
    const text = (await this.page.locator('.cursor-overlay-div').innerText()).replaceAll('\u00a0', ' ');
    const pixel = /Image: \((-?\d+), (-?\d+)\)/.exec(text);
    const value = /Value:\s+(\S+)/.exec(text) ?? /(NaN)/.exec(text);
    return { text, x: Number(pixel?.[1]), y: Number(pixel?.[2]), value: Number(value?.[1]) };
  }

  /** Values of the cursor's profile along `x` or `y`, once they have come for a pixel. */
  spatialProfile(coordinate, x, y, length) {
    return this.until(
      ([coordinate, x, y, length]) => {
        const store = window.app.spatialProfiles.get('0-0');
        const values = store?.profiles.get(coordinate)?.values;
        return store?.x === x && store?.y === y && values?.length === length && Array.from(values);
      },
      [coordinate, x, y, length],
      `the ${coordinate} profile at (${x}, ${y}) comes`,
    );
  }

  /** Waits for the cursor's spectral profile to be complete and its first value to be `first`; gives all values. */
  spectralProfile(first) {
    return this.until(
      (first) => {
        for (const profile of window.app.spectralProfiles.get(0)?.get(0)?.profiles.values() ?? []) {
          const stores = typeof profile.values === 'function' ? [...profile.values()] : [profile];
          const { values, progress } = stores[0] ?? {};
          if (values && progress >= 1 && Math.abs(values[0] - first) <= 1e-6 * Math.abs(first)) {
            return Array.from(values);
          }
        }
        return false;
      },
      first,
      'the spectral profile of the cursor is complete',
    );
  }
}
