import assert from 'node:assert/strict';
import { test } from 'node:test';

import { next, request, startServer, untilStats } from './support/server.mjs';

const options = { timeout: 120_000 };

test('a page is bootstrapped from nothing to ready', options, async (context) => {
  const server = await startServer(context);
  const browser = server.browser();
  const { rpc, settings, viewId, state, scope } = await browser.open({ global: 'Application' });
  assert.match(browser.cookie, /^clientId=/);
  assert.equal(settings.protocol.maxInFlightPerLane, 64);
  assert.ok(Object.isFrozen(settings.protocol) && Object.isFrozen(scope.Application));
  assert.equal(rpc.welcome.viewId, viewId);
  assert.equal(typeof state.serverMessage, 'string');
  // The server has the report of the page: another tab of the same view sees it.
  const other = await browser.open();
  assert.equal(other.state.clientReady.mods.failed.length, 0);
  assert.equal(scope.sessionStorage.getItem('clientInstanceId').length, 36);
});

test('tabs of one browser share a view and work side by side', options, async (context) => {
  const server = await startServer(context);
  const browser = server.browser();
  const [left, right] = [await browser.open({ transport: 'plain' }), await browser.open({ transport: 'plain' })];
  assert.equal(left.viewId, right.viewId);
  assert.notEqual(left.rpc.welcome.tabId, right.rpc.welcome.tabId);
  for (let round = 0; round < 3; round += 1) {
    const answers = await Promise.all([left, right].map(({ rpc }) => request(rpc, 'echo', [round])));
    assert.deepEqual(answers.map(({ args }) => args), [[round], [round]]);
  }
  left.rpc.close();
  assert.ok(await request(right.rpc, 'echo'));
});

test('a plain connection that is cut is made again, in a new generation of the same tab', options, async (context) => {
  const server = await startServer(context);
  const { rpc } = await server.browser().open({ transport: 'plain' });
  const { tabId, viewId } = rpc.welcome;
  const before = rpc.generation;
  const welcome = next(rpc.onWelcome);
  server.cut();
  await welcome;
  assert.deepEqual([rpc.welcome.tabId, rpc.welcome.viewId], [tabId, viewId]);
  assert.equal(rpc.generation.num, before.num + 1);
  assert.ok(await request(rpc, 'echo'));
});

test('over a plain connection that is cut a keyed call is carried out once, and one without a key is rejected', options, async (context) => {
  const server = await startServer(context);
  const { rpc } = await server.browser().open({ transport: 'plain' });
  const keyed = request(rpc, 'countslow', ['k'], { idempotencyKey: 'kept', budgetMs: 20_000 });
  const plain = request(rpc, 'slow', [60_000], { budgetMs: 60_000 });
  await untilStats(rpc, ({ counts, slow: { started } }) => counts.k === 1 && started === 1);
  server.cut();
  await assert.rejects(plain, { code: 'DISCONNECTED' });
  assert.deepEqual(await keyed, { count: 1 });
  const { counts } = await untilStats(rpc, ({ slow: { cancelled } }) => cancelled === 1);
  assert.equal(counts.k, 1);
});

test('a subscription goes on with the same handle after a cut, and only once', options, async (context) => {
  const server = await startServer(context);
  const { rpc } = await server.browser().open({ transport: 'plain' });
  const ticks = await rpc.subscribe('conformance.ticks@1', 'x', 'none', { periodMs: 5 });
  const updates = ticks.updates();
  for (let n = 1; n <= 5; n += 1) assert.equal((await updates.next()).value.n, n);
  const welcome = next(rpc.onWelcome);
  server.cut();
  await welcome;
  let update = (await updates.next()).value;
  // What had come before the cut; then it begins anew.
  while (update.n !== 1) update = (await updates.next()).value;
  for (let n = 2; n <= 5; n += 1) assert.equal((await updates.next()).value.n, n);
  await untilStats(rpc, ({ ticksActive }) => ticksActive === 1);
});

test('over the resumable transport nothing is lost with a connection, whatever is under way', options, async (context) => {
  const server = await startServer(context);
  const { rpc } = await server.browser().open();
  assert.equal(rpc.isResumable, true);
  const before = rpc.generation;
  const ticks = await rpc.subscribe('conformance.ticks@1', 'x', 'none', { periodMs: 2 });
  const updates = ticks.updates();
  const calls = [];
  for (let round = 0; round < 5; round += 1) {
    calls.push(...Array.from({ length: 20 }, () => request(rpc, 'count', ['resumed'], { budgetMs: 20_000 })));
    calls.push(request(rpc, 'slow', [20], { budgetMs: 20_000 }));
    const up = next(rpc.onLinkChange);
    server.cut();
    await up;
    await request(rpc, 'echo', [], { budgetMs: 20_000 });
  }
  await Promise.all(calls);
  for (let n = 1; n <= 50; n += 1) assert.equal((await updates.next()).value.n, n);
  ticks.close();
  const stats = await untilStats(rpc, ({ ticksActive }) => ticksActive === 0);
  assert.deepEqual([stats.counts.resumed, stats.slow], [100, { started: 5, done: 5, cancelled: 0 }]);
  assert.deepEqual(rpc.generation, before);
});

test('calls that are made while there is no server wait for it', options, async (context) => {
  const server = await startServer(context);
  const { rpc } = await server.browser().open({ transport: 'plain' });
  const ready = next(rpc.onReadyChange);
  await server.fail();
  assert.deepEqual(await ready, [false]);
  const waiting = [request(rpc, 'count', ['offline']), request(rpc, 'count', ['offline'])];
  const emitted = rpc.emit('conformance.note@1', 'x', { offline: true });
  await server.restore();
  assert.deepEqual(await Promise.all(waiting), [{ count: 1 }, { count: 2 }]);
  assert.equal(await emitted, true);
  await untilStats(rpc, ({ notes }) => notes.length === 1);
});

for (const transport of ['plain', 'auto']) {
  test(`${transport}: calls that are made after the socket began to close are carried out over the next one`, options, async (context) => {
    const server = await startServer(context);
    const { rpc } = await server.browser().open({ transport });
    const before = rpc.generation;
    rpc.webSocket.close();
    const answer = request(rpc, 'echo', ['after']);
    const emitted = rpc.emit('conformance.note@1', 'x', { text: 'after' });
    assert.deepEqual((await answer).args, ['after']);
    assert.equal(await emitted, true);
    assert.equal(rpc.generation.num, before.num + 1);
    await untilStats(rpc, ({ notes }) => notes.length === 1);
  });

  test(`${transport}: a page is told that the server was restarted, and goes on`, options, async (context) => {
    const server = await startServer(context);
    const { rpc, viewId } = await server.browser().open({ transport });
    await rpc.subscribe('conformance.ticks@1', 'x', 'none', { periodMs: 5 });
    const restarted = next(rpc.onServerRestart);
    await server.restart();
    const [{ previousViewId, isNewView }] = await restarted;
    assert.deepEqual([previousViewId, isNewView], [viewId, true]);
    assert.ok(await request(rpc, 'echo', [], { budgetMs: 20_000 }));
    await untilStats(rpc, ({ ticksActive }) => ticksActive === 1);
  });
}

test('a page that reports again after each generation is known to be ready', options, async (context) => {
  const server = await startServer(context);
  const browser = server.browser();
  const { rpc } = await browser.open({ transport: 'plain' });
  const again = next(rpc.onClientReady);
  server.cut();
  await again;
  const other = await browser.open();
  assert.equal(other.state.clientReady.gen, rpc.generation.num);
});
