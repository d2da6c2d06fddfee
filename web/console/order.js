/**
 * How a list that is shown becomes another with as little disturbance as possible. Nothing here touches the page.
 */

/**
 * What differs between the keys that are shown and those that are to be.
 *
 * @template K
 * @param {readonly K[]} shown
 * @param {readonly K[]} wanted without repetitions
 * @returns {{ removed: K[], added: K[], moved: K[] }} `moved` is as short as possible: whatever is in the longest
 *   sequence that keeps its order stays where it is, and with it a focus or a selection
 */
export function difference(shown, wanted) {
  const places = new Map(shown.map((key, place) => [key, place]));
  const kept = new Set(wanted);
  const removed = shown.filter((key) => !kept.has(key));
  const added = wanted.filter((key) => !places.has(key));
  const common = wanted.filter((key) => places.has(key));
  const staying = new Set(longestIncreasing(common.map((key) => places.get(key) ?? 0)).map((at) => common[at]));
  return { removed, added, moved: common.filter((key) => !staying.has(key)) };
}

/**
 * Indices of a longest strictly increasing subsequence, by patience sorting.
 *
 * @param {readonly number[]} numbers
 */
function longestIncreasing(numbers) {
  /** Index of the smallest end of a subsequence of each length. @type {number[]} */
  const ends = [];
  /** @type {number[]} */
  const before = [];
  numbers.forEach((number, at) => {
    let low = 0;
    for (let high = ends.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((numbers[ends[middle] ?? 0] ?? 0) < number) low = middle + 1;
      else high = middle;
    }
    before[at] = low > 0 ? (ends[low - 1] ?? -1) : -1;
    ends[low] = at;
  });
  /** @type {number[]} */
  const found = [];
  for (let at = ends.at(-1) ?? -1; at >= 0; at = before[at] ?? -1) found.unshift(at);
  return found;
}

/**
 * Where the focus goes when what had it is removed: to the next one that stays, else to the one before.
 *
 * @template K
 * @param {readonly K[]} shown
 * @param {readonly K[]} wanted
 * @param {K} focused one of those shown
 * @returns {K | undefined} nothing if none is left
 */
export function successor(shown, wanted, focused) {
  const kept = new Set(wanted);
  const at = shown.indexOf(focused);
  return shown.slice(at).find((key) => kept.has(key)) ?? shown.slice(0, at).findLast((key) => kept.has(key));
}

/**
 * Compares two cells of a column: numbers as numbers, text as people sort it, what is missing last.
 *
 * @param {unknown} left
 * @param {unknown} right
 */
export function compare(left, right) {
  const isMissing = (/** @type {unknown} */ cell) => cell === undefined || cell === null || Number.isNaN(cell);
  if (isMissing(left) || isMissing(right)) return Number(isMissing(left)) - Number(isMissing(right));
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  return String(left).localeCompare(String(right), 'en', { numeric: true });
}
