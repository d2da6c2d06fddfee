/**
 * The browser side of Chartroom's RPC.
 */

export { bootstrap } from './bootstrap.js';
export { RpcClient } from './client.js';
export { createEmitter, defineEventProperty } from './emitter.js';
export { RpcError } from './error.js';
export { PerLaneSerializer } from './lanes.js';
export { evaluateOp, normalizeMessage, shouldLogRPCMessage } from './logging.js';
export { defaultSettings, getByPath } from './settings.js';
export { Subscription } from './subscription.js';
export { uuidv7 } from './uuid.js';
