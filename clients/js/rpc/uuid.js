/**
 * UUIDs of version 7: RFC 9562, section 5.7.
 */

/** The newest time that was used, and the counter within that millisecond (section 6.2, method 1). */
let newest = 0;
let counter = 0;

/**
 * An identifier that sorts after all that were made before it, also within a millisecond and when the clock is set back.
 * @param {number} [now] milliseconds since 1970
 * @returns {string} in lower case
 */
export function uuidv7(now = Date.now()) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const view = new DataView(bytes.buffer);
  if (now > newest) {
    newest = now;
    // Room for at least 2048 more in this millisecond.
    counter = view.getUint16(6) & 0x7ff;
  } else if (++counter > 0xfff) {
    newest += 1;
    counter = 0;
  }
  view.setUint16(0, newest / 2 ** 32);
  view.setUint32(2, newest);
  view.setUint16(6, 0x7000 | counter);
  view.setUint8(8, (view.getUint8(8) & 0x3f) | 0x80);
  return hexOf(bytes).replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** @param {Uint8Array} bytes */
export function hexOf(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
