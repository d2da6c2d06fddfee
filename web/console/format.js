/**
 * Numbers, sizes and times as people read them. Nothing here touches the page.
 */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const BINARY_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** What stands where there is no value. */
export const NOTHING = '–';

/**
 * A number of bytes in binary units (IEC 80000-13) with three significant digits: `1.46 MiB`.
 *
 * @param {number | null | undefined} count
 */
export function bytes(count) {
  if (count === null || count === undefined || !Number.isFinite(count)) return NOTHING;
  let unit = 0;
  let scaled = count;
  while (Math.abs(scaled) >= 999.5 && unit < BINARY_UNITS.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  const text = unit === 0 ? String(Math.round(scaled)) : scaled.toFixed(digitsAfterPoint(scaled));
  return `${text} ${BINARY_UNITS[unit]}`;
}

/** @param {number} scaled below 1000 */
function digitsAfterPoint(scaled) {
  const size = Math.abs(scaled);
  if (size >= 99.95) return 0;
  return size >= 9.995 ? 1 : 2;
}

/** @param {number | null | undefined} perSecond bytes per second */
export function byteRate(perSecond) {
  return perSecond === null || perSecond === undefined ? NOTHING : `${bytes(perSecond)}/s`;
}

/**
 * A value of an image or a metric with up to six significant digits, with an exponent where zeros would be many.
 *
 * @param {number | null | undefined} number null is what JSON has for NaN
 * @param {number} [digits] significant digits
 */
export function value(number, digits = 6) {
  if (number === null || number === undefined || Number.isNaN(number)) return 'NaN';
  if (!Number.isFinite(number)) return number > 0 ? '∞' : '−∞';
  if (number === 0) return '0';
  const size = Math.abs(number);
  if (Number.isInteger(number) && size < 1e15) return minus(number.toLocaleString('en-GB').replaceAll(',', '\u202f'));
  if (size >= 1e-4 && size < 10 ** digits) return minus(String(Number(number.toPrecision(digits))));
  const [mantissa = '', exponent = ''] = number.toExponential(digits - 1).split('e');
  return minus(`${Number(mantissa)}e${exponent.replace('+', '')}`);
}

/** @param {string} text */
const minus = (text) => text.replaceAll('-', '−');

/**
 * A length of time in its two largest units: `3 min 20 s`.
 *
 * @param {number} milliseconds
 */
export function duration(milliseconds) {
  const ms = Math.max(0, milliseconds);
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < 10 * SECOND) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return pair(ms, MINUTE, 'min', SECOND, 's');
  if (ms < DAY) return pair(ms, HOUR, 'h', MINUTE, 'min');
  return pair(ms, DAY, 'd', HOUR, 'h');
}

/**
 * @param {number} ms
 * @param {number} large
 * @param {string} largeName
 * @param {number} small
 * @param {string} smallName
 */
function pair(ms, large, largeName, small, smallName) {
  const rest = Math.floor((ms % large) / small);
  return `${Math.floor(ms / large)} ${largeName}${rest > 0 ? ` ${rest} ${smallName}` : ''}`;
}

/**
 * What is left of a time as a clock that runs down: `59:07`, `1:02:03`. The last second is shown as `0:01`.
 *
 * @param {number} milliseconds
 */
export function countdown(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / SECOND));
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const two = (/** @type {number} */ number) => String(number).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/**
 * How long ago something was, in one unit, so that it changes seldom: `just now`, `12 s ago`, `3 h ago`.
 *
 * @param {Date | undefined} date
 * @param {Date} now
 */
export function ago(date, now) {
  if (!date) return NOTHING;
  const ms = now.getTime() - date.getTime();
  if (ms < 2 * SECOND) return 'just now';
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s ago`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ago`;
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h ago`;
  return `${Math.floor(ms / DAY)} d ago`;
}

/**
 * A time that the server gave: RFC 3339, or seconds or milliseconds since 1970.
 *
 * @param {unknown} given
 * @returns {Date | undefined} nothing if it is no time
 */
export function date(given) {
  if (typeof given !== 'string' && typeof given !== 'number') return undefined;
  // The year 5138 in seconds is 1973 in milliseconds.
  const parsed = new Date(typeof given === 'number' && given < 1e11 ? given * SECOND : given);
  return Number.isNaN(parsed.getTime()) ? undefined : parsed;
}

/**
 * A time of day, with the date unless it is today's: `14:03:22`, `2024-03-01 14:03`.
 *
 * @param {Date | undefined} when
 * @param {Date} now
 */
export function moment(when, now) {
  if (!when) return NOTHING;
  const two = (/** @type {number} */ number) => String(number).padStart(2, '0');
  const hours = `${two(when.getHours())}:${two(when.getMinutes())}`;
  if (when.toDateString() === now.toDateString()) return `${hours}:${two(when.getSeconds())}`;
  return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())} ${hours}`;
}

/** @param {number} fraction from 0 to 1 */
export const percent = (fraction) => `${Math.floor(Math.min(1, Math.max(0, fraction)) * 100)} %`;

/**
 * A count with its noun: `1 file`, `3 files`.
 *
 * @param {number} count
 * @param {string} singular
 * @param {string} [plural]
 */
export const counted = (count, singular, plural = `${singular}s`) => `${value(count)} ${count === 1 ? singular : plural}`;

/** What errors without words of their own mean. @type {Record<string, string>} */
const MEANINGS = {
  CAPABILITY_NOT_FOUND: 'This server does not offer that.',
  DISCONNECTED: 'The connection was lost before the answer came.',
  PERMISSION_DENIED: 'You are not permitted to do that.',
  REQUEST_CANCELLED: 'It was cancelled.',
  REQUEST_TIMEOUT: 'The server did not finish in time.',
  TIMEOUT: 'No answer came in time.',
};

/**
 * What went wrong, as a sentence: the server's own words, unless they are only a code.
 *
 * @param {unknown} error
 */
export function sentence(error) {
  const { message, code } = /** @type {{message?: unknown, code?: unknown}} */ (
    typeof error === 'object' && error !== null ? error : { message: error }
  );
  const words = typeof message === 'string' ? message.trim() : '';
  if (words !== '' && words !== code && !(words in MEANINGS)) {
    const first = words.charAt(0).toUpperCase() + words.slice(1);
    return /[.!?…]$/.test(first) ? first : `${first}.`;
  }
  const known = MEANINGS[words] ?? (typeof code === 'string' ? MEANINGS[code] : undefined);
  if (known) return known;
  return typeof code === 'string' ? `The server answered ${code}.` : 'Something went wrong.';
}
