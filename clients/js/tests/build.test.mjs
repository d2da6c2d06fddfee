/**
 * What is shipped.
 */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { buildClient, clientTarget } from '../build.mjs';
import * as modules from '../rpc/index.js';

test('the committed client is what the modules give', () => {
  assert.equal(readFileSync(clientTarget, 'utf8').replaceAll('\r\n', '\n'), buildClient());
});

test('the whole client is smaller than 15,000 bytes compressed', () => {
  const { length } = gzipSync(readFileSync(clientTarget), { level: 9 });
  assert.ok(length < 15_000, `${length} bytes`);
});

test('the built client exports what the modules do', async () => {
  const built = await import(clientTarget);
  assert.deepEqual(Object.keys(built), Object.keys(modules));
});

test('the client needs nothing of Node.js, and nothing of anybody else', () => {
  const text = readFileSync(clientTarget, 'utf8');
  assert.doesNotMatch(text, /\bimport\s*[{*"']|\bfrom\s*["']|\brequire\(|\bprocess\.|\bBuffer\./);
});

test('the package can be published: everything that it names is there, or is made when it is packed', () => {
  const root = new URL('../', import.meta.url);
  const { name, version, license, exports, publishConfig, repository, files } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  assert.deepEqual([name, license, publishConfig.access, repository.directory], ['@chartroom/client', 'MIT OR Apache-2.0', 'public', 'clients/js']);
  const workspace = readFileSync(new URL('../../Cargo.toml', root), 'utf8');
  assert.equal(version, /^version = "(.+)"$/m.exec(workspace)?.[1], 'one version for all');
  const named = Object.values(exports).flatMap((paths) => Object.values(paths));
  for (const path of named.filter((path) => !path.startsWith('./declarations/'))) assert.ok(existsSync(new URL(path, root)), path);
  for (const path of ['declarations', 'types', 'LICENSE-*']) assert.ok(files.includes(path), path);
});
