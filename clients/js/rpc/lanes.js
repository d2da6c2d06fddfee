/**
 * Order and limits of what is sent: in each lane only so many calls are under way, and the others wait in the order in
 * which they were made. Nothing is ever dropped: what does not fit is refused.
 */

import { RpcError } from './error.js';

/**
 * Something that is to be sent.
 * @typedef {object} Item
 * @property {string} lane
 * @property {number} size in bytes
 * @property {boolean} holds whether it is under way until it is finished, or only until it is sent
 * @property {() => void} depart sends it
 */

/**
 * @typedef {object} Limits
 * @property {number} maxInFlightPerLane
 * @property {number} maxQueue items that wait in a lane
 * @property {number} maxOfflineQueue items that wait in all lanes
 * @property {number} maxQueueBytes of them
 */

/** @typedef {{queue: Item[], flights: Set<Item>}} Lane what waits, and what is under way and holds its place */

export class Lanes {
  #limits;
  #isOpen;
  /** Those in which something waits or is under way. @type {Map<string, Lane>} */
  #lanes = new Map();
  #waiting = 0;
  #bytes = 0;

  /**
   * @param {() => Limits} limits
   * @param {() => boolean} isOpen whether things are sent at present; else everything waits
   */
  constructor(limits, isOpen) {
    this.#limits = limits;
    this.#isOpen = isOpen;
  }

  /** What waits. */
  get queued() {
    return [...this.#lanes.values()].flatMap(({ queue }) => queue);
  }

  /** For those who want to look: how much is under way and how much waits, by lane. */
  get states() {
    const state = (/** @type {Lane} */ { queue, flights }) => ({ inFlight: flights.size, queued: queue.length });
    return new Map([...this.#lanes].map(([name, lane]) => [name, state(lane)]));
  }

  /**
   * Sends it, or lets it wait.
   * @param {Item} item
   * @throws {RpcError} QUEUE_FULL
   */
  add(item) {
    const lane = this.#lane(item);
    if (!this.#isOpen() || lane.queue.length > 0 || !this.#hasRoom(lane, item)) this.#check(lane, item);
    lane.queue.push(item);
    this.#count(item, 1);
    this.#flush(item);
  }

  /**
   * Puts what was under way, or must come first for another reason, before all that waits.
   * @param {Item[]} items in their order
   */
  addFirst(items) {
    for (const item of [...items].reverse()) {
      const { queue, flights } = this.#lane(item);
      flights.delete(item);
      queue.unshift(item);
      this.#count(item, 1);
    }
    for (const item of items) this.#flush(item);
  }

  /**
   * It is settled, wherever it was; its place is the next one's.
   * @param {Item} item
   */
  finish(item) {
    const { queue, flights } = this.#lane(item);
    const index = queue.indexOf(item);
    if (index >= 0) {
      queue.splice(index, 1);
      this.#count(item, -1);
    }
    flights.delete(item);
    this.#flush(item);
  }

  /**
   * Things are sent again.
   * @param {Item[]} first what comes before everything that waits, in whichever lane
   */
  open(first) {
    this.addFirst(first);
    for (const lane of [...this.#lanes.keys()]) this.#flush({ lane });
  }

  /**
   * @param {{lane: string}} item
   * @returns {Lane}
   */
  #lane({ lane: name }) {
    const lane = this.#lanes.get(name) ?? { queue: [], flights: new Set() };
    this.#lanes.set(name, lane);
    return lane;
  }

  /**
   * @param {Lane} lane
   * @param {Item} item
   */
  #hasRoom({ flights }, { holds }) {
    return !holds || flights.size < this.#limits().maxInFlightPerLane;
  }

  /**
   * @param {Lane} lane
   * @param {Item} item
   */
  #check({ queue }, { lane, size }) {
    const { maxQueue, maxOfflineQueue, maxQueueBytes } = this.#limits();
    const isFull = queue.length >= maxQueue || this.#waiting >= maxOfflineQueue || this.#bytes + size > maxQueueBytes;
    if (!isFull) return;
    const err = { lane, queued: queue.length, waiting: this.#waiting, bytes: this.#bytes };
    throw new RpcError('QUEUE_FULL', `Too much waits already to be sent in lane '${lane}'.`, { retryable: true, err });
  }

  /**
   * @param {Item} item
   * @param {1 | -1} sign
   */
  #count({ size }, sign) {
    this.#waiting += sign;
    this.#bytes += sign * size;
  }

  /** @param {{lane: string}} item whose lane it is */
  #flush(item) {
    const lane = this.#lane(item);
    const { queue, flights } = lane;
    for (let next = queue[0]; next && this.#isOpen() && this.#hasRoom(lane, next); next = queue[0]) {
      queue.shift();
      this.#count(next, -1);
      if (next.holds) flights.add(next);
      next.depart();
    }
    if (queue.length + flights.size === 0) this.#lanes.delete(item.lane);
  }
}

/** Carries out the tasks of a lane one after another. The client does not need it; pages of the original one may. */
export class PerLaneSerializer {
  /** The last task of each lane that has one. @type {Map<string, Promise<void>>} */
  tails = new Map();

  /**
   * @param {string} lane
   * @param {() => unknown} task begun when all that were there before are over; what it throws is written on the console
   */
  enqueue(lane, task) {
    const isLast = () => this.tails.get(lane) === tail;
    /** @type {Promise<any>} */
    const tail = Promise.resolve(this.tails.get(lane))
      .then(task)
      .catch(console.error)
      .finally(() => isLast() && this.tails.delete(lane));
    this.tails.set(lane, tail);
  }
}
