// The server puts the client's single-file build beside the console's files; its types are those of its modules.
export { bootstrap, RpcClient, Subscription } from '../../../clients/js/rpc/index.js';
