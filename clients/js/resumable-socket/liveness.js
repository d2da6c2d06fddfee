/**
 * Whether a link is alive, judged by what is heard over it. No input or output, no clock: times are handed in, in
 * milliseconds of a clock that goes on while the machine sleeps.
 *
 * Browsers slow down the timers of hidden pages to one a minute, stop them in frozen ones, and everything stops while
 * the machine sleeps or another script blocks the page. So a late timer says nothing about the link: the answer to
 * a heartbeat may have been delivered, but not yet handed to the page. A look that comes late therefore never ends
 * a link; it sends a heartbeat and looks again shortly. Only the second late look in a row without a word from the
 * peer does. If even that is wrong, nothing is lost but the time of a reconnection.
 */

/** Time that the peer has to answer a heartbeat. */
const PATIENCE = 10_000;
/** The same where there is reason to doubt: after a sleep, a change of network, or a return to the page. */
const DOUBT = 2_000;
/** Time between looks. Short, so that the end of a sleep is noticed soon: not every system tells pages of it. */
const PULSE = 2_000;
/** A look that comes so much later than planned was held up. */
const LATE = 3_000;

export class Liveness {
  #liveness;
  #patience;
  #doubt;
  #heard;
  #lastLook;
  /** When the next look is planned. */
  #planned;
  /** When an unanswered heartbeat means the end. @type {number | undefined} */
  #deadline;
  /** Whether the present deadline was set by a late look. */
  #heldUp = false;

  /**
   * @param {number} seconds of silence after which a link is given up
   * @param {number} now
   * @param {number} indulgence how many times longer than usual an answer may take
   */
  constructor(seconds, now, indulgence = 1) {
    this.#liveness = seconds * 1000;
    this.#patience = Math.min(PATIENCE, (this.#liveness * 2) / 3) * indulgence;
    this.#doubt = DOUBT * indulgence;
    this.#heard = now;
    this.#lastLook = now;
    this.#planned = this.#plan(now);
  }

  /** When to look next. */
  get planned() {
    return this.#planned;
  }

  /**
   * Something arrived.
   * @param {number} now
   */
  heard(now) {
    this.#heard = now;
    this.#deadline = undefined;
    this.#heldUp = false;
  }

  /**
   * There is reason to doubt. A heartbeat is to be sent.
   * @param {number} now
   */
  doubt(now) {
    this.#deadline = Math.min(this.#deadline ?? Infinity, now + this.#doubt);
    this.#planned = this.#plan(now);
  }

  /**
   * @param {number} now
   * @returns {'alive' | 'ask' | 'dead'} `ask`: a heartbeat is to be sent
   */
  look(now) {
    // The clock was set back: count anew.
    if (now < this.#lastLook) this.heard(now);
    this.#lastLook = now;
    const late = now - this.#planned > LATE;
    const verdict = this.#judge(now, late);
    this.#planned = this.#plan(now);
    return verdict;
  }

  /**
   * @param {number} now
   * @param {boolean} late
   */
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

  /** @param {number} now */
  #plan(now) {
    return Math.min(this.#deadline ?? this.#heard + this.#liveness / 3, now + PULSE);
  }
}
