// The demonstration cube, computed from the formula in crates/testkit/src/demo.rs, independently of the Rust code.

export const WIDTH = 640;
export const HEIGHT = 512;
export const CHANNELS = 64;

const radians = (degrees) => (degrees * Math.PI) / 180;

/** The pixel's value in single precision; x, y and channel are counted from 0. */
export function value(x, y, channel) {
  if (x + y < WIDTH / 8) return NaN;
  const dx = x - (WIDTH - 1) / 2;
  const dy = y - (HEIGHT - 1) / 2;
  const angle = radians(35);
  const u = dx * Math.cos(angle) + dy * Math.sin(angle);
  const w = (-dx * Math.sin(angle) + dy * Math.cos(angle)) / Math.cos(radians(55));
  const r2 = u * u + w * w;
  const centre = (CHANNELS - 1) / 2 + (0.45 * CHANNELS * u) / Math.sqrt(r2 + (0.05 * WIDTH) ** 2);
  const line = 0.05 * gaussian(r2, 0.15 * WIDTH) * gaussian((channel - centre) ** 2, 0.06 * CHANNELS);
  const continuum = 0.08 * gaussian((x - 0.75 * WIDTH) ** 2 + (y - 0.75 * HEIGHT) ** 2, 2.5);
  return Math.fround(line + continuum + 0.001 * noise(x + WIDTH * (y + HEIGHT * channel)));
}

/** Values along x at a row. */
export const row = (y, channel) => Array.from({ length: WIDTH }, (_, x) => value(x, y, channel));

/** Values along y at a column. */
export const column = (x, channel) => Array.from({ length: HEIGHT }, (_, y) => value(x, y, channel));

/** Values along the channels at a pixel. */
export const spectrum = (x, y) => Array.from({ length: CHANNELS }, (_, channel) => value(x, y, channel));

/** The ten statistics of a plane, by the names that the page shows. */
export function statistics(channel) {
  const values = Array.from({ length: HEIGHT }, (_, y) => row(y, channel)).flat().filter((v) => !Number.isNaN(v));
  const sum = (f) => values.reduce((total, v) => total + f(v), 0);
  const NumPixels = values.length;
  const Sum = sum((v) => v);
  const Mean = Sum / NumPixels;
  const SumSq = sum((v) => v * v);
  const Min = values.reduce((a, b) => Math.min(a, b));
  const Max = values.reduce((a, b) => Math.max(a, b));
  // The beam is a circular Gaussian of 2.5 pixels standard deviation.
  const beamArea = 2 * Math.PI * 2.5 ** 2;
  return {
    NumPixels,
    Sum,
    FluxDensity: Sum / beamArea,
    Mean,
    StdDev: Math.sqrt(sum((v) => (v - Mean) ** 2) / (NumPixels - 1)),
    Min,
    Max,
    Extrema: Math.abs(Min) > Math.abs(Max) ? Min : Max,
    RMS: Math.sqrt(SumSq / NumPixels),
    SumSq,
  };
}

const gaussian = (squared, sigma) => Math.exp(-squared / (2 * sigma * sigma));

function noise(index) {
  let h = index >>> 0;
  h ^= h >>> 16;
  h = Math.imul(h, 0x7feb352d);
  h ^= h >>> 15;
  h = Math.imul(h, 0x846ca68b);
  h ^= h >>> 16;
  const sum = (h & 255) + ((h >>> 8) & 255) + ((h >>> 16) & 255) + (h >>> 24);
  return (sum - 510) / 147.8;
}
