// `chartroom script`: batch jobs with a page of their own.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { startServer } from './support/server.mjs';

let server;
let folder;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'chartroom-script-'));
  server = await startServer('6.0.0', ['--enable-scripting']);
});

after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Runs the command with arguments and lines for its standard input; resolves to what it printed and its exit code. */
async function script(args, lines = []) {
  const browser = args.includes('--new') ? ['--browser', process.env.CHARTROOM_CHROMIUM] : [];
  const words = ['script', '--url', server.address.href, ...browser, ...args];
  const child = spawn(process.env.CHARTROOM_SERVER, words, { cwd: folder });
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (more) => (text[name] += more));
  child.stdin.on('error', () => {}).end(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const code = await new Promise((resolve) => child.on('close', resolve));
  return { ...text, code };
}

test('a batch job opens a cube, sets a colour map and takes a picture', async () => {
  const picture = (out) => [
    { action: 'waitForImageData' },
    { action: 'getImageDataUrl', parameters: ['#ffffff'], out },
  ];
  const lines = [
    { path: 'activeFrame.channel', action: 'valueOf' },
    ...picture('before.png'),
    { path: 'activeFrame.renderConfig', action: 'setColorMap', parameters: ['viridis'] },
    ...picture('after.png'),
  ];
  const { stdout, stderr, code } = await script(['--new', '--file', 'disk.fits', '-'], lines);
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.deepEqual(stdout.trim().split('\n').map(JSON.parse), [0, null, 'before.png', null, null, 'after.png']);
  const [before, after] = await Promise.all(['before.png', 'after.png'].map((name) => readFile(join(folder, name))));
  for (const png of [before, after]) {
    assert.deepEqual([...png.subarray(0, 8)], [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    assert.ok(png.readUInt32BE(16) > 300 && png.readUInt32BE(20) > 200);
  }
  assert.notDeepEqual(before, after);
});

test('the session ends with the command', async () => {
  const headers = { Authorization: `Bearer ${server.address.searchParams.get('token')}` };
  const { code } = await script(['--new', 'activeFrame', 'toString']);
  assert.equal(code, 1);
  const { sessions } = await (await fetch(new URL('api/sessions', server.address), { headers })).json();
  assert.deepEqual(sessions, []);
});

test('an action that fails ends the script with the words of the page', async () => {
  const { stdout, stderr, code } = await script(['--new', '-'], [{ action: 'nothing' }, { action: 'waitForImageData' }]);
  assert.equal(stdout, '');
  assert.match(stderr, /^chartroom: nothing failed: Error: Missing action function: nothing$/m);
  assert.equal(code, 1);
});

test('exit codes tell a wrong command line from a server that says no', async () => {
  const wrong = [['--size', 'big', '--new', '', 'act'], ['path'], ['--session', 'x', '', 'act'], []];
  for (const words of wrong) assert.equal((await script(words)).code, 2, words.join(' '));
  const denied = await script(['--token', 'wrong', '', 'act']);
  assert.equal(denied.code, 3);
  assert.match(denied.stderr, /^chartroom: .*token.*\.$/m);
  const nobody = await script(['', 'act']);
  assert.equal(nobody.code, 3);
  assert.match(nobody.stderr, /No page is open/);
});
