/**
 * One end of a stream: what was sent and is not acknowledged, what was received and is not acknowledged. No input or
 * output, no clock: times are handed in. See docs/resume-protocol.md.
 */

import { ProtocolError } from './wire.js';

/** An acknowledgement waits for no more messages than this, */
const MESSAGES = 32;
/** for no more bytes, */
const BYTES = 64 * 1024;
/** and no longer than this, in milliseconds. */
export const DELAY = 250;

/** A stream whose messages take up more than this many times its limit is given up: nobody can slow a page down. */
const OVERFLOW = 8;

/**
 * A message as it goes over a link. Whatever is kept here must never change, for it may have to be sent again.
 * @typedef {string | ArrayBuffer | Blob} Message
 */

export class Stream {
  /**
   * Everything that the peer has not acknowledged, oldest first: what it has taken or will take from the present link,
   * then messages that were on an earlier link only, then messages that were never sent.
   * @type {{message: Message, size: number}[]}
   */
  #kept = [];
  /** Messages at the start of `#kept` that need not be handed to the present link any more, and their bytes. */
  #onLink = 0;
  #onLinkBytes = 0;
  /** Messages at the start of `#kept` that were handed to any link. */
  #sent = 0;
  #bytes = 0;
  /** The count that the peer has acknowledged. */
  #acknowledged;
  /** The count of messages taken from the peer. */
  #received;
  /** What of `#received` was not acknowledged yet, and when its first message came. */
  #owed = 0;
  #owedBytes = 0;
  #owedSince = 0;

  /**
   * @param {number} limit bytes to keep on a link without an acknowledgement
   * @param {number} [count] where both counts start; anything but 0 is for tests of the wrap
   */
  constructor(limit, count = 0) {
    this.limit = limit;
    this.#acknowledged = count;
    this.#received = count;
  }

  /** Messages of the peer taken so far, modulo 2^32. */
  get received() {
    return this.#received;
  }

  /** The highest count that the peer has acknowledged, modulo 2^32. */
  get acknowledged() {
    return this.#acknowledged;
  }

  /** Bytes of all messages that are not acknowledged. */
  get bytes() {
    return this.#bytes;
  }

  /** Bytes of the messages that wait for room on the link. */
  get waiting() {
    return this.#bytes - this.#onLinkBytes;
  }

  /**
   * Appends a message.
   * @param {Message} message
   * @param {number} size in bytes
   * @returns {boolean} whether the stream still has room; if not, it is to be given up
   */
  push(message, size) {
    this.#kept.push({ message, size });
    this.#bytes += size;
    return this.#bytes <= OVERFLOW * this.limit;
  }

  /**
   * The next message to hand to the link, if there is one and the limit lets it pass. A message larger than the limit
   * passes alone.
   * @param {boolean} [evenBeyond] pass over the limit, because the conversation ends
   * @returns {Message | undefined}
   */
  next(evenBeyond = false) {
    const next = this.#kept[this.#onLink];
    if (next === undefined) return undefined;
    if (!evenBeyond && this.#onLink > 0 && this.#onLinkBytes + next.size > this.limit) return undefined;
    this.#onLink += 1;
    this.#onLinkBytes += next.size;
    this.#sent = Math.max(this.#sent, this.#onLink);
    return next.message;
  }

  /**
   * The peer acknowledged; a count lower than an earlier one says nothing.
   * @param {number} count
   * @throws {ProtocolError} if it is higher than what was sent
   */
  acknowledge(count) {
    const more = this.#beyondAcknowledged(count);
    if (more > 0) this.#forget(more);
  }

  /**
   * A new link begins, on which the peer says how many messages it has taken; all others are sent again. What was taken
   * is kept too: until it is acknowledged, a restart of the server may undo it.
   * @param {number} count
   * @returns {boolean} false if the peer lacks messages that it had acknowledged, which are not here any more
   * @throws {ProtocolError} if it is higher than what was sent
   */
  resume(count) {
    const taken = this.#beyondAcknowledged(count);
    if (taken < 0) return false;
    this.#onLink = taken;
    this.#onLinkBytes = sizeOf(this.#kept.slice(0, taken));
    return true;
  }

  /**
   * Messages of the peer arrived, or the peer said that it replaced so many.
   * @param {number} size in bytes
   * @param {number} now in milliseconds
   * @param {number} [count]
   */
  take(size, now, count = 1) {
    if (this.#owed === 0) this.#owedSince = now;
    this.#received = (this.#received + count) >>> 0;
    this.#owed += count;
    this.#owedBytes += size;
  }

  /** Whether something was taken that is not acknowledged. */
  get owes() {
    return this.#owed > 0;
  }

  /**
   * Whether an acknowledgement must not wait any longer.
   * @param {number} now in milliseconds
   */
  isDue(now) {
    if (this.#owed === 0) return false;
    return this.#owed >= MESSAGES || this.#owedBytes >= BYTES || now - this.#owedSince >= DELAY;
  }

  /** The peer is being told `received`: nothing is owed any more. */
  settle() {
    this.#owed = 0;
    this.#owedBytes = 0;
  }

  /**
   * How far a count lies beyond what is acknowledged; negative if it is older.
   * @param {number} count
   */
  #beyondAcknowledged(count) {
    // As a signed number of 32 bits this is right on both sides of the wrap.
    const more = (count - this.#acknowledged) | 0;
    if (more > this.#sent) throw new ProtocolError('The server has messages that were never sent.');
    return more;
  }

  /** @param {number} count messages to drop from the start */
  #forget(count) {
    this.#onLinkBytes -= sizeOf(this.#kept.slice(0, Math.min(count, this.#onLink)));
    this.#onLink = Math.max(0, this.#onLink - count);
    this.#sent -= count;
    this.#bytes -= sizeOf(this.#kept.splice(0, count));
    this.#acknowledged = (this.#acknowledged + count) >>> 0;
  }
}

/** @param {{size: number}[]} messages */
function sizeOf(messages) {
  return messages.reduce((sum, { size }) => sum + size, 0);
}
