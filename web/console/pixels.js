/**
 * Pixels of an image and places in its picture. Nothing here touches the page.
 *
 * @typedef {{ width: number, height: number }} Size in pixels
 * @typedef {{ x: number, y: number }} Pixel counted from 0; the first row is at the bottom of the picture
 */

/**
 * What the axes of an image mean for those who look at it.
 *
 * @param {{ shape: readonly number[], stokes?: readonly string[] }} info pixels along x and y, channels, polarisations
 */
export function dimensions({ shape, stokes = [] }) {
  const [width = 1, height = 1, channels = 1, polarisations = 1] = shape;
  return { width, height, channels, stokes: Array.from({ length: polarisations }, (_, i) => stokes[i] || String(i)) };
}

/**
 * The pixel under a place in a picture.
 *
 * @param {Size} image
 * @param {number} right how far from the left edge, from 0 to 1
 * @param {number} down how far from the upper edge, from 0 to 1
 * @returns {Pixel}
 */
export function pixelAt({ width, height }, right, down) {
  const clamp = (/** @type {number} */ at, /** @type {number} */ length) => Math.min(length - 1, Math.max(0, Math.floor(at * length)));
  return { x: clamp(right, width), y: clamp(1 - down, height) };
}

/**
 * Where the middle of a pixel is in the picture, as fractions from the left and upper edges.
 *
 * @param {Size} image
 * @param {Pixel} pixel
 */
export const placeOf = ({ width, height }, { x, y }) => ({ right: (x + 0.5) / width, down: 1 - (y + 0.5) / height });

/**
 * The pixel some steps away, or the last one on the way.
 *
 * @param {Size} image
 * @param {Pixel} pixel
 * @param {readonly [right: number, up: number]} steps
 * @returns {Pixel}
 */
export function moved({ width, height }, { x, y }, [right, up]) {
  const clamp = (/** @type {number} */ to, /** @type {number} */ length) => Math.min(length - 1, Math.max(0, to));
  return { x: clamp(x + right, width), y: clamp(y + up, height) };
}
