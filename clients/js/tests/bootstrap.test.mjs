import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

import { bootstrap } from '../rpc/index.js';
import { loadMods } from '../rpc/mods.js';
import { World, watch } from './support/world.mjs';

class Storage {
  values = new Map();
  getItem = (key) => this.values.get(key) ?? null;
  setItem = (key, value) => void this.values.set(key, value);
  removeItem = (key) => void this.values.delete(key);
}

/** A window with a server behind it. */
class Page extends EventTarget {
  document = {};
  sessionStorage = new Storage();
  localStorage = new Storage();
  requests = [];
  tokens = 0;
  status = 200;

  constructor(world, { sessionStorage, localStorage } = {}) {
    super();
    this.world = world;
    Object.assign(this, sessionStorage && { sessionStorage }, localStorage && { localStorage });
  }

  fetch = async (url, options = {}) => {
    this.requests.push({ url, ...options });
    const { viewId } = this.world.welcome;
    const body = url.endsWith('/settings')
      ? { protocol: { heartbeatMs: 5000 }, application: { list: [{ deep: 1 }] } }
      : { viewId, viewToken: `token-${++this.tokens}`, serverGen: 1 };
    return { ok: this.status === 200, status: this.status, url, json: async () => body };
  };

  start(options = {}) {
    return bootstrap({ scope: this, environment: this.world.environment, transport: 'plain', ...options });
  }
}

async function started(world, page, options) {
  const outcome = watch(page.start(options));
  // Hashes are computed in a thread, which takes its own time.
  while (!outcome.value && !outcome.error) await world.pass(1);
  if (outcome.error) throw outcome.error;
  return outcome.value;
}

test('a page becomes ready in the order of the protocol', async () => {
  const world = new World();
  const page = new Page(world);
  const { rpc, settings, viewId, state, report } = await started(world, page, { viewKind: 'map' });
  const [first, second] = page.requests;
  assert.equal(first.url, '/settings');
  assert.equal(second.url, '/api/bootstrap');
  assert.deepEqual([second.method, second.credentials, second.body], ['POST', 'include', '{"viewKind":"map"}']);
  assert.equal(world.network.last.url, 'wss://chartroom.example/ws');
  const { viewToken, lastKnownGen, clientInstanceId } = world.last('hello').payload;
  assert.deepEqual([viewToken, lastKnownGen], ['token-1', 0]);
  assert.match(clientInstanceId, /^[0-9a-f-]{36}$/);
  assert.deepEqual([viewId, state], ['v_1', { greeting: 'hello' }]);
  assert.deepEqual(world.last('clientReady').payload, { ...report });
  assert.deepEqual([report.loaded, report.failed], [[], []]);
  assert.equal(report.modsHash, createHash('sha256').update('[]').digest('hex'));
  assert.equal(page.Chartroom.settings, settings);
  assert.equal(rpc.isReady, true);
});

test('the settings are frozen to their depths on a global of any name', async () => {
  const world = new World();
  const page = new Page(world);
  const { settings } = await started(world, page, { global: 'Turnix' });
  assert.equal(page.Turnix.settings, settings);
  for (const part of [page.Turnix, settings, settings.application, settings.application.list, settings.application.list[0]]) {
    assert.ok(Object.isFrozen(part));
  }
  assert.equal(page.Chartroom, undefined);
});

test('a server that is mounted under a path is asked there', async () => {
  const world = new World();
  const page = new Page(world);
  await started(world, page, { base: 'https://other.example/rpc/' });
  assert.deepEqual(page.requests.map(({ url }) => url), ['https://other.example/rpc/settings', 'https://other.example/rpc/api/bootstrap']);
  assert.equal(world.network.last.url, 'wss://other.example/rpc/ws');
});

test('the page says that it is ready again after every new generation', async () => {
  const world = new World();
  await started(world, new Page(world));
  assert.equal(world.of('clientReady').length, 1);
  world.network.cut();
  await world.pass(2000);
  world.network.cut();
  await world.pass(2000);
  assert.deepEqual(world.of('clientReady').map(({ gen }) => gen.num), [1, 2, 3]);
});

test('a generation that begins while modules are loaded is told once', async () => {
  const world = new World();
  let finish;
  const modules = () => new Promise((resolve) => (finish = () => resolve({ loaded: [], failed: [] })));
  const outcome = watch(new Page(world).start({ modules }));
  await world.pass(100);
  world.network.cut();
  await world.pass(2000);
  assert.deepEqual(world.of('clientReady'), []);
  finish();
  await world.pass(50);
  assert.deepEqual(world.of('clientReady').map(({ gen }) => gen.num), [2]);
  assert.ok(outcome.value);
});

test('the last generation of a view is remembered for the next load', async () => {
  const world = new World();
  const page = new Page(world);
  const { rpc } = await started(world, page);
  world.network.cut();
  await world.pass(2000);
  assert.equal(page.localStorage.getItem('gen:v_1'), '2');
  rpc.close();
  await started(world, page);
  assert.equal(world.last('hello').payload.lastKnownGen, 2);
});

test('the id of a tab survives a reload, and a duplicate of the tab gets its own', async () => {
  const world = new World();
  const page = new Page(world);
  await started(world, page);
  const id = world.last('hello').payload.clientInstanceId;

  const copy = new Storage();
  copy.values = new Map(page.sessionStorage.values);
  await started(world, new Page(world, { sessionStorage: copy }));
  assert.notEqual(world.last('hello').payload.clientInstanceId, id);

  page.dispatchEvent(new Event('pagehide'));
  await started(world, new Page(world, page));
  assert.equal(world.last('hello').payload.clientInstanceId, id);
});

test('a page that may not store anything is ready all the same', async (t) => {
  t.mock.method(console, 'warn', () => {});
  const world = new World();
  const page = new Page(world);
  for (const name of ['sessionStorage', 'localStorage']) {
    Object.defineProperty(page, name, { get: () => { throw new DOMException('No.', 'SecurityError'); } });
  }
  const { rpc } = await started(world, page);
  assert.equal(rpc.isReady, true);
});

test('when the server has a new view for the page, the page gets a token for it', async () => {
  const world = new World();
  const page = new Page(world);
  const { rpc } = await started(world, page);
  const restarts = [];
  rpc.onServerRestart = (restart) => restarts.push(restart);
  world.welcome = { ...world.welcome, viewId: 'v_2', serverEpoch: 'e2' };
  world.network.cut();
  await world.pass(2000);
  assert.deepEqual(restarts.map(({ isNewView }) => isNewView), [true]);
  world.network.cut();
  await world.pass(2000);
  const { viewId, viewToken } = world.last('hello').payload;
  assert.deepEqual([viewId, viewToken], ['v_2', 'token-2']);
});

test('a server that does not let the page in is an error that says so', async () => {
  const world = new World();
  const page = new Page(world);
  page.status = 503;
  await assert.rejects(page.start(), { code: 'BOOTSTRAP_FAILED', retryable: true, err: { status: 503 } });
  page.status = 403;
  await assert.rejects(page.start(), { code: 'BOOTSTRAP_FAILED', retryable: false, err: { status: 403 } });
});

test('modules that the server names are loaded one after the other, with a client that speaks in their names', async (t) => {
  t.mock.method(console, 'error', () => {});
  const world = new World();
  const rpc = await world.connect();
  const order = [];
  const load = async (entry) => {
    if (entry === '/broken.js') throw new Error('It is broken.');
    return {
      onLoad: async ({ rpc: own, manifest, settings }) => {
        order.push(manifest.id, settings.colour);
        own.request({ route: 'echo@1' }).catch(() => {});
        own.emit('note@1', 'note', { text: 'x' }).catch(() => {});
        own.subscribe('ticks@1').catch(() => {});
        own.capability('files@1').call('list').catch(() => {});
        own.object('o').get('a').catch(() => {});
        own.cancel('r');
        own.expose('toast@1', { call: () => ({}) });
      },
    };
  };
  const modManifests = [
    { id: 'b', version: '2', hash: 'h2', entry: '/b.js', enabled: true },
    { id: 'off', version: '1', hash: 'h', entry: '/off.js', enabled: false },
    { id: 'broken', version: '1', hash: 'h1', entry: '/broken.js' },
  ];
  const welcome = { state: { mods: { frontend: { modManifests } } } };
  const report = await loadMods(welcome, { rpc, settings: { colour: 'red' } }, load);
  await world.pass(50);
  assert.deepEqual(order, ['b', 'red']);
  assert.deepEqual(report.loaded, [{ id: 'b', version: '2', hash: 'h2' }]);
  assert.deepEqual(report.failed, [{ id: 'broken', reason: 'It is broken.' }]);
  const sorted = [{ id: 'b', version: '2', hash: 'h2' }, { id: 'broken', version: '1', hash: 'h1' }];
  assert.equal(report.modsHash, createHash('sha256').update(JSON.stringify(sorted)).digest('hex'));
  const asked = world.frames.filter(({ type }) => ['request', 'emit', 'subscribe', 'cancel'].includes(type));
  assert.equal(asked.length, 6);
  for (const { type, origin, payload, args } of asked) {
    assert.deepEqual(origin, { modId: 'b', modVersion: '2' }, type);
    assert.equal(payload.origin, undefined);
    assert.equal(args, undefined);
  }
  assert.ok(rpc.localCaps.has('toast@1'));
});

test('a token is said in all requests and in the address of the socket, and nowhere else', async () => {
  const world = new World();
  const page = new Page(world);
  const { rpc } = await started(world, page, { token: 'a secret&' });
  assert.deepEqual(page.requests.map(({ headers }) => headers.authorization), ['Bearer a secret&', 'Bearer a secret&']);
  assert.equal(world.network.last.url, 'wss://chartroom.example/ws?token=a+secret%26');
  assert.equal(rpc.url, 'wss://chartroom.example/ws');
  assert.equal(rpc.token, 'a secret&');
  assert.doesNotMatch(JSON.stringify(world.frames), /secret/);
  const without = new Page(new World());
  await started(without.world, without);
  assert.equal(without.requests[0].headers.authorization, undefined);
});
