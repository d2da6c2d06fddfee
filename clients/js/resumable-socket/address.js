/**
 * The rules for the arguments of WebSocket's constructor and of close(): https://websockets.spec.whatwg.org/
 */

/**
 * The URL of a socket.
 * @param {string | URL} url absolute or relative; http and https stand for ws and wss
 * @param {string | undefined} base
 * @returns {URL}
 * @throws {DOMException} SyntaxError
 */
export function parseUrl(url, base) {
  let parsed;
  try {
    parsed = new URL(url, base);
  } catch {
    throw new DOMException(`The URL '${url}' is invalid.`, 'SyntaxError');
  }
  // A URL's scheme can be changed between http and ws: all of them are "special" and have hosts.
  if (parsed.protocol === 'http:') parsed.protocol = 'ws:';
  if (parsed.protocol === 'https:') parsed.protocol = 'wss:';
  if (parsed.protocol !== 'ws:' && parsed.protocol !== 'wss:') {
    throw new DOMException(`The URL's scheme '${parsed.protocol}' is none of ws, wss, http and https.`, 'SyntaxError');
  }
  // Not `hash`, which does not tell an empty fragment from none.
  if (parsed.href.includes('#')) {
    throw new DOMException(`The URL '${url}' has a fragment, which a WebSocket's must not.`, 'SyntaxError');
  }
  return parsed;
}

/**
 * The subprotocols that a page asks for.
 * @param {string | Iterable<string> | undefined} protocols
 * @returns {string[]}
 * @throws {DOMException} SyntaxError
 */
export function parseProtocols(protocols = []) {
  const names = isIterableObject(protocols) ? Array.from(protocols, (name) => `${name}`) : [`${protocols}`];
  for (const name of names) {
    // A token of RFC 9110, section 5.6.2.
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) {
      throw new DOMException(`The subprotocol '${name}' is invalid.`, 'SyntaxError');
    }
  }
  if (new Set(names.map((name) => name.toLowerCase())).size !== names.length) {
    throw new DOMException('A subprotocol is named twice.', 'SyntaxError');
  }
  return names;
}

/**
 * @param {unknown} value
 * @returns {value is Iterable<unknown>}
 */
function isIterableObject(value) {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}

/**
 * The arguments of close().
 * @param {unknown} code
 * @param {unknown} reason
 * @returns {{code: number | undefined, reason: string}}
 * @throws {DOMException} InvalidAccessError or SyntaxError
 */
export function parseClose(code, reason) {
  // Web IDL's [Clamp] unsigned short.
  const number = code === undefined ? undefined : Math.round(Math.min(Math.max(Number(code) || 0, 0), 65535));
  if (number !== undefined && number !== 1000 && (number < 3000 || number > 4999)) {
    throw new DOMException(`The code ${number} is neither 1000 nor between 3000 and 4999.`, 'InvalidAccessError');
  }
  const text = reason === undefined ? '' : `${reason}`;
  if (utf8Length(text) > 123) {
    throw new DOMException('The reason is longer than 123 bytes.', 'SyntaxError');
  }
  return { code: number, reason: text };
}

/**
 * The length of a string in UTF-8, without encoding it; lone surrogates count as U+FFFD, as which they are sent.
 * @param {string} text
 */
export function utf8Length(text) {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    length += unit < 0x800 ? 1 : 2;
    // A surrogate pair is two units and four bytes.
    const isPair = unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00;
    if (isPair) i++;
  }
  return length;
}
