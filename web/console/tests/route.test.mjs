import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fragment, join, parse, trail, withoutToken } from '../route.js';

const VIEWS = ['sessions', 'files'];

test('a route is the same after a way through the address', () => {
  const parameters = { directory: 'a b/c&d', file: '100% #1?.fits' };
  assert.deepEqual(parse(fragment('files', parameters), VIEWS), { view: 'files', parameters });
  assert.equal(fragment('files', { directory: '', file: undefined }), '#files');
});

test('no view or an unknown one is the first', () => {
  for (const text of ['', '#', '#nothing?file=a']) {
    assert.deepEqual(parse(text, VIEWS), { view: 'sessions', parameters: {} });
  }
});

test('the way to a folder has a step for each folder', () => {
  assert.deepEqual(trail('a/b'), [
    { name: 'a', directory: 'a' },
    { name: 'b', directory: 'a/b' },
  ]);
  for (const top of ['', '.', '/']) assert.deepEqual(trail(top), []);
  assert.equal(join('', 'a'), 'a');
  assert.equal(join('a/b', 'c'), 'a/b/c');
});

test('the token is taken out of the address, and nothing else', () => {
  assert.deepEqual(withoutToken('http://h:1/console/?a=1&token=t%20t#files?file=x'), {
    address: 'http://h:1/console/?a=1#files?file=x',
    token: 't t',
  });
  assert.deepEqual(withoutToken('http://h/console/'), { address: 'http://h/console/', token: undefined });
  assert.equal(withoutToken('http://h/?token=').token, undefined);
});
