/**
 * Time that passes only when a test says so.
 */
export class Clock {
  /** When everything began; anything but 0, which is false. */
  now = 1_000_000;
  #timers = new Map();
  #next = 1;

  setTimeout = (action, milliseconds) => {
    this.#timers.set(this.#next, { at: this.now + Math.max(0, milliseconds), action });
    return this.#next++;
  };

  clearTimeout = (id) => {
    this.#timers.delete(id);
  };

  /** Number of timers that are still to come. */
  get pending() {
    return this.#timers.size;
  }

  /** Lets time pass, with everything that happens in it, in order. */
  advance(milliseconds) {
    const end = this.now + milliseconds;
    for (;;) {
      const due = this.#first(end);
      if (!due) break;
      this.now = Math.max(this.now, due.at);
      this.#timers.delete(due.id);
      due.action();
    }
    this.now = end;
  }

  /** Lets time pass without anything happening, as it does for a machine that sleeps; what was due happens later. */
  sleep(milliseconds) {
    this.now += milliseconds;
  }

  #first(end) {
    let first;
    for (const [id, timer] of this.#timers) {
      if (timer.at <= end && (!first || timer.at < first.at)) first = { id, ...timer };
    }
    return first;
  }
}
