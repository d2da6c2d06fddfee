// The console page in a browser: what an operator sees and does.

import { mkdir } from 'node:fs/promises';

import { NETWORK_FAILURE, PATIENCE } from './viewer.mjs';

const ARTEFACTS = new URL('../artefacts/', import.meta.url);

/** What the browser prints when a link is cut on purpose. */
const EXPECTED = [NETWORK_FAILURE, /net::ERR_CONNECTION_REFUSED/];

/** The names of the views, in order. */
export const VIEWS = ['Sessions', 'Jobs', 'Metrics', 'Files', 'Scripting', 'Log rules'];

/** One tab with the console. */
export class Console {
  /** What must not be: uncaught errors, errors on the console, breaches of the policy, requests to elsewhere. */
  faults = [];

  #expected = [...EXPECTED];

  constructor(page, origin) {
    this.page = page;
    page.setDefaultTimeout(PATIENCE);
    page.on('pageerror', (error) => this.faults.push(`uncaught: ${error.stack ?? error.message}`));
    page.on('console', (message) => {
      const text = message.text();
      if (message.type() === 'error' && !this.#expected.some((pattern) => pattern.test(text))) this.faults.push(`console: ${text}`);
    });
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (url.protocol !== 'data:' && url.origin !== origin) this.faults.push(`a request to ${url.href}`);
    });
  }

  /** Where the console of a server is, with the token. */
  static address(server) {
    const url = new URL('console/', server.address);
    url.search = server.address.search;
    return url;
  }

  /** Opens a tab in a context of its own, and waits for the connection. */
  static async open(browser, server, { view = '', width = 1280, height = 860, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width, height }, ...options });
    const page = await context.newPage();
    const url = Console.address(server);
    const opened = new Console(page, url.origin);
    await page.exposeFunction('__breach', (text) => opened.faults.push(`against the policy: ${text}`));
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
        window.__breach(`${violatedDirective}: ${blockedURI}`),
      );
    });
    if (view) url.hash = view;
    await page.goto(url.href);
    await opened.connection('connected');
    return opened;
  }

  /** Errors on the browser's console that match are none. */
  expect(...patterns) {
    this.#expected.push(...patterns);
  }

  /** Waits until the mark of the connection says this. */
  connection(state) {
    return this.page.locator(`#connection[data-state="${state}"]`).waitFor();
  }

  /** Goes to a view by its link. */
  async go(name) {
    await this.page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name, exact: true }).click();
    await this.page.getByRole('heading', { level: 1, name }).waitFor();
  }

  /** The row of a table by what names it. */
  row(name) {
    return this.page.getByRole('row').filter({ has: this.page.getByRole('rowheader', { name: String(name) }) });
  }

  /** Waits until a session is in a state. */
  session(id, state) {
    return this.row(id).locator(`.badge[data-state="${state}"]`).waitFor();
  }

  /** Opens a file of the top folder. */
  async file(name) {
    await this.go('Files');
    await this.page.getByRole('link', { name, exact: true }).click();
    await this.page.getByRole('heading', { level: 2, name }).waitFor();
  }

  tab(name) {
    return this.page.getByRole('tab', { name }).click();
  }

  /** The numbers of a table of names and values. */
  async values(caption) {
    const rows = await this.page.getByRole('table', { name: caption }).locator('tbody tr').all();
    const texts = await Promise.all(rows.map(async (row) => [await row.locator('th').innerText(), await row.locator('td').innerText()]));
    return new Map(texts.map(([name, text]) => [number(name), number(text)]));
  }

  /** How many pixels the page is wider than the window. */
  excess() {
    return this.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  }

  async picture(name) {
    await mkdir(ARTEFACTS, { recursive: true });
    await this.page.screenshot({ path: new URL(`${name}.png`, ARTEFACTS).pathname, fullPage: true });
  }

  close() {
    return this.page.context().close();
  }
}

/** A number as the console writes it, or the text if it is none. */
export function number(text) {
  const plain = text.replaceAll('−', '-').replaceAll('\u202f', '');
  return plain === '' || Number.isNaN(Number(plain)) ? text : Number(plain);
}
