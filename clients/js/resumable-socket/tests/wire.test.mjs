import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ProtocolError, acknowledgement, escapeText, hello, read } from '../wire.js';

const DLE = '\u0010';
const welcome = {
  stream: 's',
  secret: 'x',
  epoch: 'e',
  resumed: false,
  received: 90,
  retention: 3600,
  liveness: 30,
  limit: 8388608,
};

test('text of the application is left as it is unless it begins with the escape', () => {
  for (const text of ['', 'PING', '{"hello":{}}', `a${DLE}+1`]) {
    assert.equal(escapeText(text), text);
    assert.deepEqual(read(text), { kind: 'text', text });
  }
});

test('text that begins with the escape goes and comes escaped', () => {
  for (const text of [DLE, `${DLE}+1`, `${DLE}=${DLE}`, `${DLE}{`]) {
    assert.equal(escapeText(text), `${DLE}=${text}`);
    assert.deepEqual(read(escapeText(text)), { kind: 'text', text });
  }
});

test('control messages are read', () => {
  assert.deepEqual(read(`${DLE}~3`), { kind: 'skip', count: 3 });
  assert.deepEqual(read(`${DLE}+0`), { kind: 'acknowledge', count: 0 });
  assert.deepEqual(read(`${DLE}+4294967295`), { kind: 'acknowledge', count: 2 ** 32 - 1 });
  assert.deepEqual(read(`${DLE}?`), { kind: 'heartbeat' });
  assert.deepEqual(read(`${DLE}!`), { kind: 'answer' });
  assert.deepEqual(read(DLE + JSON.stringify({ welcome })), { kind: 'welcome', welcome });
  assert.deepEqual(read(`${DLE}{"refused":{"reason":"gap","message":"Gone."}}`), {
    kind: 'refused',
    refusal: { reason: 'gap', message: 'Gone.' },
  });
});

test('control messages are written', () => {
  assert.equal(acknowledgement(12), `${DLE}+12`);
  assert.equal(hello(), `${DLE}{"hello":{}}`);
  const resumption = { stream: 's', secret: 'x', epoch: 'e', received: 1, acknowledged: 2, attempt: 3 };
  assert.equal(
    hello(resumption),
    `${DLE}{"hello":{"stream":"s","secret":"x","epoch":"e","received":1,"acknowledged":2,"attempt":3}}`,
  );
});

test('unknown members of a welcome are passed over', () => {
  assert.equal(read(DLE + JSON.stringify({ welcome: { ...welcome, more: 1 }, other: {} })).kind, 'welcome');
});

test('whatever else begins with the escape is a protocol error', () => {
  const wrong = ['', '+', '+-1', '+01', '+1 ', '+1.0', '+1e3', '+4294967296', '+99999999999', '~0', '~', '~2147483648', '?x', '!!'];
  wrong.push('=', '=text', 'x', '{', '{}', '{"welcome":{}}', '{"refused":{}}', '{"welcome":null}', '{"hello":{}}');
  for (const rest of wrong) assert.throws(() => read(DLE + rest), ProtocolError, rest);
});

test('a welcome that lacks a member, or has it with another type, is a protocol error', () => {
  const change = (name, value) => DLE + JSON.stringify({ welcome: { ...welcome, [name]: value } });
  for (const name of Object.keys(welcome)) assert.throws(() => read(change(name, undefined)), ProtocolError, name);
  for (const [name, value] of [['received', -1], ['received', 1.5], ['received', 2 ** 32], ['received', '1']]) {
    assert.throws(() => read(change(name, value)), ProtocolError);
  }
  for (const name of ['liveness', 'limit']) assert.throws(() => read(change(name, 0)), ProtocolError);
  assert.throws(() => read(change('retention', -1)), ProtocolError);
  assert.equal(read(change('retention', 0)).kind, 'welcome');
});

test('a welcome of a stream that goes on has no secret', () => {
  const resumed = { ...welcome, resumed: true, secret: undefined };
  assert.equal(read(DLE + JSON.stringify({ welcome: resumed })).kind, 'welcome');
});
