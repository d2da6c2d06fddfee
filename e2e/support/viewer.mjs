// The official frontend in a headless Chromium: what a user sees and does.

import { mkdir } from 'node:fs/promises';
import { chromium } from 'playwright-core';

const ARTEFACTS = new URL('../artefacts/', import.meta.url);

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
    page.setDefaultTimeout(20_000);
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

  /** Waits until the image is drawn: all wanted tiles are there and the canvas holds more than one colour. */
  async drawn(name) {
    await this.part('image-view-header-title').getByText(name).waitFor();
    await this.until(() => {
      const canvas = document.querySelector('#raster-canvas');
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const pixels = new Set(new Uint32Array(data.buffer));
      return window.app.tileService.remainingTiles === 0 && pixels.size > 10;
    }, undefined, `${name} is drawn`);
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

  /** Waits until the picture differs from an earlier fingerprint, for one frame more, and gives the new one. */
  async redrawn(earlier) {
    const deadline = Date.now() + 20_000;
    for (let last = earlier; Date.now() < deadline; ) {
      const now = await this.fingerprint();
      if (now !== earlier && now === last) return now;
      last = now;
      await this.page.evaluate(() => new Promise(requestAnimationFrame));
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
    const text = (await this.part('viewer-cursor-info-bar').innerText()).replaceAll('\u00a0', ' ');
    const pixel = /Image: \((-?\d+), (-?\d+)\)/.exec(text);
    const value = /Value: (\S+)/.exec(text) ?? /(NaN)/.exec(text);
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
          const stores = profile instanceof Map ? [...profile.values()] : [profile];
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
