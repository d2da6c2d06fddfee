/**
 * A WebSocket that survives its connection: the browser side of docs/resume-protocol.md.
 */

export { install } from './install.js';
export { ResumableWebSocket } from './socket.js';
export { PROTOCOL } from './wire.js';
