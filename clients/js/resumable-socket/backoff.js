/**
 * How long to wait before the next attempt to connect: exponential with full jitter, so that many clients that lost
 * the same server do not come back at the same moment.
 */

const BASE = 250;
const LONGEST = 5000;

/**
 * @param {number} attempt how many attempts in a row have failed
 * @param {() => number} random uniform in [0, 1)
 * @returns {number} milliseconds
 */
export function delay(attempt, random) {
  return random() * Math.min(LONGEST, BASE * 2 ** attempt);
}
