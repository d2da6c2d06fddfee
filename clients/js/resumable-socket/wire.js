/**
 * The control messages of `chartroom.resume.v1`: what they look like on a link. See docs/resume-protocol.md.
 */

/** The subprotocol's name in the opening handshake of the WebSocket. */
export const PROTOCOL = 'chartroom.resume.v1';

/** U+0010, *data link escape*: the first character of every control message. */
const ESCAPE = '\u0010';

export const HEARTBEAT = ESCAPE + '?';
export const HEARTBEAT_ANSWER = ESCAPE + '!';

/** The peer did something that the protocol does not allow; the stream cannot go on. */
export class ProtocolError extends Error {}

/**
 * What a client presents to resume a stream.
 * @typedef {object} Resumption
 * @property {string} stream the stream's name
 * @property {string} secret proves that this client opened the stream
 * @property {string} epoch of the last welcome
 * @property {number} received messages of the server that this client has taken, modulo 2^32
 * @property {number} acknowledged the highest count that the server has acknowledged, modulo 2^32
 * @property {number} attempt higher in every hello for this stream, so that the server knows one that was held up
 */

/**
 * How the server takes a client in.
 * @typedef {object} Welcome
 * @property {string} stream
 * @property {string} [secret] only when the stream is new
 * @property {string} epoch names the life of the server process
 * @property {boolean} resumed whether the stream goes on
 * @property {number} received messages of this client that the server has taken, modulo 2^32
 * @property {number} retention seconds for which a stream without a link is kept
 * @property {number} liveness seconds of silence after which a link is given up
 * @property {number} limit bytes of unacknowledged messages to keep
 */

/**
 * Why the server does not take a client in.
 * @typedef {object} Refusal
 * @property {string} reason `unknown`, `gap` or `stopping`
 * @property {string} message a sentence for people
 */

/**
 * What a text message from the server is.
 * @typedef {{kind: 'text', text: string}
 *   | {kind: 'skip', count: number}
 *   | {kind: 'acknowledge', count: number}
 *   | {kind: 'heartbeat'}
 *   | {kind: 'answer'}
 *   | {kind: 'welcome', welcome: Welcome}
 *   | {kind: 'refused', refusal: Refusal}} Received
 */

/**
 * A text message of the application as it goes over a link.
 * @param {string} text
 */
export function escapeText(text) {
  return text.startsWith(ESCAPE) ? ESCAPE + '=' + text : text;
}

/** @param {number} count messages taken in all, modulo 2^32 */
export function acknowledgement(count) {
  return ESCAPE + '+' + count;
}

/** @param {Resumption} [resumption] without it, a new stream is asked for */
export function hello(resumption) {
  return ESCAPE + JSON.stringify({ hello: resumption ?? {} });
}

/**
 * Reads a text message of the server.
 * @param {string} text
 * @returns {Received}
 * @throws {ProtocolError} if it is no message of this protocol
 */
export function read(text) {
  if (!text.startsWith(ESCAPE)) return { kind: 'text', text };
  const rest = text.slice(2);
  switch (text[1]) {
    case '=':
      if (!rest.startsWith(ESCAPE)) throw new ProtocolError('A text message was escaped without need.');
      return { kind: 'text', text: rest };
    case '~': {
      const count = readCount(rest);
      if (count === 0 || count >= 2 ** 31) throw new ProtocolError('A skip is of none or too many messages.');
      return { kind: 'skip', count };
    }
    case '+':
      return { kind: 'acknowledge', count: readCount(rest) };
    case '?':
      if (rest === '') return { kind: 'heartbeat' };
      break;
    case '!':
      if (rest === '') return { kind: 'answer' };
      break;
    case '{':
      return readHandshake(text.slice(1));
  }
  throw new ProtocolError('An unknown control message was received.');
}

/** @param {string} digits */
function readCount(digits) {
  const count = /^(0|[1-9][0-9]{0,9})$/.test(digits) ? Number(digits) : NaN;
  if (isCount(count)) return count;
  throw new ProtocolError('A count is not a decimal number of 32 bits.');
}

/**
 * @param {string} json
 * @returns {Received}
 */
function readHandshake(json) {
  let message;
  try {
    message = JSON.parse(json);
  } catch {
    throw new ProtocolError('A handshake is not JSON.');
  }
  const { welcome, refused } = message;
  if (isWelcome(welcome)) return { kind: 'welcome', welcome };
  if (typeof refused?.reason === 'string') {
    return { kind: 'refused', refusal: { reason: refused.reason, message: String(refused.message ?? '') } };
  }
  throw new ProtocolError('A handshake is neither a welcome nor a refusal, or lacks a member.');
}

/**
 * @param {any} value
 * @returns {value is Welcome}
 */
function isWelcome(value) {
  return (
    typeof value?.stream === 'string' &&
    typeof value.epoch === 'string' &&
    typeof value.resumed === 'boolean' &&
    (value.resumed || typeof value.secret === 'string') &&
    isCount(value.received) &&
    // A server may be set not to keep streams without a link at all.
    (value.retention === 0 || isPositive(value.retention)) &&
    isPositive(value.liveness) &&
    isPositive(value.limit)
  );
}

/** @param {unknown} value */
function isCount(value) {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 32;
}

/** @param {unknown} value */
function isPositive(value) {
  return Number.isFinite(value) && Number(value) > 0;
}
