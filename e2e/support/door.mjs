// The scripting door, as a program uses it: plain HTTP.

import { PATIENCE } from './viewer.mjs';

/** Calls sessions of a server. The server's address is looked up at each call, since its process may be another. */
export class Door {
  #server;

  constructor(server) {
    this.#server = server;
  }

  /** The sessions that there are. */
  async sessions() {
    const { body } = await this.#fetch('sessions');
    return body.sessions;
  }

  /** Has the page of a session carry out an action; gives the status and the body of the answer. */
  call(session, path, action, parameters = [], { isAsync = false, returnPath, timeout = PATIENCE, wait = true } = {}) {
    const wish = { session_id: session, path, action, parameters, async: isAsync, timeout_ms: timeout };
    return this.#fetch(`scripting/action${wait ? '' : '?wait=0'}`, {
      method: 'POST',
      body: JSON.stringify(returnPath === undefined ? wish : { ...wish, return_path: returnPath }),
    });
  }

  /** As `call`, but gives what the action gave; throws if it gave nothing. */
  async result(...call) {
    const { status, body } = await this.call(...call);
    if (status !== 200 || !body.success) throw new Error(`${status}: ${JSON.stringify(body)}`);
    return body.response;
  }

  async #fetch(path, options = {}) {
    const { address } = this.#server;
    const headers = { Authorization: `Bearer ${address.searchParams.get('token')}`, 'Content-Type': 'application/json' };
    const answer = await fetch(new URL(`api/${path}`, address), { ...options, headers });
    return { status: answer.status, body: await answer.json() };
  }
}
