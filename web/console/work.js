/**
 * A piece of work of the server that is waited for: its progress, a button to cancel it, and what went wrong.
 */

import { Problem, announce, h, write } from './dom.js';
import { percent, sentence } from './format.js';

/** Work that ends sooner than this, in milliseconds, shows no progress, which would only flicker. */
const PATIENCE = 250;

/** How long work that can be cancelled may take, in milliseconds. */
export const PATIENT = 600_000;

export class Work {
  /** @type {AbortController | undefined} */
  #running;
  #bar = h('progress', { max: 1 });
  #label = h('span');
  #percent = h('span', { class: 'number' });
  #cancel = h('button', { type: 'button', onclick: () => this.#stop() }, 'Cancel');
  #line = h('div', { class: 'work', hidden: true }, this.#label, this.#bar, this.#percent, this.#cancel);
  #problem = new Problem();

  element = h('div', {}, this.#line, this.#problem.element);

  /**
   * Does some work in the place of what is being done here.
   *
   * @template T
   * @param {string} label what is done, as in "Histogram of the cube"
   * @param {(signal: AbortSignal, progress: (fraction: number) => void) => Promise<T>} work
   * @returns {Promise<T | undefined>} nothing if it was cancelled, replaced, or failed, which is told here
   */
  async run(label, work) {
    this.abandon();
    const running = new AbortController();
    this.#running = running;
    this.#problem.show(undefined);
    write(this.#label, label);
    this.#cancel.setAttribute('aria-label', `Cancel: ${label}`);
    this.#bar.setAttribute('aria-label', label);
    this.#bar.removeAttribute('value');
    write(this.#percent, '');
    const timer = setTimeout(() => (this.#line.hidden = false), PATIENCE);
    try {
      const result = await work(running.signal, (fraction) => {
        if (this.#running !== running) return;
        this.#bar.value = fraction;
        write(this.#percent, percent(fraction));
      });
      return this.#running === running ? result : undefined;
    } catch (error) {
      if (this.#running === running && !running.signal.aborted) this.#problem.show(sentence(error));
      return undefined;
    } finally {
      clearTimeout(timer);
      if (this.#running === running) {
        this.#running = undefined;
        this.#line.hidden = true;
      }
    }
  }

  /** Ends what is done without a word. */
  abandon() {
    this.#running?.abort();
    this.#running = undefined;
    this.#line.hidden = true;
  }

  #stop() {
    const words = `${this.#label.textContent}: cancelled.`;
    this.abandon();
    this.#problem.show(words);
    announce(words);
  }
}
