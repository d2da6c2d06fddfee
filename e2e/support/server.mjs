// A Chartroom server of our own for each test file.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** What `cargo xtask test` hands over. */
function given(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests with \`cargo xtask test --browser\``);
  return value;
}

/**
 * Starts a server for a frontend version on a free port with a state directory of its own, and quiets the page
 * through the preference store. Resolves to its address (with the token), its log so far, and `stop`.
 */
export async function startServer(frontendVersion) {
  const frontend = given(`CHARTROOM_FRONTEND_${frontendVersion.replaceAll('.', '_')}`);
  const state = await mkdtemp(join(tmpdir(), 'chartroom-e2e-'));
  const options = ['--frontend', frontend, '--port', String(await freePort()), '--state-dir', state, '--no-browser'];
  const child = spawn(given('CHARTROOM_SERVER'), ['serve', given('CHARTROOM_DATA'), ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = [];
  createInterface({ input: child.stderr }).on('line', (line) => log.push(line));
  const ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve(code ?? signal)));
  const stop = async () => {
    child.kill('SIGTERM');
    const how = await ended;
    await rm(state, { recursive: true, force: true });
    return how;
  };
  try {
    const address = await listening(child, ended, log);
    await quiet(address);
    return { address, log, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The address in the first line of standard output. */
async function listening(child, ended, log) {
  const first = new Promise((resolve) => createInterface({ input: child.stdout }).once('line', resolve));
  const line = await Promise.race([first, ended.then((how) => `the server ended (${how})`)]);
  const match = /^chartroom listening on (http:\S+)$/.exec(line);
  if (!match) throw new Error(`${line}\n${log.join('\n')}`);
  return new URL(match[1]);
}

/** Sets the preferences that keep a fresh page from asking about telemetry and new releases. */
async function quiet(address) {
  const { apiAddress } = await (await fetch(new URL('config', address))).json();
  const answer = await fetch(new URL(`${apiAddress}/database/preferences`, address), {
    method: 'PUT',
    headers: {
      'Content-Type': 'application/json',
      Authorization: `Bearer ${address.searchParams.get('token')}`,
    },
    body: JSON.stringify({ telemetryConsentShown: true, telemetryMode: 'none', checkNewRelease: false }),
  });
  if (!answer.ok) throw new Error(`the preference store answered ${answer.status}: ${await answer.text()}`);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
