// The console: what an operator sees of sessions, jobs, metrics and files, and what they do about them.

import assert from 'node:assert/strict';
import { constants, copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';

import { Console, VIEWS, number } from './support/console.mjs';
import * as cube from './support/demo-cube.mjs';
import { Setting, eventually } from './support/interruption.mjs';
import { data } from './support/server.mjs';
import { writeSparseCube } from './support/sparse-cube.mjs';
import { PATIENCE } from './support/viewer.mjs';

/** Long enough to be cancelled on any machine: 32 GiB of zeros, which take no place. */
const LONG = { name: 'long.fits', shape: [2048, 2048, 2048] };

/** A pixel in the approaching half of the disk. */
const PIXEL = { x: 250, y: 220 };

const close = (actual, expected, tolerance, what) =>
  assert.ok(Math.abs(actual - expected) <= tolerance * Math.abs(expected), `${what}: ${actual} instead of ${expected}`);

describe('the console', { timeout: 1_500_000, concurrency: 1 }, () => {
  let folder;
  let place;
  /** All that were opened during a test. */
  const opened = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chartroom-console-'));
    for (const name of ['disk.fits', 'disk-iquv.fits']) {
      await copyFile(join(data(), name), join(folder, name), constants.COPYFILE_FICLONE);
    }
    await writeSparseCube(join(folder, LONG.name), LONG.shape);
    place = await Setting.start('6.0.0', { options: ['--enable-scripting'], folder });
  });

  afterEach(async (context) => {
    const name = `console-${context.name.replaceAll(/[^a-z0-9.]+/gi, '-')}`;
    const pages = opened.splice(0);
    await pages[0]?.picture(name);
    await Promise.all(pages.map((page) => page.close()));
    await place.close(`${name}-viewer`);
    for (const { faults } of pages) assert.deepEqual(faults, [], 'no error, nothing against the policy, no outside request');
  });

  after(async () => {
    await place?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const open = async (options) => {
    const console = await Console.open(place.browser, place.server, options);
    opened.push(console);
    return console;
  };

  /** Opens the official page, and gives it with the number of its session. */
  const view = async (query) => {
    const viewer = await place.open(query);
    return { viewer, session: await eventually(() => viewer.session(), 'the page is registered') };
  };

  test('a session of the official page appears, is parked when its link is cut, and returns', async () => {
    const console = await open();
    await console.page.getByText('There is no session.').waitFor();
    const { viewer, session } = await view({ file: 'disk.fits' });
    await console.session(session, 'live');
    await viewer.drawn('disk.fits');
    const cells = console.row(session).getByRole('cell');
    await eventually(async () => (await cells.nth(4).innerText()) === '1', 'it has one file open');
    await eventually(async () => /[KM]iB/.test(await cells.nth(6).innerText()), 'it has sent an image');

    await place.network.fail();
    await console.session(session, 'parked');
    const remaining = async () => {
      const parts = (await cells.nth(8).innerText()).split(':').map(Number);
      return parts.reduce((total, part) => total * 60 + part, 0);
    };
    const first = await remaining();
    assert.ok(first > 60 && first <= 3600, `it is kept for ${first} s`);
    await eventually(async () => (await remaining()) < first, 'the countdown runs');
    await console.picture('console-session-parked');

    await place.network.restore();
    await console.session(session, 'live');
    await viewer.reconnecting(false);
    await viewer.close();
    await console.row(session).waitFor({ state: 'detached' });
  });

  test('a session is ended after a question, and the focus stays in the page', async () => {
    const console = await open();
    const { viewer, session } = await view();
    await place.network.fail();
    await console.session(session, 'parked');
    const end = console.page.getByRole('button', { name: `End session ${session}` });
    await end.click();
    const dialog = console.page.getByRole('dialog', { name: `End session ${session}?` });
    await console.picture('console-end-dialogue');
    await dialog.getByRole('button', { name: 'Keep' }).click();
    await console.session(session, 'parked');
    assert.ok(await end.evaluate((button) => button === document.activeElement), 'the focus is where it was');
    await end.click();
    await dialog.getByRole('button', { name: 'End the session' }).click();
    await console.row(session).waitFor({ state: 'detached' });
    await viewer.close();
    await place.network.restore();
    await place.sessions({ live: 0, parked: 0 });
  });

  test('the histogram of a large cube shows its progress and is cancelled where it was asked for', async () => {
    const console = await open();
    await console.file(LONG.name);
    await console.tab('Histogram');
    await console.page.getByLabel('Of', { exact: true }).selectOption('cube');
    const cancel = console.page.getByRole('button', { name: 'Cancel: Histogram of the whole cube' });
    await cancel.waitFor();
    await eventually(async () => /\d %/.test(await console.page.locator('.work:visible').innerText()), 'progress is shown');
    await console.picture('console-histogram-progress');
    await cancel.click();
    await console.page.getByText('Histogram of the whole cube: cancelled.').first().waitFor();
    await console.go('Jobs');
    await console.page.getByText('Nothing takes long at the moment.').waitFor();
  });

  test('a job is seen with its progress and cancelled in the list of jobs', async () => {
    const [console, other] = [await open(), await open({ view: 'jobs' })];
    await console.file(LONG.name);
    await console.tab('Histogram');
    await console.page.getByLabel('Of', { exact: true }).selectOption('cube');
    // On a busy machine the picture and the histogram of the first plane may be there still.
    const job = other.row(`cube histogram of ${LONG.name}`);
    await job.waitFor();
    await other.picture('console-jobs');
    await job.getByRole('button', { name: /^Cancel/ }).click();
    await job.waitFor({ state: 'detached' });
    await console.page.locator('.work:visible').waitFor({ state: 'detached' });
    await console.page.getByRole('alert').filter({ hasText: /cancelled/i }).waitFor();
  });

  test('a FITS file is previewed: picture, spectrum, statistics, histogram and header', async () => {
    const console = await open();
    const { page } = console;
    await console.file('disk.fits');
    await page.getByText(/640 × 512 pixels, 64 channels/).waitFor();
    const picture = page.locator('.picture img');
    await eventually(() => picture.evaluate((image) => image.complete && image.naturalWidth > 100), 'the picture is there');
    const before = await picture.getAttribute('src');
    await page.getByLabel('Colour map').selectOption('viridis');
    await eventually(async () => (await picture.getAttribute('src')) !== before, 'the colour map changes the picture');

    await page.getByLabel('x', { exact: true }).fill(String(PIXEL.x));
    await page.getByLabel('y', { exact: true }).fill(String(PIXEL.y));
    await page.getByRole('button', { name: 'Spectrum' }).click();
    await page.getByRole('img', { name: new RegExp(`^Spectrum at \\(${PIXEL.x}, ${PIXEL.y}\\)`) }).waitFor();
    await page.getByText('Values of Spectrum').click();
    const expected = cube.spectrum(PIXEL.x, PIXEL.y);
    const cells = page.locator('.chart details[open] tbody td');
    await eventually(async () => (await cells.count()) === expected.length, 'each channel has a value');
    const shown = (await cells.allInnerTexts()).map(number);
    expected.forEach((value, i) => assert.ok(Math.abs(shown[i] - value) <= 6e-4 * Math.abs(value), `channel ${i}: ${shown[i]} instead of ${value}`));
    await console.picture('console-spectrum');

    await console.tab('Statistics');
    const statistics = await eventually(async () => {
      const values = await console.values('Statistics of channel 0');
      return values.has('Mean') && values;
    }, 'the statistics are there');
    const truth = cube.statistics(0);
    for (const [name, value] of [['Mean', truth.Mean], ['Standard deviation', truth.StdDev], ['Minimum', truth.Min], ['Maximum', truth.Max]]) {
      close(statistics.get(name), value, 1e-6, name);
    }
    assert.equal(statistics.get('Pixels'), truth.NumPixels);

    await page.getByLabel('Channel', { exact: true }).first().fill('32');
    await eventually(async () => Math.abs((await console.values(/^Statistics of/)).get('Mean') - cube.statistics(32).Mean) < 1e-8, 'another channel');

    await console.tab('Histogram');
    await page.getByRole('img', { name: /^Pixels: / }).waitFor();
    await console.picture('console-histogram');
    await console.tab('Header');
    await page.getByLabel('Search').fill('naxis1');
    await eventually(async () => (await page.getByRole('table', { name: 'Header' }).locator('tbody tr').count()) === 1, 'the header is searched');
    assert.equal(await console.row('NAXIS1').getByRole('cell').first().innerText(), String(cube.WIDTH));
  });

  test('a click on the picture takes the spectrum of the pixel under it', async () => {
    const console = await open();
    await console.file('disk.fits');
    const picture = console.page.locator('.picture');
    await picture.waitFor();
    const { width, height } = await picture.boundingBox();
    await picture.click({ position: { x: width * 0.25, y: height * 0.75 } });
    const [x, y] = await Promise.all(['x', 'y'].map((name) => console.page.getByLabel(name, { exact: true }).inputValue()));
    assert.ok(Math.abs(Number(x) - cube.WIDTH / 4) <= 2 && Math.abs(Number(y) - cube.HEIGHT / 4) <= 2, `(${x}, ${y})`);
    await console.page.getByRole('img', { name: new RegExp(`^Spectrum at \\(${x}, ${y}\\)`) }).waitFor();
  });

  test('a file that is not there is told of in a sentence', async () => {
    const console = await open({ view: 'files?file=nothing.fits' });
    await console.page.getByRole('alert').filter({ hasText: 'nothing.fits could not be read.' }).waitFor();
  });

  test('metrics are charted, told in words, and found by name', async () => {
    const console = await open({ view: 'metrics' });
    const { page } = console;
    await page.getByRole('img', { name: /^process: last [\d.]+ [KMG]iB/ }).waitFor();
    await page.getByLabel('Filter').fill('resident memory');
    await eventually(async () => (await page.getByRole('table', { name: 'All metrics' }).locator('tbody tr').count()) === 1, 'one is found');
    await page.getByRole('button', { name: 'Chart of process resident memory bytes' }).click();
    await page.getByRole('heading', { level: 3, name: 'process resident memory bytes' }).waitFor();
  });

  test('an action is run in a session, its answer shown, and run again from the history', async () => {
    const { viewer, session } = await view({ file: 'disk.fits' });
    await viewer.drawn('disk.fits');
    const console = await open({ view: 'scripting' });
    const { page } = console;
    await eventually(async () => (await page.getByLabel('Session').inputValue()) === String(session), 'the session is offered');
    await page.getByLabel('Action', { exact: true }).fill('fetchParameter');
    await page.getByLabel('Parameters').fill('{');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.getByRole('alert').filter({ hasText: 'The parameters are not JSON' }).waitFor();
    await page.getByLabel('Parameters').fill('[{"macroTarget": "activeFrame.frameInfo.fileInfo", "macroVariable": "name"}]');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    const answer = page.locator('pre[aria-label="Answer"]');
    await eventually(async () => (await answer.innerText()) === '"disk.fits"', 'the answer comes');
    await page.reload();
    await eventually(async () => (await page.getByLabel('Session').inputValue()) === String(session), 'the session is offered');
    await page.getByRole('button', { name: /^Run fetchParameter.* again$/ }).click();
    await eventually(async () => (await answer.innerText()) === '"disk.fits"', 'the answer comes again');
  });

  test('log rules are added, removed, and refused with a reason', async () => {
    const console = await open({ view: 'rules' });
    const { page } = console;
    await page.getByText(/^All (other )?messages: /).waitFor();
    await page.getByLabel('Type').selectOption('heartbeat');
    await page.getByLabel('Action').selectOption('drop');
    await page.getByRole('button', { name: 'Add as the first rule' }).click();
    await page.getByRole('list', { name: 'Rules' }).getByText('Messages of type heartbeat: not logged.').waitFor();
    await page.getByLabel('Rules', { exact: true }).and(page.locator('textarea')).fill('{"rules": [{"action": "sing"}]}');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('alert').filter({ hasText: 'The rules were not changed.' }).waitFor();
    await page.getByRole('button', { name: 'Undo changes' }).click();
    await page.getByRole('button', { name: 'Remove: Messages of type heartbeat: not logged.' }).click();
    await page.getByText('Removed: Messages of type heartbeat: not logged.').waitFor();
  });

  test('every view is reached with the keyboard alone', async () => {
    const console = await open();
    const { page } = console;
    const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim());
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'Skip to the content');
    await page.keyboard.press('Tab');
    assert.match(await focused(), /^Theme: /);
    for (const [i, name] of VIEWS.entries()) {
      // After a view was chosen the focus is on its heading, behind the links.
      await page.getByRole('button', { name: /^Theme: / }).focus();
      for (let step = 0; step <= i; step += 1) await page.keyboard.press('Tab');
      assert.equal(await focused(), name);
      await page.keyboard.press('Enter');
      await page.locator('a[aria-current="page"]', { hasText: name }).waitFor();
      // The first view was shown already.
      if (i > 0) await eventually(async () => (await focused()) === name && page.locator('h1:focus').count(), `the heading ${name} has the focus`);
    }
  });

  test('the views of a file are reached with arrow keys, and the cross hairs move', async () => {
    const console = await open();
    const { page } = console;
    await console.file('disk.fits');
    await page.locator('.picture').waitFor();
    await page.getByRole('tab', { name: 'Picture' }).focus();
    for (const name of ['Statistics', 'Histogram', 'Header', 'Picture']) {
      await page.keyboard.press('ArrowRight');
      await page.locator('[role="tab"][aria-selected="true"]:focus', { hasText: name }).waitFor();
    }
    await page.locator('.picture').focus();
    for (const key of ['ArrowRight', 'ArrowUp', 'Shift+ArrowUp']) await page.keyboard.press(key);
    assert.equal(await page.getByLabel('x', { exact: true }).inputValue(), String(cube.WIDTH / 2 + 1));
    assert.equal(await page.getByLabel('y', { exact: true }).inputValue(), String(cube.HEIGHT / 2 + 11));
    await page.keyboard.press('Enter');
    await page.getByRole('img', { name: /^Spectrum at \(321, 267\)/ }).waitFor();
  });

  for (const colorScheme of ['light', 'dark']) {
    for (const [device, width] of [['desk', 1280], ['phone', 375]]) {
      test(`the page fits ${width} pixels in ${colorScheme}`, async () => {
        // So that there is something to be shown.
        await view({ file: 'disk.fits' });
        const console = await open({ width, colorScheme });
        for (const name of VIEWS) {
          await console.go(name);
          if (name === 'Files') {
            await console.page.getByRole('link', { name: 'disk.fits', exact: true }).click();
            await console.page.locator('.picture').waitFor();
          }
          assert.ok((await console.excess()) <= 0, `${name} is not wider than the window`);
          await console.picture(`console-${device}-${colorScheme}-${name.replace(' ', '-').toLowerCase()}`);
        }
      });
    }
  }

  test('the token leaves the address, and a reload knows it; without one the page asks', async () => {
    const console = await open();
    const { page } = console;
    assert.ok(!page.url().includes('token'), page.url());
    await page.reload();
    await console.connection('connected');
    const stranger = await place.browser.newPage();
    stranger.setDefaultTimeout(PATIENCE);
    try {
      const address = Console.address(place.server);
      const token = address.searchParams.get('token');
      address.search = '';
      const answer = await stranger.goto(address.href);
      if (answer.ok()) {
        await stranger.getByRole('alert').waitFor();
        await stranger.getByLabel('Token').fill(token);
        await stranger.getByRole('button', { name: 'Connect' }).click();
        await stranger.locator('#connection[data-state="connected"]').waitFor();
      } else {
        assert.ok([401, 403].includes(answer.status()), `${answer.status()}`);
      }
    } finally {
      await stranger.close();
    }
  });

  test('the theme that was chosen is remembered', async () => {
    const console = await open({ colorScheme: 'light' });
    const { page } = console;
    const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await background();
    const theme = page.getByRole('button', { name: /^Theme: / });
    await theme.click();
    await theme.click();
    assert.equal(await theme.innerText(), 'Theme: dark');
    assert.notEqual(await background(), light);
    await page.reload();
    await eventually(async () => (await theme.innerText()) === 'Theme: dark' && (await background()) !== light, 'it is dark again');
  });

  test('the policy lets nothing in but the console itself', async () => {
    const answer = await fetch(Console.address(place.server));
    const policy = answer.headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'|default-src 'self'/);
    assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|https?:|\*/);
  });

  test('the mark tells of a server that goes away and comes back, and the lists go on', async () => {
    const console = await open();
    const { viewer, session } = await view();
    await console.session(session, 'live');
    await place.server.kill();
    await console.connection('reconnecting');
    await console.picture('console-reconnecting');
    await place.server.start();
    await console.connection('restarted');
    await console.session(session, 'live');
    await viewer.reconnecting(false);
  });

  test('a console comes back by itself, also where there is no session that is kept', async () => {
    const console = await open();
    await place.sessions({ live: 0, parked: 0, stored: 0 });
    const { href } = place.server.address;
    await place.server.halt();
    await console.connection('reconnecting');
    await place.server.start();
    assert.equal(place.server.address.href, href, 'the console knows the right token');
    await console.connection('restarted');
  });

  test('a page whose token is none any more asks for another one', async () => {
    const console = await open();
    await place.sessions({ live: 0, parked: 0, stored: 0 });
    const token = place.server.address.searchParams.get('token');
    console.expect(/Unexpected response code: 403/, /status of 403/);
    await place.server.halt();
    await place.server.forgetToken();
    await place.server.start();
    const renewed = place.server.address.searchParams.get('token');
    assert.notEqual(renewed, token);
    await console.page.getByRole('alert').filter({ hasText: 'another token' }).waitFor();
    await console.page.getByLabel('Token').fill(renewed);
    await console.page.getByRole('button', { name: 'Connect' }).click();
    await console.connection('connected');
  });
});
