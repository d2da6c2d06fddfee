import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RpcError } from '../../rpc/index.js';
import { next, request, startServer, untilStats } from './support/server.mjs';

const options = { timeout: 120_000 };

for (const transport of ['plain', 'auto']) {
  const open = async (context) => (await (await startServer(context)).browser().open({ transport })).rpc;

  test(`${transport}: a request is answered with what was sent`, options, async (context) => {
    const rpc = await open(context);
    assert.equal(rpc.isResumable, transport === 'auto');
    const invocation = { route: 'conformance.echo@1', path: 'some.path', args: [1, 'two', [3]] };
    const expected = { args: [1, 'two', [3]], payload: { a: { b: null } }, path: 'some.path' };
    assert.deepEqual(await rpc.request(invocation, { a: { b: null } }), expected);
    assert.deepEqual((await rpc.capability('conformance.echo@1').call('x', { text: 'é' })).payload, { text: 'é' });
  });

  test(`${transport}: an error comes with its code, and whether it is worth to try again`, options, async (context) => {
    const rpc = await open(context);
    const errors = [
      ['fail', 'CONFORMANCE_FAIL', true],
      ['boom', 'INTERNAL_ERROR', false],
      ['denied', 'PERMISSION_DENIED', false],
      ['nothing', 'CAPABILITY_NOT_FOUND', false],
    ];
    for (const [name, code, retryable] of errors) {
      const error = await request(rpc, name).catch((error) => error);
      assert.ok(error instanceof RpcError);
      assert.deepEqual([error.code, error.retryable], [code, retryable]);
      assert.ok(error.message.length > 0);
    }
  });

  test(`${transport}: aborting settles at once and stops the work`, options, async (context) => {
    const rpc = await open(context);
    const abort = new AbortController();
    const slow = request(rpc, 'slow', [60_000], { budgetMs: 60_000, signal: abort.signal });
    await untilStats(rpc, ({ slow: { started } }) => started === 1);
    abort.abort();
    await assert.rejects(slow);
    await untilStats(rpc, ({ slow: { cancelled } }) => cancelled === 1);
  });

  test(`${transport}: what takes longer than its budget times out and is stopped`, options, async (context) => {
    const rpc = await open(context);
    await assert.rejects(request(rpc, 'slow', [60_000], { budgetMs: 50 }), (error) => ['TIMEOUT', 'REQUEST_TIMEOUT'].includes(error.code));
    await untilStats(rpc, ({ slow: { cancelled } }) => cancelled === 1);
  });

  test(`${transport}: an event arrives`, options, async (context) => {
    const rpc = await open(context);
    assert.equal(await rpc.emit('conformance.note@1', 'x', { text: 'noted' }), true);
    await untilStats(rpc, ({ notes }) => notes.length === 1 && notes[0].text === 'noted');
  });

  test(`${transport}: a subscription counts until it is closed`, options, async (context) => {
    const rpc = await open(context);
    const ticks = await rpc.subscribe('conformance.ticks@1', 'x', 'none', { periodMs: 2 });
    let expected = 1;
    for await (const { n } of ticks) {
      assert.equal(n, expected);
      expected += 1;
      if (n === 20) break;
    }
    assert.equal(ticks.isActive, false);
    await untilStats(rpc, ({ ticksActive }) => ticksActive === 0);
  });

  test(`${transport}: objects are read, set, called and seen whole`, options, async (context) => {
    const rpc = await open(context);
    const object = rpc.object('conformance.obj');
    assert.deepEqual(await object.get('title'), { value: 'An object', version: 0 });
    assert.deepEqual(await object.set('title', 'New'), { ok: true, version: 1 });
    assert.deepEqual(await object.call('add', [20, 22]), { result: 42, version: 2 });
    assert.deepEqual((await object.snapshot()).state, { title: 'New', items: [1, 2, 3] });
    await assert.rejects(object.call('secret'), { code: 'OBJECT_ERROR' });
  });

  test(`${transport}: the server calls, tells and subscribes to what the page exposes`, options, async (context) => {
    const rpc = await open(context);
    const called = new Promise((resolve) => {
      rpc.expose('page.call@1', { call: (path, args, { id }) => resolve({ path, args, id }) });
    });
    const { sent } = await request(rpc, 'callback', ['request', 'page.call@1', 'show', ['hi']]);
    assert.deepEqual(await called, { path: 'show', args: ['hi'], id: sent });

    const told = new Promise((resolve) => {
      rpc.expose('page.note@1', { emit: (path, payload) => resolve({ path, payload }) });
    });
    await request(rpc, 'callback', ['emit', 'page.note@1', 'x', { text: 'hi' }]);
    assert.deepEqual(await told, { path: 'x', payload: { text: 'hi' } });

    const subscribed = new Promise((resolve) => {
      rpc.expose('page.clock@1', {
        subscribe: (path, payload, { push, end }) => {
          push({ n: 1 });
          end({ n: 2 });
          resolve(payload);
        },
      });
    });
    await request(rpc, 'callback', ['subscribe', 'page.clock@1', 'x', { zone: 'UTC' }]);
    assert.deepEqual(await subscribed, { zone: 'UTC' });
    // What is not exposed is an error to the server, and nothing to the page.
    await request(rpc, 'callback', ['request', 'page.nothing@1', 'x', []]);
    assert.ok(await request(rpc, 'echo'));
  });

  test(`${transport}: calls with the same key are one call`, options, async (context) => {
    const rpc = await open(context);
    const once = () => request(rpc, 'countslow', ['k'], { idempotencyKey: 'once' });
    assert.deepEqual(await Promise.all([once(), once(), once()]), Array(3).fill({ count: 1 }));
    assert.deepEqual(await once(), { count: 1 });
    assert.deepEqual(await request(rpc, 'count', ['k']), { count: 2 });
  });

  test(`${transport}: more calls than a lane carries out wait, and all are answered in order`, options, async (context) => {
    const rpc = await open(context);
    const calls = Array.from({ length: 500 }, () => request(rpc, 'count', ['many']));
    const counts = (await Promise.all(calls)).map(({ count }) => count);
    assert.deepEqual(counts.toSorted((a, b) => a - b), Array.from({ length: 500 }, (_, at) => at + 1));
  });

  test(`${transport}: a lane that is full of slow calls does not hold up another`, options, async (context) => {
    const rpc = await open(context);
    const abort = new AbortController();
    const slow = Array.from({ length: 200 }, () => request(rpc, 'slow', [60_000], { budgetMs: 60_000, signal: abort.signal }));
    assert.ok(await request(rpc, 'echo'));
    abort.abort();
    await Promise.allSettled(slow);
    await untilStats(rpc, ({ slow: { started, done, cancelled } }) => done === 0 && started === cancelled);
  });

  test(`${transport}: a call that is too large is rejected and the connection goes on`, options, async (context) => {
    const rpc = await open(context);
    const large = rpc.request({ route: 'conformance.echo@1', path: 'x' }, { text: 'é'.repeat(600_000) });
    await assert.rejects(large, { code: 'FRAME_TOO_LARGE' });
    assert.ok(await request(rpc, 'echo'));
  });
}

test('calls that are made before the welcome wait for it', options, async (context) => {
  const server = await startServer(context);
  const rpc = await server.browser().connect({ transport: 'plain' });
  assert.equal(rpc.isReady, false);
  assert.deepEqual((await request(rpc, 'echo', ['early'])).args, ['early']);
});

test('a client that is closed rejects what is under way and leaves nothing behind', options, async (context) => {
  const server = await startServer(context);
  const { rpc } = await server.browser().open({ transport: 'plain' });
  const other = (await server.browser().open()).rpc;
  await rpc.subscribe('conformance.ticks@1', 'x', 'none', { periodMs: 5 });
  const slow = request(rpc, 'slow', [60_000], { budgetMs: 60_000 });
  await untilStats(other, ({ ticksActive, slow: { started } }) => ticksActive === 1 && started === 1);
  const ready = next(rpc.onReadyChange);
  rpc.close();
  await assert.rejects(slow, { code: 'CLOSED' });
  assert.deepEqual(await ready, [false]);
  await untilStats(other, ({ ticksActive, slow: { cancelled } }) => ticksActive === 0 && cancelled === 1);
});
