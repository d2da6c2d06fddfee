/**
 * Which messages are written on the console, and what of them: the same rules as the server's, in the same order of
 * precedence. `docs/rpc.md` describes them.
 */

import { callSafely } from './emitter.js';
import { utf8Length } from '../resumable-socket/address.js';
import { laneOf } from './envelope.js';

/** @import { Frame } from './envelope.js' */

/**
 * @typedef {'error' | 'warn' | 'info' | 'debug' | 'trace'} Level
 * @typedef {'in' | 'out'} Direction
 */

/**
 * What a message must be for a rule to decide about it; in texts, `*` stands for anything.
 * @typedef {object} Match
 * @property {string | string[]} [type]
 * @property {string | string[]} [lane]
 * @property {string | string[]} [capability]
 * @property {Direction} [direction]
 * @property {number} [minBytes]
 * @property {number} [maxBytes]
 */

/**
 * @typedef {'drop' | {log: {level?: Level}} | {sample: {rate: number, level?: Level}} |
 *   {redact: {fields: string[], level?: Level}}} Action
 */

/**
 * The first rule that matches decides; if none does, the default.
 * @typedef {object} RuleSet
 * @property {{match?: Match, action: Action}[]} [rules]
 * @property {Action} [default] `drop` if it is not given
 */

/**
 * @typedef {object} Facts
 * @property {string} type
 * @property {string} lane
 * @property {string | undefined} capability
 * @property {Direction} direction
 * @property {number} bytes
 * @property {string} exchange the id that a message and its answers share
 */

/**
 * What the rules ask about a message.
 * @param {any} message an object, or its JSON
 * @param {{direction?: Direction, bytes?: number}} [known]
 * @returns {Facts}
 */
export function normalizeMessage(message, { direction = 'in', bytes } = {}) {
  const text = () => (typeof message === 'string' ? message : JSON.stringify(message));
  /** @type {Frame} */
  const { type, id = '', correlatesTo, route, lane } = typeof message === 'string' ? JSON.parse(message) : message;
  return {
    type,
    lane: laneOf(route, lane),
    capability: route?.capability?.trim() || undefined,
    direction,
    bytes: bytes ?? utf8Length(text()),
    exchange: correlatesTo ?? id,
  };
}

/** @type {Record<string, (left: any, right: any) => boolean>} */
const OPERATORS = {
  like: (left, right) => left !== undefined && [right].flat().some((pattern) => isLike(`${left}`, `${pattern}`)),
  matches: (left, right) => left !== undefined && new RegExp(right).test(left),
  exists: (left) => (left ?? null) !== null,
  notExists: (left) => (left ?? null) === null,
  in: (left, right) => right.includes(left),
  notIn: (left, right) => !right.includes(left),
  equals: (left, right) => left === right,
  '==': (left, right) => left === right,
  notEquals: (left, right) => left !== right,
  '!=': (left, right) => left !== right,
  lt: (left, right) => left < right,
  '<': (left, right) => left < right,
  lte: (left, right) => left <= right,
  '<=': (left, right) => left <= right,
  gt: (left, right) => left > right,
  '>': (left, right) => left > right,
  gte: (left, right) => left >= right,
  '>=': (left, right) => left >= right,
};

/**
 * Compares what a message has with what a rule wants.
 * @param {any} left
 * @param {string} op `like` (a pattern, or a list of them), `matches` (a regular expression), `exists`, `notExists`, `in`,
 * `notIn`, `equals` or `==`, `notEquals` or `!=`, `lt` or `<`, `lte` or `<=`, `gt` or `>`, `gte` or `>=`
 * @param {any} [right]
 * @returns {boolean} false for another one
 */
export function evaluateOp(left, op, right) {
  const operator = Object.hasOwn(OPERATORS, op) && OPERATORS[op];
  return operator ? operator(left, right) : false;
}

/** Which fact each part of a match is about, and how they are compared. */
const COMPARISONS = /** @type {const} */ ({
  type: ['type', 'like'],
  lane: ['lane', 'like'],
  capability: ['capability', 'like'],
  direction: ['direction', '=='],
  minBytes: ['bytes', '>='],
  maxBytes: ['bytes', '<='],
});

/**
 * @param {RuleSet | null | undefined} rules
 * @param {Facts} facts
 * @returns {{level: Level, fields: string[]} | undefined} nothing if the message is not to be written
 */
export function decide(rules, facts) {
  if (!rules) return undefined;
  const rule = (rules.rules ?? []).find(({ match = {} }) =>
    Object.entries(COMPARISONS).every(([key, [fact, op]]) => {
      const wanted = match[/** @type {keyof Match} */ (key)];
      return wanted === undefined || evaluateOp(facts[fact], op, wanted);
    }),
  );
  const action = (rule ? rule.action : rules.default) ?? 'drop';
  if (action === 'drop') return undefined;
  // Whatever the action is called: what it has no say in is as usual.
  const [settings = {}] = /** @type {{level?: Level, fields?: string[], rate?: number}[]} */ (Object.values(action));
  const { level = 'debug', fields = [], rate = 1 } = settings;
  return position(facts.exchange) < rate ? { level, fields } : undefined;
}

/**
 * @param {any} message
 * @param {RuleSet | null | undefined} cfg
 * @param {{direction?: Direction, bytes?: number}} [known]
 * @returns {boolean} whether the rules want it to be written
 */
export function shouldLogRPCMessage(message, cfg, known) {
  return cfg ? decide(cfg, normalizeMessage(message, known)) !== undefined : false;
}

/**
 * A copy of a message in which some fields do not tell what they hold.
 * @template T
 * @param {T} value
 * @param {string[]} fields paths with dots; `*` is every field, or every element
 * @returns {T}
 */
export function redact(value, fields) {
  return fields.reduce((copy, path) => replace(copy, path.split('.')), value);
}

/**
 * @param {any} value
 * @param {string[]} path
 * @returns {any}
 */
function replace(value, [name = '', ...rest]) {
  if (typeof value !== 'object' || value === null) return value;
  const copy = Array.isArray(value) ? [...value] : { ...value };
  for (const key of name === '*' ? Object.keys(copy) : [name]) {
    if (Object.hasOwn(copy, key)) copy[key] = rest.length > 0 ? replace(copy[key], rest) : '[redacted]';
  }
  return copy;
}

/**
 * Writes a message on the console if the rules want it: `debug.frontend.rpc.incomingMessages`, and `outgoingMessages`.
 * @param {any} settings
 * @param {Direction} direction
 * @param {unknown} text
 */
export function logFrame(settings, direction, text) {
  const cfg = settings.debug?.frontend?.rpc?.[direction === 'in' ? 'incomingMessages' : 'outgoingMessages'];
  if (!cfg || typeof text !== 'string') return;
  // Rules that are wrong must not keep messages from passing.
  callSafely(() => {
    const frame = JSON.parse(text);
    const decision = decide(cfg, normalizeMessage(frame, { direction, bytes: utf8Length(text) }));
    // The console's own trace() writes where it was called.
    if (decision) console[decision.level === 'trace' ? 'debug' : decision.level](`rpc ${direction}`, redact(frame, decision.fields));
  });
}

/**
 * @param {string} text
 * @param {string} pattern
 */
function isLike(text, pattern) {
  const [first = '', ...pieces] = pattern.split('*');
  const last = pieces.pop();
  if (last === undefined) return text === pattern;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  // Each piece where it is found first leaves the most for those that follow.
  for (const piece of pieces) {
    const found = text.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return text.slice(at).endsWith(last);
}

/**
 * Where an id lies between 0 and 1, as by chance, but always at the same place and the same as on the server: FNV-1a of 32
 * bits (http://www.isthe.com/chongo/tech/comp/fnv), mixed by the last step of MurmurHash3 (`fmix32`).
 * @param {string} id
 */
function position(id) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(id)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
