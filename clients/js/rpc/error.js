/**
 * What goes wrong in a call, as its caller is told.
 */

/**
 * The payload of an `error` message.
 * @typedef {object} ErrorPayload
 * @property {string} [code]
 * @property {string} [message]
 * @property {boolean} [retryable]
 * @property {number} [retryAfterMs]
 * @property {any} [err]
 */

/**
 * An error of the other end, or of the way there. The codes that this client itself gives:
 *
 * - `TIMEOUT`: sent, but not answered in time;
 * - `NO_ACK`: sent, but not acknowledged in time; it may have arrived;
 * - `DISCONNECTED`: the connection ended before the answer came;
 * - `QUEUE_FULL`: too much waits already, so this was not even queued;
 * - `FRAME_TOO_LARGE`: larger than the server takes, and therefore not sent;
 * - `REQUEST_CANCELLED`: `cancel()` was called;
 * - `CLOSED`: the client was closed.
 */
export class RpcError extends Error {
  /**
   * @param {string} code what kind of error it is, for programs
   * @param {string} message what is wrong, as a sentence for people
   * @param {{retryable?: boolean, retryAfterMs?: number, err?: any, cause?: unknown}} [details]
   */
  constructor(code, message, { retryable = false, retryAfterMs, err = {}, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'RpcError';
    /** What kind of error it is, for programs. */
    this.code = code;
    /** Whether the same call may succeed later. */
    this.retryable = retryable;
    /** After how many milliseconds it is worth to try again, if that is known. */
    this.retryAfterMs = retryAfterMs;
    /** Details for programs. */
    this.err = err;
  }

  /**
   * The error that a message tells.
   * @param {ErrorPayload} payload
   */
  static from({ code = 'UNKNOWN_ERROR', message = code, ...details }) {
    return new RpcError(code, message, details);
  }
}

/**
 * What a handler of this page threw, as the server is told: never a stack.
 * @param {any} error
 * @param {string} code for errors that have none of their own
 * @returns {ErrorPayload}
 */
export function payloadOf(error, code) {
  const message = String(error?.message ?? error);
  const { code: said, retryable, retryAfterMs, err } = error instanceof RpcError ? error : new RpcError(code, message);
  return { code: said, message, retryable, retryAfterMs, err };
}

/**
 * Why a signal was aborted: an AbortError, unless who aborted gave an error of their own.
 * @param {AbortSignal} signal
 * @returns {Error}
 */
export function abortReason({ reason }) {
  return reason instanceof Error ? reason : new DOMException(String(reason ?? 'The call was aborted.'), 'AbortError');
}
