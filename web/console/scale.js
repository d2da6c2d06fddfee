/**
 * The arithmetic of charts: ranges, ticks and paths. Nothing here touches the page.
 *
 * A point is `[x, y]`; a `y` of null or NaN is a gap.
 *
 * @typedef {[x: number, y: number | null]} Point
 * @typedef {{ low: number, high: number }} Range
 */

/** @param {unknown} number @returns {number is number} */
const isFinite = (number) => typeof number === 'number' && Number.isFinite(number);

/**
 * The least and the greatest of numbers; what is no finite number does not count.
 *
 * @param {Iterable<number | null>} numbers
 * @returns {Range | undefined} nothing if there is none
 */
export function extent(numbers) {
  let low = Infinity;
  let high = -Infinity;
  for (const number of numbers) {
    if (!isFinite(number)) continue;
    if (number < low) low = number;
    if (number > high) high = number;
  }
  return low <= high ? { low, high } : undefined;
}

/**
 * Round numbers that cover a range: multiples of 1, 2 or 5 times a power of ten, about as many as asked for.
 *
 * @param {Range} range
 * @param {number} count
 * @param {boolean} [isBinary] round in the binary unit of the greatest one, as sizes in bytes are
 * @returns {number[]} at least two, the first not above the range, the last not below it
 */
export function ticks({ low, high }, count = 4, isBinary = false) {
  if (isBinary) {
    const unit = 1024 ** Math.floor(Math.log(Math.max(1, Math.abs(low), Math.abs(high))) / Math.log(1024));
    return ticks({ low: low / unit, high: high / unit }, count).map((tick) => tick * unit);
  }
  const span = high - low || Math.abs(high) || 1;
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) ?? 10;
  const step = factor * power;
  // A hair of tolerance, so that 0.3 counts as three times 0.1.
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/**
 * A function from a range to another.
 *
 * @param {Range} from
 * @param {Range} to `low` may be the greater one
 */
export function linear(from, to) {
  const span = from.high - from.low || 1;
  return (/** @type {number} */ number) => to.low + ((number - from.low) / span) * (to.high - to.low);
}

/**
 * The path of a line as the attribute `d` of SVG has it; gaps interrupt it, and a point between gaps is a dot.
 *
 * @param {readonly Point[]} points
 * @param {(x: number) => number} toX
 * @param {(y: number) => number} toY
 */
export function linePath(points, toX, toY) {
  let path = '';
  let isOpen = false;
  points.forEach(([x, y], i) => {
    if (!isFinite(y)) {
      isOpen = false;
      return;
    }
    const isAlone = !isOpen && !isFinite(points[i + 1]?.[1]);
    path += `${isOpen ? 'L' : 'M'}${place(toX(x))},${place(toY(y))}${isAlone ? 'h0' : ''}`;
    isOpen = true;
  });
  return path;
}

/**
 * The outline of bars that touch each other, each from its `x` to the next one's and from the ground to its `y`.
 *
 * @param {readonly Point[]} points with equal distances
 * @param {number} width of a bar, in units of x
 * @param {(x: number) => number} toX
 * @param {(y: number) => number} toY
 * @param {number} ground in units of y
 */
export function barPath(points, width, toX, toY, ground) {
  const first = points[0];
  if (!first) return '';
  let path = `M${place(toX(first[0]))},${place(toY(ground))}`;
  let end = first[0];
  for (const [x, y] of points) {
    end = x + width;
    path += `V${place(toY(isFinite(y) ? Math.max(y, ground) : ground))}H${place(toX(end))}`;
  }
  return `${path}V${place(toY(ground))}Z`;
}

/** A coordinate with as many digits as can be seen. @param {number} number */
const place = (number) => Number(number.toFixed(2));

/**
 * At most so many points: of each stretch the least and the greatest one stay, so that no peak is lost.
 *
 * @param {readonly Point[]} points
 * @param {number} most
 * @returns {readonly Point[]}
 */
export function thin(points, most) {
  if (points.length <= most) return points;
  const stretch = Math.ceil(points.length / Math.max(1, Math.floor(most / 2)));
  /** @type {Point[]} */
  const kept = [];
  for (let start = 0; start < points.length; start += stretch) {
    const part = points.slice(start, start + stretch);
    const finite = part.filter(([, y]) => isFinite(y));
    const [first] = finite;
    if (!first) {
      kept.push(...part.slice(0, 1));
      continue;
    }
    const least = finite.reduce((best, point) => (Number(point[1]) < Number(best[1]) ? point : best), first);
    const greatest = finite.reduce((best, point) => (Number(point[1]) > Number(best[1]) ? point : best), first);
    kept.push(...(least[0] <= greatest[0] ? [least, greatest] : [greatest, least]).slice(0, least === greatest ? 1 : 2));
  }
  return kept;
}

/**
 * The point nearest to an x.
 *
 * @param {readonly Point[]} points in order of x
 * @param {number} x
 */
export function nearest(points, x) {
  /** @type {Point | undefined} */
  let best;
  for (const point of points) {
    if (!best || Math.abs(point[0] - x) < Math.abs(best[0] - x)) best = point;
  }
  return best;
}

/**
 * What a line shows, in words, for those who do not see it.
 *
 * @param {string} name
 * @param {readonly Point[]} points
 * @param {(y: number) => string} format
 */
export function summary(name, points, format) {
  const range = extent(points.map(([, y]) => y));
  const last = points.findLast(([, y]) => isFinite(y))?.[1];
  if (!range || !isFinite(last)) return `${name}: no values`;
  return `${name}: last ${format(last)}, lowest ${format(range.low)}, highest ${format(range.high)}`;
}
