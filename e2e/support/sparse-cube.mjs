// A cube that takes long to read and no place to keep: a FITS file with a header and a hole.

import { open } from 'node:fs/promises';

/** The unit in which files are written (FITS standard 4.0, section 3.1). */
const BLOCK = 2880;

/**
 * Writes a cube of zeros in single precision.
 *
 * @param path of the file
 * @param shape lengths of the axes, the one that varies fastest first
 */
export async function writeSparseCube(path, shape) {
  const cards = [
    ['SIMPLE', 'T'],
    ['BITPIX', '-32'],
    ['NAXIS', String(shape.length)],
    ...shape.map((length, i) => [`NAXIS${i + 1}`, String(length)]),
  ].map(([name, value]) => `${name.padEnd(8)}= ${value.padStart(20)}`.padEnd(80));
  const header = [...cards, 'END'.padEnd(80)].join('');
  const blocks = (bytes) => Math.ceil(bytes / BLOCK) * BLOCK;
  const file = await open(path, 'w');
  try {
    await file.write(header.padEnd(blocks(header.length)));
    await file.truncate(blocks(header.length) + blocks(shape.reduce((product, length) => product * length, 4)));
  } finally {
    await file.close();
  }
}
