// Chartroom's resumable WebSocket; made by clients/js/build.mjs. MIT OR Apache-2.0
(() => {
'use strict';
const environment = (() => {
function environmentOf(scope) {
  return {
    WebSocket: scope.WebSocket,
    now: () => Date.now(),
    setTimeout: (action, milliseconds) => scope.setTimeout(action, milliseconds),
    clearTimeout: (timer) => scope.clearTimeout(timer),
    random: () => Math.random(),
    base: () => scope.document?.baseURI ?? scope.location?.href,
    observe: (moments) => observe(scope, moments),
  };
}
function observe(scope, { wake, leave }) {
  const { document } = scope;
  const wakeIfVisible = () => {
    if (document.visibilityState === 'visible') wake();
  };
  const listeners = [
    [scope.window, 'online', wake],
    [scope.window, 'pageshow', wake],
    [scope.window, 'pagehide', leave],
    [document, 'visibilitychange', wakeIfVisible],
    [document, 'resume', wake],
  ];
  for (const [target, type, listener] of listeners) target?.addEventListener(type, listener);
  return () => {
    for (const [target, type, listener] of listeners) target?.removeEventListener(type, listener);
  };
}
return { environmentOf };
})();
const mark = (() => {
const DELAY = 1000;
const TEXT = 'Reconnecting \u2026';
const STYLE = `
:host {
  all: initial;
  position: fixed;
  right: 12px;
  bottom: 12px;
  z-index: 2147483647;
  pointer-events: none;
}
[role='status']:empty { display: none; }
[role='status'] {
  display: flex;
  align-items: center;
  gap: 7px;
  padding: 5px 12px 5px 10px;
  border-radius: 999px;
  font: 500 12px/1.4 system-ui, sans-serif;
  color: #1c2127;
  background: #ffffffeb;
  box-shadow: 0 0 0 1px #11141826, 0 2px 8px #11141833;
}
[role='status']::before {
  content: '';
  width: 7px;
  height: 7px;
  border-radius: 50%;
  background: #c87619;
}
@media (prefers-color-scheme: dark) {
  [role='status'] { color: #f6f7f9; background: #252a31eb; box-shadow: 0 0 0 1px #ffffff33, 0 2px 8px #11141866; }
  [role='status']::before { background: #ec9a3c; }
}
@media (prefers-reduced-motion: no-preference) {
  [role='status']::before { animation: pulse 1.6s ease-in-out infinite; }
  @keyframes pulse { 50% { opacity: 0.25; } }
}
@media print { :host { display: none; } }
`;
class Mark {
  #window;
  #waiting = new Set();
  #host;
  #timer;
  constructor(window) {
    this.#window = window;
  }
  watch(socket) {
    socket.addEventListener('linkdown', () => this.#add(socket));
    socket.addEventListener('linkup', () => this.#remove(socket));
    socket.addEventListener('close', () => this.#remove(socket));
  }
  #add(socket) {
    this.#waiting.add(socket);
    if (this.#host) return;
    const { host, status } = this.#build();
    this.#host = host;
    this.#timer = this.#window.setTimeout(() => (status.textContent = TEXT), DELAY);
  }
  #remove(socket) {
    this.#waiting.delete(socket);
    if (this.#waiting.size > 0) return;
    this.#window.clearTimeout(this.#timer);
    this.#host?.remove();
    this.#host = undefined;
  }
  #build() {
    const { document, CSSStyleSheet } = this.#window;
    const host = document.createElement('chartroom-mark');
    const root = host.attachShadow({ mode: 'open' });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    const status = document.createElement('div');
    status.setAttribute('role', 'status');
    status.setAttribute('aria-live', 'polite');
    root.append(status);
    document.documentElement.append(host);
    return { host, status };
  }
}
return { Mark };
})();
const address = (() => {
function parseUrl(url, base) {
  let parsed;
  try {
    parsed = new URL(url, base);
  } catch {
    throw new DOMException(`The URL '${url}' is invalid.`, 'SyntaxError');
  }
  if (parsed.protocol === 'http:') parsed.protocol = 'ws:';
  if (parsed.protocol === 'https:') parsed.protocol = 'wss:';
  if (parsed.protocol !== 'ws:' && parsed.protocol !== 'wss:') {
    throw new DOMException(`The URL's scheme '${parsed.protocol}' is none of ws, wss, http and https.`, 'SyntaxError');
  }
  if (parsed.href.includes('#')) {
    throw new DOMException(`The URL '${url}' has a fragment, which a WebSocket's must not.`, 'SyntaxError');
  }
  return parsed;
}
function parseProtocols(protocols = []) {
  const names = isIterableObject(protocols) ? Array.from(protocols, (name) => `${name}`) : [`${protocols}`];
  for (const name of names) {
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) {
      throw new DOMException(`The subprotocol '${name}' is invalid.`, 'SyntaxError');
    }
  }
  if (new Set(names.map((name) => name.toLowerCase())).size !== names.length) {
    throw new DOMException('A subprotocol is named twice.', 'SyntaxError');
  }
  return names;
}
function isIterableObject(value) {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}
function parseClose(code, reason) {
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
function utf8Length(text) {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    length += unit < 0x800 ? 1 : 2;
    const isPair = unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00;
    if (isPair) i++;
  }
  return length;
}
return { parseUrl, parseProtocols, parseClose, utf8Length };
})();
const backoff = (() => {
const BASE = 250;
const LONGEST = 5000;
function delay(attempt, random) {
  return random() * Math.min(LONGEST, BASE * 2 ** attempt);
}
return { delay };
})();
const liveness = (() => {
const PATIENCE = 10_000;
const DOUBT = 2_000;
const PULSE = 2_000;
const LATE = 3_000;
class Liveness {
  #liveness;
  #patience;
  #doubt;
  #heard;
  #lastLook;
  #planned;
  #deadline;
  #heldUp = false;
  constructor(seconds, now, indulgence = 1) {
    this.#liveness = seconds * 1000;
    this.#patience = Math.min(PATIENCE, (this.#liveness * 2) / 3) * indulgence;
    this.#doubt = DOUBT * indulgence;
    this.#heard = now;
    this.#lastLook = now;
    this.#planned = this.#plan(now);
  }
  get planned() {
    return this.#planned;
  }
  heard(now) {
    this.#heard = now;
    this.#deadline = undefined;
    this.#heldUp = false;
  }
  doubt(now) {
    this.#deadline = Math.min(this.#deadline ?? Infinity, now + this.#doubt);
    this.#planned = this.#plan(now);
  }
  look(now) {
    if (now < this.#lastLook) this.heard(now);
    this.#lastLook = now;
    const late = now - this.#planned > LATE;
    const verdict = this.#judge(now, late);
    this.#planned = this.#plan(now);
    return verdict;
  }
  #judge(now, late) {
    if (late && !this.#heldUp) {
      this.#heldUp = true;
      this.#deadline = now + this.#doubt;
      return 'ask';
    }
    if (this.#deadline !== undefined) return now < this.#deadline ? 'alive' : 'dead';
    if (now - this.#heard < this.#liveness / 3) return 'alive';
    this.#deadline = now + this.#patience;
    return 'ask';
  }
  #plan(now) {
    return Math.min(this.#deadline ?? this.#heard + this.#liveness / 3, now + PULSE);
  }
}
return { Liveness };
})();
const wire = (() => {
const PROTOCOL = 'chartroom.resume.v1';
const ESCAPE = '\u0010';
const HEARTBEAT = ESCAPE + '?';
const HEARTBEAT_ANSWER = ESCAPE + '!';
class ProtocolError extends Error {}
function escapeText(text) {
  return text.startsWith(ESCAPE) ? ESCAPE + '=' + text : text;
}
function acknowledgement(count) {
  return ESCAPE + '+' + count;
}
function hello(resumption) {
  return ESCAPE + JSON.stringify({ hello: resumption ?? {} });
}
function read(text) {
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
function readCount(digits) {
  const count = /^(0|[1-9][0-9]{0,9})$/.test(digits) ? Number(digits) : NaN;
  if (isCount(count)) return count;
  throw new ProtocolError('A count is not a decimal number of 32 bits.');
}
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
function isWelcome(value) {
  return (
    typeof value?.stream === 'string' &&
    typeof value.epoch === 'string' &&
    typeof value.resumed === 'boolean' &&
    (value.resumed || typeof value.secret === 'string') &&
    isCount(value.received) &&
    (value.retention === 0 || isPositive(value.retention)) &&
    isPositive(value.liveness) &&
    isPositive(value.limit)
  );
}
function isCount(value) {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 32;
}
function isPositive(value) {
  return Number.isFinite(value) && Number(value) > 0;
}
return { PROTOCOL, HEARTBEAT, HEARTBEAT_ANSWER, ProtocolError, escapeText, acknowledgement, hello, read };
})();
const stream = (() => {
const { ProtocolError } = wire;
const MESSAGES = 32;
const BYTES = 64 * 1024;
const DELAY = 250;
const OVERFLOW = 8;
class Stream {
  #kept = [];
  #onLink = 0;
  #onLinkBytes = 0;
  #sent = 0;
  #bytes = 0;
  #acknowledged;
  #received;
  #owed = 0;
  #owedBytes = 0;
  #owedSince = 0;
  constructor(limit, count = 0) {
    this.limit = limit;
    this.#acknowledged = count;
    this.#received = count;
  }
  get received() {
    return this.#received;
  }
  get acknowledged() {
    return this.#acknowledged;
  }
  get bytes() {
    return this.#bytes;
  }
  get waiting() {
    return this.#bytes - this.#onLinkBytes;
  }
  push(message, size) {
    this.#kept.push({ message, size });
    this.#bytes += size;
    return this.#bytes <= OVERFLOW * this.limit;
  }
  next(evenBeyond = false) {
    const next = this.#kept[this.#onLink];
    if (next === undefined) return undefined;
    if (!evenBeyond && this.#onLink > 0 && this.#onLinkBytes + next.size > this.limit) return undefined;
    this.#onLink += 1;
    this.#onLinkBytes += next.size;
    this.#sent = Math.max(this.#sent, this.#onLink);
    return next.message;
  }
  acknowledge(count) {
    const more = this.#beyondAcknowledged(count);
    if (more > 0) this.#forget(more);
  }
  resume(count) {
    const taken = this.#beyondAcknowledged(count);
    if (taken < 0) return false;
    this.#onLink = taken;
    this.#onLinkBytes = sizeOf(this.#kept.slice(0, taken));
    return true;
  }
  take(size, now, count = 1) {
    if (this.#owed === 0) this.#owedSince = now;
    this.#received = (this.#received + count) >>> 0;
    this.#owed += count;
    this.#owedBytes += size;
  }
  get owes() {
    return this.#owed > 0;
  }
  isDue(now) {
    if (this.#owed === 0) return false;
    return this.#owed >= MESSAGES || this.#owedBytes >= BYTES || now - this.#owedSince >= DELAY;
  }
  settle() {
    this.#owed = 0;
    this.#owedBytes = 0;
  }
  #beyondAcknowledged(count) {
    const more = (count - this.#acknowledged) | 0;
    if (more > this.#sent) throw new ProtocolError('The server has messages that were never sent.');
    return more;
  }
  #forget(count) {
    this.#onLinkBytes -= sizeOf(this.#kept.slice(0, Math.min(count, this.#onLink)));
    this.#onLink = Math.max(0, this.#onLink - count);
    this.#sent -= count;
    this.#bytes -= sizeOf(this.#kept.splice(0, count));
    this.#acknowledged = (this.#acknowledged + count) >>> 0;
  }
}
function sizeOf(messages) {
  return messages.reduce((sum, { size }) => sum + size, 0);
}
return { DELAY, Stream };
})();
const connection = (() => {
const { delay } = backoff;
const { Liveness } = liveness;
const { DELAY, Stream } = stream;
const { HEARTBEAT, HEARTBEAT_ANSWER, PROTOCOL, ProtocolError, acknowledgement, escapeText, hello, read } = wire;
const PATIENCE = 10_000;
const STALE = 2_000;
const STEADY = 5_000;
const NORMAL = 1000;
const NO_CODE = 1005;
const ABNORMAL = 1006;
const PROTOCOL_ERROR = 4400;
const REFUSED = 4410;
const OVERFLOW = 4413;
function isFinal(code) {
  const ownCodes = code >= 4000 && code <= 4499;
  const reserved = code > PROTOCOL_ERROR && code < 4408;
  return code === NORMAL || (ownCodes && !reserved);
}
class Connection {
  #environment;
  #url;
  #protocols;
  #owner;
  #forgetMoments;
  #state = 'opening';
  #link;
  #binaryType = 'blob';
  #stream = new Stream(0);
  #identity = { stream: '', secret: '', epoch: '' };
  #hellos = 0;
  #retention = 0;
  #heard;
  #liveness = new Liveness(1, 0);
  #silence = { received: -1, times: 0 };
  #since;
  #attempts = 0;
  #leaving = false;
  #closing;
  #bytesLeft = 0;
  #timer;
  #acknowledgementTimer;
  #closingTimer;
  constructor(environment, url, protocols, owner) {
    this.#environment = environment;
    this.#url = url;
    this.#protocols = [PROTOCOL, ...protocols];
    this.#owner = owner;
    this.#heard = this.#since = environment.now();
    this.#connect('opening');
    this.#forgetMoments = environment.observe({ wake: () => this.#wake(), leave: () => this.#leave() });
  }
  set binaryType(type) {
    this.#binaryType = type;
    if (this.#link) this.#link.binaryType = type;
  }
  get isPlain() {
    return this.#state === 'plain';
  }
  get readyState() {
    switch (this.#state) {
      case 'opening':
        return 0;
      case 'plain':
        return this.#link?.readyState ?? 3;
      case 'ended':
        return 3;
      default:
        return this.#closing ? 2 : 1;
    }
  }
  get bufferedAmount() {
    switch (this.#state) {
      case 'plain':
        return this.#link?.bufferedAmount ?? 0;
      case 'up':
        return this.#stream.waiting + (this.#link?.bufferedAmount ?? 0);
      case 'ended':
        return this.#bytesLeft;
      default:
        return this.#stream.bytes;
    }
  }
  send(message, size) {
    if (this.#state === 'plain') {
      this.#link?.send((message));
      return true;
    }
    const escaped = typeof message === 'string' ? escapeText(message) : message;
    if (!this.#stream.push(escaped, size)) {
      const reason = 'The server did not take what was sent.';
      this.#release(OVERFLOW, reason);
      this.#environment.setTimeout(() => this.#owner.ended(OVERFLOW, reason, false, true), 0);
      return false;
    }
    this.#flush();
    return true;
  }
  close(code, reason) {
    this.#closing = { code, reason };
    this.#closingTimer = this.#environment.setTimeout(() => this.#end(ABNORMAL, '', false, true), PATIENCE);
    switch (this.#state) {
      case 'plain':
        return code === undefined ? this.#link?.close() : this.#link?.close(code, reason);
      case 'opening':
        return this.#link?.close(NORMAL);
      case 'up':
        return this.#sayGoodbye();
      case 'down':
        return this.#connect('reopening');
    }
  }
  #sayGoodbye() {
    this.#flush();
    this.#link?.close(this.#closing?.code ?? NORMAL, this.#closing?.reason);
  }
  #connect(state) {
    this.#enter(state);
    const link = this.#tryLink(state);
    if (!link) return this.#lose();
    this.#link = link;
    link.binaryType = this.#binaryType;
    let opened = false;
    let failed = false;
    link.onopen = () => {
      opened = true;
      this.#greet(link);
    };
    link.onmessage = ({ data }) => this.#receive(data);
    link.onerror = () => {
      failed = true;
      if (!opened) this.#closed(ABNORMAL, '', false, true);
    };
    link.onclose = ({ code, reason, wasClean }) => this.#closed(code, reason, wasClean, failed);
    if (state === 'reopening') this.#after(PATIENCE, () => this.#lose());
  }
  #tryLink(state) {
    try {
      return new this.#environment.WebSocket(this.#url, this.#protocols);
    } catch (error) {
      if (state === 'opening') throw error;
      return undefined;
    }
  }
  #greet(link) {
    if (link.protocol !== PROTOCOL && this.#state === 'opening') {
      this.#enter('plain');
      return this.#owner.opened(link.protocol, link.extensions);
    }
    if (link.protocol !== PROTOCOL) return this.#lose();
    if (this.#state === 'opening') {
      link.send(hello());
      return this.#after(PATIENCE, () => this.#end(ABNORMAL, '', false, true));
    }
    const { received, acknowledged } = this.#stream;
    this.#hellos += 1;
    link.send(hello({ ...this.#identity, received, acknowledged, attempt: this.#hellos }));
    this.#stream.settle();
  }
  #receive(data) {
    this.#heard = this.#environment.now();
    this.#liveness.heard(this.#heard);
    if (this.#state === 'plain') return this.#owner.received(data);
    if (this.#state === 'opening' && this.#closing) return;
    try {
      if (this.#state === 'up') this.#handle(data);
      else this.#welcomed(data);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#end(PROTOCOL_ERROR, error.message, false, true);
    }
  }
  #welcomed(data) {
    const message = typeof data === 'string' ? read(data) : undefined;
    if (message?.kind === 'refused') return this.#refused(message.refusal);
    if (message?.kind !== 'welcome') throw new ProtocolError('The first message of the server is no handshake.');
    const { welcome } = message;
    const isNew = this.#state === 'opening';
    if (welcome.resumed === isNew || (!isNew && welcome.stream !== this.#identity.stream)) {
      throw new ProtocolError('The server took this stream for another one.');
    }
    if (!this.#adopt(welcome)) return this.#end(REFUSED, 'The server lacks messages that it had.', true, false);
    this.#enter('up');
    this.#liveness = new Liveness(welcome.liveness, this.#since, this.#indulgence());
    this.#lookLater();
    if (isNew) return this.#owner.opened('', this.#link?.extensions ?? '');
    this.#owner.linked(true);
    if (this.#closing) this.#sayGoodbye();
    else this.#flush();
  }
  #adopt({ stream, secret, epoch, received, retention, limit }) {
    this.#identity = { stream, secret: secret ?? this.#identity.secret, epoch };
    this.#retention = retention * 1000;
    this.#stream.limit = limit;
    return this.#stream.resume(received);
  }
  #refused({ reason, message }) {
    if (reason !== 'stopping') return this.#end(REFUSED, message, true, false);
    if (this.#state === 'opening') return this.#end(ABNORMAL, '', false, true);
    this.#lose();
  }
  #closed(code, reason, wasClean, failed) {
    if (this.#state === 'plain') return this.#end(code, reason, wasClean, failed);
    if (this.#state === 'opening') {
      return this.#closing ? this.#end(ABNORMAL, '', false, true) : this.#end(code, reason, wasClean, !wasClean);
    }
    if (this.#state === 'up' && this.#closing) {
      const isEcho = wasClean && code === NORMAL && this.#closing.code === undefined;
      return this.#end(isEcho ? NO_CODE : code, reason, wasClean, !wasClean);
    }
    if (isFinal(code)) return this.#end(code, reason, wasClean, false);
    this.#lose();
  }
  #handle(data) {
    if (typeof data !== 'string') return this.#take(data, data instanceof ArrayBuffer ? data.byteLength : data.size);
    const message = read(data);
    switch (message.kind) {
      case 'text':
        return this.#take(message.text, message.text.length);
      case 'skip':
        this.#stream.take(0, this.#heard, message.count);
        return this.#acknowledgeInTime();
      case 'acknowledge':
        this.#stream.acknowledge(message.count);
        return this.#flush();
      case 'heartbeat':
        this.#acknowledge();
        return this.#write(HEARTBEAT_ANSWER);
      case 'answer':
        return;
      default:
        throw new ProtocolError('A handshake was received in the middle of a conversation.');
    }
  }
  #take(data, size) {
    this.#stream.take(size, this.#heard);
    this.#owner.received(data);
    this.#acknowledgeInTime();
  }
  #acknowledgeInTime() {
    if (this.#state !== 'up' || !this.#stream.owes) return;
    if (this.#stream.isDue(this.#heard)) return this.#acknowledge();
    this.#acknowledgementTimer ??= this.#environment.setTimeout(() => this.#acknowledge(), DELAY);
  }
  #acknowledge() {
    this.#clearAcknowledgementTimer();
    if (this.#state !== 'up' || !this.#stream.owes) return;
    this.#stream.settle();
    this.#write(acknowledgement(this.#stream.received));
  }
  #flush() {
    while (this.#state === 'up') {
      const message = this.#stream.next(this.#closing !== undefined);
      if (message === undefined) return;
      this.#acknowledge();
      this.#write(message);
    }
  }
  #write(message) {
    if (this.#link?.readyState === 1) this.#link.send(message);
  }
  #lookLater() {
    this.#after(Math.max(0, this.#liveness.planned - this.#environment.now()), () => {
      const verdict = this.#liveness.look(this.#environment.now());
      if (verdict === 'dead') {
        this.#silence = { received: this.#stream.received, times: this.#indulgence() === 1 ? 1 : this.#silence.times + 1 };
        return this.#lose();
      }
      if (verdict === 'ask') this.#write(HEARTBEAT);
      this.#lookLater();
    });
  }
  #indulgence() {
    const { received, times } = this.#silence;
    return received === this.#stream.received ? 2 ** Math.min(times, 6) : 1;
  }
  #wake() {
    this.#leaving = false;
    const now = this.#environment.now();
    if (this.#state === 'up') {
      this.#liveness.doubt(now);
      this.#write(HEARTBEAT);
      this.#lookLater();
    }
    const isStale = this.#state === 'reopening' && now - this.#since >= STALE;
    if (this.#state !== 'down' && !isStale) return;
    this.#attempts = 0;
    this.#reconnect();
  }
  #leave() {
    this.#leaving = true;
    if (this.#state === 'down') this.#after(0, () => {});
  }
  #lose() {
    const wasUp = this.#state === 'up';
    if (wasUp && this.#closing) return this.#end(ABNORMAL, '', false, true);
    this.#dropLink();
    if (wasUp && this.#environment.now() - this.#since >= STEADY) this.#attempts = 0;
    this.#enter('down');
    if (this.#isOver()) return this.#end(ABNORMAL, '', false, true);
    if (!this.#leaving) {
      this.#after(delay(this.#attempts, this.#environment.random), () => this.#reconnect());
      this.#attempts += 1;
    }
    if (wasUp) this.#owner.linked(false);
  }
  #reconnect() {
    this.#dropLink();
    if (this.#isOver()) return this.#end(ABNORMAL, '', false, true);
    this.#connect('reopening');
  }
  #isOver() {
    return this.#environment.now() - this.#heard > this.#retention;
  }
  #end(code, reason, wasClean, failed) {
    this.#release(code, reason);
    this.#owner.ended(code, reason, wasClean, failed);
  }
  #release(code, reason) {
    this.#bytesLeft = this.bufferedAmount;
    if (code === PROTOCOL_ERROR || code === OVERFLOW) this.#dropLink(code, reason);
    else this.#dropLink(NORMAL);
    this.#enter('ended');
    this.#environment.clearTimeout(this.#closingTimer);
    this.#stream = new Stream(0);
    this.#forgetMoments();
  }
  #dropLink(code, reason) {
    const link = this.#link;
    if (!link) return;
    this.#link = undefined;
    link.onopen = link.onmessage = link.onerror = link.onclose = null;
    link.close(code, reason);
  }
  #enter(state) {
    this.#state = state;
    this.#since = this.#environment.now();
    this.#environment.clearTimeout(this.#timer);
    this.#clearAcknowledgementTimer();
  }
  #clearAcknowledgementTimer() {
    this.#environment.clearTimeout(this.#acknowledgementTimer);
    this.#acknowledgementTimer = undefined;
  }
  #after(milliseconds, action) {
    this.#environment.clearTimeout(this.#timer);
    this.#timer = this.#environment.setTimeout(action, milliseconds);
  }
}
return { Connection };
})();
const events = (() => {
class OwnCloseEvent extends Event {
  constructor(type, { code = 0, reason = '', wasClean = false, ...init }) {
    super(type, init);
    this.code = code;
    this.reason = reason;
    this.wasClean = wasClean;
  }
}
function closeEvent(code, reason, wasClean) {
  const Class = globalThis.CloseEvent ?? OwnCloseEvent;
  return (new Class('close', { code, reason, wasClean }));
}
class Handlers {
  #target;
  #handlers = new Map();
  constructor(target) {
    this.#target = target;
  }
  get(type) {
    return this.#handlers.get(type)?.handler ?? null;
  }
  set(type, handler) {
    const entry = this.#handlers.get(type);
    const isObject = typeof handler === 'function' || (typeof handler === 'object' && handler !== null);
    if (!isObject) {
      if (entry) this.#target.removeEventListener(type, entry.listener);
      this.#handlers.delete(type);
      return;
    }
    if (entry) {
      entry.handler = handler;
      return;
    }
    const listener = (event) => {
      const current = this.get(type);
      if (typeof current === 'function') current.call(this.#target, event);
    };
    this.#handlers.set(type, { handler, listener });
    this.#target.addEventListener(type, listener);
  }
}
return { closeEvent, Handlers };
})();
const socket = (() => {
const { parseClose, parseProtocols, parseUrl, utf8Length } = address;
const { Connection } = connection;
const { environmentOf } = environment;
const { Handlers, closeEvent } = events;
class ResumableWebSocket extends EventTarget {
  static CONNECTING = (0);
  static OPEN = (1);
  static CLOSING = (2);
  static CLOSED = (3);
  #url;
  #origin;
  #connection;
  #handlers = new Handlers(this);
  #readyState = ResumableWebSocket.CONNECTING;
  #protocol = '';
  #extensions = '';
  #binaryType = 'blob';
  #refusedBytes = 0;
  constructor(url, protocols, environment = environmentOf(globalThis)) {
    super();
    const parsed = parseUrl(url, environment.base());
    this.#url = parsed.href;
    this.#origin = parsed.origin;
    this.#connection = new Connection(environment, parsed.href, parseProtocols(protocols), {
      opened: (protocol, extensions) => this.#opened(protocol, extensions),
      received: (data) => this.#received(data),
      linked: (isUp) => this.dispatchEvent(new Event(isUp ? 'linkup' : 'linkdown')),
      ended: (code, reason, wasClean, failed) => this.#ended(code, reason, wasClean, failed),
    });
  }
  get url() {
    return this.#url;
  }
  get readyState() {
    return this.#readyState;
  }
  get protocol() {
    return this.#protocol;
  }
  get extensions() {
    return this.#extensions;
  }
  get bufferedAmount() {
    return this.#connection.bufferedAmount + this.#refusedBytes;
  }
  get binaryType() {
    return this.#binaryType;
  }
  set binaryType(type) {
    if (type !== 'blob' && type !== 'arraybuffer') return;
    this.#binaryType = type;
    this.#connection.binaryType = type;
  }
  get onopen() {
    return this.#handlers.get('open');
  }
  set onopen(handler) {
    this.#handlers.set('open', handler);
  }
  get onmessage() {
    return this.#handlers.get('message');
  }
  set onmessage(handler) {
    this.#handlers.set('message', handler);
  }
  get onerror() {
    return this.#handlers.get('error');
  }
  set onerror(handler) {
    this.#handlers.set('error', handler);
  }
  get onclose() {
    return this.#handlers.get('close');
  }
  set onclose(handler) {
    this.#handlers.set('close', handler);
  }
  send(data) {
    if (arguments.length === 0) throw new TypeError('send() needs something to send.');
    if (this.#readyState === ResumableWebSocket.CONNECTING) {
      throw new DOMException('The socket is still connecting.', 'InvalidStateError');
    }
    const isOpen = this.#readyState === ResumableWebSocket.OPEN;
    const { message, size } = isOpen ? snapshot(data) : { message: '', size: sizeOf(data) };
    if (!isOpen) this.#refusedBytes += size;
    else if (!this.#connection.send(message, size)) this.#readyState = ResumableWebSocket.CLOSING;
  }
  close(code, reason) {
    const close = parseClose(code, reason);
    if (this.#readyState >= ResumableWebSocket.CLOSING) return;
    this.#readyState = ResumableWebSocket.CLOSING;
    this.#connection.close(close.code, close.reason);
  }
  #opened(protocol, extensions) {
    if (this.#readyState !== ResumableWebSocket.CONNECTING) return;
    this.#readyState = ResumableWebSocket.OPEN;
    this.#protocol = protocol;
    this.#extensions = extensions;
    this.dispatchEvent(new Event('open'));
  }
  #received(data) {
    if (this.#readyState !== ResumableWebSocket.OPEN) return;
    this.dispatchEvent(new MessageEvent('message', { data, origin: this.#origin }));
  }
  #ended(code, reason, wasClean, failed) {
    this.#readyState = ResumableWebSocket.CLOSED;
    if (failed) this.dispatchEvent(new Event('error'));
    this.dispatchEvent(closeEvent(code, reason, wasClean));
  }
  get [Symbol.toStringTag]() {
    return 'WebSocket';
  }
}
for (const [index, name] of ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'].entries()) {
  const constant = { value: index, enumerable: true };
  Object.defineProperty(ResumableWebSocket, name, { ...constant, writable: false, configurable: false });
  Object.defineProperty(ResumableWebSocket.prototype, name, constant);
}
function snapshot(data) {
  if (isBlob(data)) return { message: data, size: data.size };
  const bytes = bytesOf(data);
  if (bytes) return { message: bytes.slice().buffer, size: bytes.byteLength };
  const text = `${data}`;
  return { message: text, size: utf8Length(text) };
}
function sizeOf(data) {
  return isBlob(data) ? data.size : bytesOf(data)?.byteLength ?? utf8Length(`${data}`);
}
function bytesOf(data) {
  if (tag(data) === 'ArrayBuffer') return viewOf((data));
  if (!ArrayBuffer.isView(data)) return undefined;
  if (tag(data.buffer) !== 'ArrayBuffer') throw new TypeError('A view of shared memory cannot be sent.');
  return viewOf((data.buffer), data.byteOffset, data.byteLength);
}
function viewOf(buffer, start, length) {
  return buffer.byteLength === 0 ? new Uint8Array(0) : new Uint8Array(buffer, start, length);
}
function isBlob(data) {
  return tag(data) === 'Blob' || tag(data) === 'File';
}
function tag(value) {
  return Object.prototype.toString.call(value).slice(8, -1);
}
return { ResumableWebSocket };
})();
const install = (() => {
const { environmentOf } = environment;
const { Mark } = mark;
const { ResumableWebSocket } = socket;
function install(window) {
  const Native = window.WebSocket;
  const environment = environmentOf(window);
  const mark = new Mark(window);
  Object.setPrototypeOf(ResumableWebSocket.prototype, Native.prototype);
  const Replacement = new Proxy(Native, {
    construct(native, [...args], target) {
      if (target !== Replacement) return Reflect.construct(native, args, target);
      if (!isOurs(window, args[0], args[1])) return Reflect.construct(native, args);
      const socket = new ResumableWebSocket(args[0], undefined, environment);
      mark.watch(socket);
      return socket;
    },
  });
  Object.defineProperty(window, 'WebSocket', { value: Replacement, writable: true, configurable: true });
}
function isOurs({ document, location }, url, protocols) {
  if (protocols !== undefined && !(Array.isArray(protocols) && protocols.length === 0)) return false;
  try {
    const { protocol, host } = new URL(url, document.baseURI);
    return host === location.host && protocol.replace(/^ws/, 'http') === location.protocol;
  } catch {
    return false;
  }
}
return { install };
})();
install.install(window);
})();
