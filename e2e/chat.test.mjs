// The example of the RPC runtime: a chat in two windows, one of which loses its connection.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';

import { eventually } from './support/interruption.mjs';
import { startNetwork } from './support/network.mjs';
import { freePort } from './support/server.mjs';
import { NETWORK_FAILURE, PATIENCE, launchBrowser } from './support/viewer.mjs';

let chat;
let network;
let browser;
let ann;
let bob;

before(async () => {
  let port;
  let address;
  await eventually(async () => {
    // It has to be told a port, which somebody else may take before it does.
    if (chat?.exitCode !== null) {
      port = await freePort();
      address = new URL(`http://127.0.0.1:${port}/`);
      chat = startChat(port);
    }
    return fetch(address).then(({ ok }) => ok, () => false);
  }, 'the chat listens');
  network = await startNetwork({ port });
  browser = await launchBrowser();
  [ann, bob] = await Promise.all([open(address), open(network.through(address))]);
});

after(async () => {
  await browser?.close();
  await network?.stop();
  chat?.kill();
});

function startChat(port) {
  // With our own output it would keep the test runner from ending, should this process be killed.
  const child = spawn(process.env.CHARTROOM_CHAT, [String(port)], { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.pipe(process.stderr);
  return child;
}

async function open(address) {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  page.on('console', (message) => {
    const text = message.text();
    const expected = NETWORK_FAILURE.test(text) || text.includes('404');
    if (message.type() === 'error' && !expected) page.problems.push(text);
  });
  await page.goto(address.href);
  await page.getByText('connected', { exact: true }).waitFor();
  return page;
}

async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

const thread = (page) => page.locator('#thread li').allTextContents();

test('what one types and says is seen by the other', async () => {
  await ann.fill('#name', 'Ann');
  // It is told once, when somebody begins to type, and withdrawn two seconds after the last input, which Bob may miss.
  let text = '';
  await eventually(async () => {
    text += 'h';
    await ann.fill('#text', text);
    return bob.getByText('Ann …').waitFor({ timeout: 3000 }).then(() => true, () => false);
  }, 'it is seen that Ann types');
  await say(ann, 'hello');
  await bob.getByText('Ann: hello').waitFor();
  await eventually(async () => (await bob.textContent('#typing')) === '', 'nobody types any more');
});

test('who was away has missed nothing, and what was said meanwhile is sent once', async () => {
  await network.fail();
  await bob.getByText('reconnecting').waitFor();
  await say(ann, 'are you there?');
  await ann.getByText('Ann: are you there?').waitFor();
  await say(bob, 'not quite');
  await network.restore();
  await bob.getByText('Ann: are you there?').waitFor();
  await ann.getByText('guest: not quite').waitFor();
  const expected = ['Ann: hello', 'Ann: are you there?', 'guest: not quite'];
  await eventually(async () => (await thread(bob)).length === expected.length, 'the whole thread is there');
  assert.deepEqual(await thread(bob), expected);
  assert.deepEqual(await thread(ann), expected);
});

test('a new window has the end of the thread, and the rest on demand', async () => {
  for (let n = 1; n <= 25; n += 1) {
    await say(ann, `message ${n}`);
    await bob.getByText(`Ann: message ${n}`, { exact: true }).waitFor();
  }
  await bob.reload();
  await bob.getByText('Ann: message 25').waitFor();
  assert.equal((await thread(bob)).length, 20);
  await bob.click('#older');
  await bob.getByText('Ann: hello').waitFor();
  assert.equal((await thread(bob)).length, 28);
  assert.deepEqual([...ann.problems, ...bob.problems], []);
});
