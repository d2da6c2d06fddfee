/**
 * Signs of life, and what is concluded from their absence.
 */

/** @import { Environment } from '../resumable-socket/environment.js' */

/** Milliseconds within which a connection that is in doubt must show that it lives. */
const DOUBT = 5000;

export class Heartbeat {
  /** When something of the present generation was heard last. */
  lastSeen = 0;
  #environment;
  #interval;
  #ask;
  #dead;
  #isWatching = false;
  /** When the first question was asked that nothing has been heard after. @type {number | undefined} */
  #asked;
  /** @type {any} */
  #timer;

  /**
   * @param {Environment} environment
   * @param {() => number} interval milliseconds between questions
   * @param {() => void} ask
   * @param {() => void} dead nothing has been heard for three intervals, and for ten seconds at least
   */
  constructor(environment, interval, ask, dead) {
    this.#environment = environment;
    this.#interval = () => Math.max(1000, interval());
    this.#ask = ask;
    this.#dead = dead;
  }

  /** @param {boolean} isWatching whether silence means death; a resumable transport knows better */
  start(isWatching) {
    this.stop();
    this.#isWatching = isWatching;
    this.heard();
    this.#after(this.#interval());
  }

  stop() {
    this.#environment.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  heard() {
    this.lastSeen = this.#environment.now();
    this.#asked = undefined;
  }

  /** The page woke up: whatever was true of the connection before may have changed. */
  doubt() {
    if (this.#timer === undefined) return;
    this.#asked = this.#environment.now() - Math.max(0, this.#patience - DOUBT);
    this.#ask();
    this.#after(DOUBT);
  }

  /**
   * Counted from a question that was asked, not from what was heard last: the timers of a page in the background may
   * run once a minute only.
   */
  get #patience() {
    const interval = this.#interval();
    return Math.max(3 * interval, 10_000) - interval;
  }

  #tick() {
    const now = this.#environment.now();
    const isSilent = this.#asked !== undefined && now - this.#asked >= this.#patience;
    if (this.#isWatching && isSilent) return this.#dead();
    this.#asked ??= now;
    this.#after(this.#interval());
    this.#ask();
  }

  /** @param {number} milliseconds */
  #after(milliseconds) {
    this.#environment.clearTimeout(this.#timer);
    this.#timer = this.#environment.setTimeout(() => this.#tick(), milliseconds);
  }
}
