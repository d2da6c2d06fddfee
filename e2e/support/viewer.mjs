// The official frontend in a headless Chromium: what a user sees and does.

import { mkdir, writeFile } from 'node:fs/promises';
import { chromium } from 'playwright-core';

const ARTEFACTS = new URL('../artefacts/', import.meta.url);

/** How long anything may take, in milliseconds: the page renders in software, perhaps on a busy machine. */
export const PATIENCE = 90_000;

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

/** What the browser prints when a network fails on purpose, perhaps while a page is sending. */
export const NETWORK_FAILURE = /^WebSocket (connection to \S+ failed|is already in CLOSING or CLOSED state)/;

const OPTIONS = { executablePath: process.env.CHARTROOM_CHROMIUM, args: ARGUMENTS, timeout: PATIENCE };

export const launchBrowser = () => chromium.launch(OPTIONS);

/** A browser that can be put to sleep like a laptop, with everything in it, where the system has signals for that. */
export async function launchSleeper() {
  const server = await chromium.launchServer(OPTIONS);
  const browser = await chromium.connect(server.wsEndpoint());
  // Its processes are a group of their own.
  const signal = (name) => process.kill(-server.process().pid, name);
  return {
    browser,
    sleep: () => signal('SIGSTOP'),
    wake: () => signal('SIGCONT'),
    close: () => server.close(),
  };
}

/** Notes in the page, from its start on, every dialogue that asks for attention and every toast. */
function watchNotices() {
  window.__notices = [];
  const pattern = /(^|\s)bp\d-(alert|toast)(\s|$)/;
  new MutationObserver((records) => {
    for (const node of records.flatMap(({ addedNodes }) => [...addedNodes])) {
      if (!(node instanceof HTMLElement)) continue;
      const notices = [node, ...node.querySelectorAll('*')].filter((element) => pattern.test(element.className));
      window.__notices.push(...notices.map((notice) => notice.innerText));
    }
  }).observe(document, { childList: true, subtree: true });
}

/**
 * Has the page, from its start on, decompress one tile after the other: it has a worker for each processor, and loses a
 * tile for good when that of a later request comes back before the last one of an earlier request, as happens where
 * processors are busy. Also tells whether the image that is shown is complete; tiles that have come and wait to be
 * decompressed are there in the page's own count.
 */
function orderTiles() {
  const waiting = [];
  window.__complete = () => {
    const { activeFrame, tileService } = window.app;
    const isCurrent = activeFrame.channel === activeFrame.requiredChannel && activeFrame.stokes === activeFrame.requiredStokes;
    return isCurrent && tileService.remainingTiles === 0 && waiting.length === 0;
  };
  window.Worker = class extends Worker {
    constructor(...words) {
      super(...words);
      this.addEventListener('message', ({ data }) => {
        if (data?.[0] !== 'decompress') return;
        waiting.shift();
        waiting[0]?.();
      });
    }

    postMessage(message, ...more) {
      const post = () => super.postMessage(message, ...more);
      if (message?.[0] !== 'decompress') return post();
      if (waiting.push(post) === 1) post();
    }
  };
}

/** What a page that did not come to an end was doing; run in the page. */
const describe = () => ({
  session: document.querySelector('#info-session-id')?.textContent,
  frames: window.app?.frames?.map((frame) => frame.frameInfo.fileInfo.name),
  loading: window.app?.fileLoading,
  remainingTiles: window.app?.tileService?.remainingTiles,
  complete: window.app?.activeFrame && window.__complete(),
  alert: window.app?.alertStore?.alertText,
});

/** One tab with the frontend. */
export class Viewer {
  /** Uncaught errors and unexpected errors on the console, as text. */
  errors = [];

  /** What the page wrote on its console last, for whoever asks why something did not happen. */
  #console = [];

  #expected;

  constructor(page, expected = []) {
    this.page = page;
    this.#expected = [...EXPECTED, ...expected];
    page.setDefaultTimeout(PATIENCE);
    page.on('pageerror', (error) => this.errors.push(`uncaught: ${error.stack ?? error.message}`));
    page.on('console', (message) => {
      this.#console = [...this.#console.slice(-29), message.text()];
      if (message.type() !== 'error') return;
      const text = `${message.text()} (${message.location().url})`;
      if (!this.#expected.some((pattern) => pattern.test(text))) this.errors.push(`console: ${text}`);
    });
  }

  /**
   * Opens a tab at the server's address with further query parameters, and waits for the connection. Errors on the
   * console that match `expected` are none.
   */
  static async open(browser, address, query = {}, expected = []) {
    const viewer = new Viewer(await browser.newPage({ viewport: { width: 1600, height: 1000 } }), expected);
    await viewer.page.addInitScript(watchNotices);
    await viewer.page.addInitScript(orderTiles);
    const url = new URL(address);
    Object.entries({ skipTelemetry: '1', ...query }).forEach(([name, value]) => url.searchParams.set(name, value));
    await viewer.page.goto(url.href);
    await viewer.page.locator('#info-session-id').waitFor({ state: 'attached' });
    return viewer;
  }

  close() {
    return this.page.close();
  }

  /** The session's public id. */
  async session() {
    return Number(/\d+/.exec(await this.page.locator('#info-session-id').textContent())?.[0]);
  }

  /** Dialogues and toasts that the page has shown since it was opened, as text. */
  notices() {
    return this.page.evaluate(() => window.__notices);
  }

  /** Whether the mark is shown that says that the page is getting its connection back. */
  isReconnecting() {
    return this.page.evaluate(() => (document.querySelector('chartroom-mark')?.clientWidth ?? 0) > 0);
  }

  /** Waits until that mark is shown, or is not. */
  reconnecting(expected = true) {
    return this.until(
      (expected) => (document.querySelector('chartroom-mark')?.clientWidth ?? 0) > 0 === expected,
      expected,
      `the mark of reconnecting is ${expected ? 'shown' : 'gone'}`,
    );
  }

  /** Adds an image to those that are open, and shows one image at a time, this one first. */
  async append(directory, file) {
    await this.page.evaluate(
      async ([directory, file]) => {
        await window.app.appendFile(directory, file, '0');
        window.app.preferenceStore.setPreference('imageMultiPanelEnabled', false);
      },
      [directory, file],
    );
    return this.drawn(file);
  }

  /** Shows the image with an index in the list. */
  show(index) {
    return this.page.evaluate((index) => {
      const { app } = window;
      // The second name is that of 4.1.0.
      (app.setActiveImageByIndex ?? app.setActiveFrameByIndex).call(app, index);
    }, index);
  }

  /** Sets channel and polarisation of the image that is shown. */
  async setChannel(channel, stokes = 0) {
    await this.page.evaluate(
      ([channel, stokes]) => window.app.activeFrame.setChannels(channel, stokes, true),
      [channel, stokes],
    );
    await this.until(
      ([channel, stokes]) => {
        const frame = window.app.activeFrame;
        return frame.channel === channel && frame.stokes === stokes && window.__complete();
      },
      [channel, stokes],
      `channel ${channel}, polarisation ${stokes} is shown`,
    );
  }

  /** Draws a rectangle on the image that is shown; gives the id that the server gave it. */
  async addRectangle(x, y, width, height) {
    await this.page.evaluate(
      async ([x, y, width, height]) => {
        window.__region = await window.app.activeFrame.regionSet.addRectangularRegion({ x, y }, width, height);
      },
      [x, y, width, height],
    );
    return this.until(
      () => window.__region.regionId > 0 && window.__region.regionId,
      undefined,
      'the region has an id',
    );
  }

  /** What is open in the page: images with their ids, channels, polarisations and regions. */
  state() {
    return this.page.evaluate(() => ({
      active: window.app.activeFrame.frameInfo.fileId,
      images: window.app.frames.map(({ frameInfo, channel, stokes, regionSet }) => ({
        id: frameInfo.fileId,
        name: frameInfo.fileInfo.name,
        channel,
        stokes,
        regions: regionSet.regions.map(({ regionId, regionType, controlPoints, rotation }) => ({
          id: regionId,
          type: regionType,
          points: regionId > 0 ? controlPoints.map(({ x, y }) => [x, y]) : [],
          rotation,
        })),
      })),
    }));
  }

  part(testId) {
    return this.page.getByTestId(testId);
  }

  /** Keeps a picture of the whole page for people to look at. */
  async picture(name) {
    await mkdir(ARTEFACTS, { recursive: true });
    await this.page.screenshot({ path: new URL(`${name}.png`, ARTEFACTS).pathname });
  }

  /** The drawn image alone, as a `data:` URL of a PNG. */
  image() {
    return this.page.evaluate(() => document.querySelector('#raster-canvas').toDataURL());
  }

  /** Keeps what [`image`](Viewer#image) gave for people to look at. */
  async keep(name, image) {
    await mkdir(ARTEFACTS, { recursive: true });
    await writeFile(new URL(`${name}.png`, ARTEFACTS), Buffer.from(image.split(',')[1], 'base64'));
  }

  /** Waits until `condition`, run in the page with `argument`, gives something true, and gives that. */
  async until(condition, argument, what = condition, timeout = PATIENCE) {
    try {
      return await (await this.page.waitForFunction(condition, argument, { polling: 50, timeout })).jsonValue();
    } catch (error) {
      const state = await this.page.evaluate(describe).catch((reason) => `${reason}`);
      const words = [`never happened: ${what}; the page: ${JSON.stringify(state)}`, ...this.#console, ...this.errors];
      throw new Error(words.join('\n'), { cause: error });
    }
  }

  /** Waits until an image is drawn: the canvas holds more than a few colours and comes to rest. Gives its fingerprint. */
  async drawn(name) {
    await this.until(
      (name) => {
        const canvas = document.querySelector('#raster-canvas');
        const frame = window.app?.activeFrame;
        if (!canvas || frame?.frameInfo.fileInfo.name !== name) return false;
        // A file that is open before the page has laid out its widgets is fitted to a view of no size.
        const { xMin, xMax } = frame.requiredFrameView;
        if (canvas.width > 100 && xMax - xMin > 50 * frame.frameInfo.fileInfoExtended.width) frame.fitZoom();
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size > 10;
      },
      name,
      `${name} is drawn`,
    );
    return this.settled();
  }

  /** Waits until no tile is missing and the picture has come to rest, and gives its fingerprint. */
  async settled() {
    let last;
    // Counted in frames: while a page is kept from running nothing changes, however long that takes.
    for (let same = 0, deadline = Date.now() + PATIENCE; Date.now() < deadline; ) {
      const now = await this.fingerprint();
      same = now === last && (await this.complete()) ? same + 1 : 0;
      if (same >= 10) return now;
      last = now;
      await this.page.waitForTimeout(50);
    }
    throw new Error('never happened: the picture comes to rest');
  }

  /** Whether every tile that the view needs is there and can be drawn. */
  complete() {
    return this.page.evaluate(() => window.__complete());
  }

  /** Waits until the page shows a channel as received, tiles included. */
  channel(channel) {
    return this.until(
      (channel) => window.app.activeFrame?.channel === channel && window.__complete(),
      channel,
      `channel ${channel} is shown`,
    );
  }

  /** A number that changes with any pixel of the drawn image. */
  fingerprint() {
    return this.page.evaluate(async () => {
      // The page draws in frames, of which a busy machine gives it few.
      await new Promise(requestAnimationFrame);
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

  /** Waits until the cursor's value for a pixel has come and the information bar shows it, and reads that. */
  async cursor(x, y) {
    const text = await this.until(
      ([x, y]) => {
        const { cursorValue, requiredChannel } = window.app.activeFrame ?? {};
        const at = cursorValue?.position;
        if (at?.x !== x || at?.y !== y || cursorValue.channel !== requiredChannel) return false;
        const text = document.querySelector('.cursor-overlay-div')?.innerText.replaceAll('\u00a0', ' ') ?? '';
        const shown = Number(/Value:\s+(\S+)/.exec(text)?.[1]);
        const { value } = cursorValue;
        const isShown = Number.isNaN(value) ? Number.isNaN(shown) : Math.abs(shown - value) <= 1e-5 * Math.abs(value);
        return isShown && text.includes(`Image: (${x}, ${y})`) && text;
      },
      [x, y],
      `the value at (${x}, ${y}) comes and is shown`,
    );
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
