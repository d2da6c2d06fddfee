import assert from 'node:assert/strict';
import { test } from 'node:test';

import { describe, ruleOf } from '../rules.js';

test('a rule is read as a sentence', () => {
  const cases = [
    [{ action: 'drop' }, 'Messages: not logged.'],
    [{ match: { type: 'request', direction: 'in' }, action: { log: { level: 'info' } } }, 'Received messages of type request: logged as info.'],
    [
      { match: { capability: ['a@*', 'b@1'], minBytes: 2048, maxBytes: 4096 }, action: { sample: { rate: 0.1 } } },
      'Messages of a@* or b@1 of at least 2.00 KiB of at most 4.00 KiB: one of 10 logged.',
    ],
    [
      { match: { direction: 'out', lane: 'sys' }, action: { redact: { fields: ['payload.a', 'args'], level: 'debug' } } },
      'Sent messages in lane sys: logged as debug without payload.a, args.',
    ],
  ];
  for (const [rule, words] of cases) assert.equal(describe(rule), words);
});

test('a form makes a rule in which only what was filled in is asked for', () => {
  const empty = { type: '', lane: ' ', capability: '', direction: '', minBytes: '', maxBytes: '', level: 'debug', rate: '0.1', fields: '' };
  assert.deepEqual(ruleOf({ ...empty, action: 'drop' }), { match: {}, action: 'drop' });
  assert.deepEqual(ruleOf({ ...empty, type: 'error', direction: 'out', minBytes: '10', action: 'log', level: 'warn' }), {
    match: { type: 'error', direction: 'out', minBytes: 10 },
    action: { log: { level: 'warn' } },
  });
  assert.deepEqual(ruleOf({ ...empty, action: 'sample' }).action, { sample: { rate: 0.1, level: 'debug' } });
  assert.deepEqual(ruleOf({ ...empty, action: 'redact', fields: 'payload.a, args' }).action, {
    redact: { fields: ['payload.a', 'args'], level: 'debug' },
  });
});
