/**
 * Has the page of a session carry out an action, and remembers what was asked.
 */

import { Problem, confirm, field, h, offer, select, write } from './dom.js';
import { duration, moment, sentence } from './format.js';
import { History, storage } from './storage.js';
import { Work } from './work.js';

/**
 * @typedef {object} Call
 * @property {string} path
 * @property {string} action
 * @property {string} parameters as they were written
 * @property {string} returnPath
 * @property {number} seconds time limit
 *
 * @typedef {Call & { at: number, outcome: string }} Entry
 */

const HISTORY = 'chartroom.console.scripting';

/** Beyond this, in characters, an answer is cut, since no one reads it and it would slow the page. */
const LONGEST = 200_000;

/** @param {unknown} entry @returns {entry is Entry} */
const isEntry = (entry) => {
  const { path, action, parameters, returnPath, seconds, at, outcome } = /** @type {any} */ (entry ?? {});
  const texts = [path, action, parameters, returnPath, outcome];
  return texts.every((text) => typeof text === 'string') && Number.isFinite(seconds) && Number.isFinite(at);
};

/**
 * The parameters of an action as they were written: a JSON array, or nothing for none.
 *
 * @param {string} text
 * @returns {unknown[]}
 * @throws {Error} with a sentence
 */
export function parametersOf(text) {
  if (text.trim() === '') return [];
  let parsed;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new Error(`The parameters are not JSON: ${error instanceof Error ? error.message : error}`);
  }
  if (!Array.isArray(parsed)) throw new Error('The parameters must be a JSON array, as in ["", "cube.fits", ""].');
  return parsed;
}

/** @param {Call} call */
const describe = ({ path, action, parameters }) => {
  const inside = parameters.trim().replace(/^\[|\]$/g, '');
  return `${path ? `${path}.` : ''}${action}(${inside.length > 60 ? `${inside.slice(0, 60)}…` : inside})`;
};

/** @param {import('./server.js').Server} server @returns {import('./console.js').View} */
export function scriptingView(server) {
  const problem = new Problem();
  const sessionProblem = new Problem();
  const work = new Work();
  const session = select([], { required: true });
  const path = h('input', { autocomplete: 'off', spellcheck: 'false', placeholder: 'activeFrame' });
  const action = h('input', { autocomplete: 'off', spellcheck: 'false', required: true, placeholder: 'setChannels' });
  const parameters = h('textarea', { rows: 3, spellcheck: 'false', placeholder: '[10, 0, true]' });
  const returnPath = h('input', { autocomplete: 'off', spellcheck: 'false' });
  const seconds = h('input', { type: 'number', min: 1, max: 600, value: 30, required: true });
  const answer = h('pre', { tabindex: 0, 'aria-label': 'Answer' });
  const took = h('p', { class: 'lead', role: 'status' });
  const answered = h('section', { class: 'card', 'aria-label': 'Answer', hidden: true }, h('h2', {}, 'Answer'), took, answer);
  const list = h('ol', { class: 'history' });
  const clear = h('button', { type: 'button', class: 'small', onclick: forget }, 'Clear');
  const past = h('section', { class: 'card', 'aria-label': 'History' }, h('div', { class: 'card-head' }, h('h2', {}, 'History'), clear), list);
  /** @type {(() => void) | undefined} */
  let stop;

  /** @type {History<Entry>} */
  const history = new History(storage('local'), HISTORY, {
    capacity: 30,
    identity: (entry) => JSON.stringify([entry.path, entry.action, entry.parameters, entry.returnPath]),
    isEntry,
  });

  /** @param {Call} call */
  function fill(call) {
    path.value = call.path;
    action.value = call.action;
    parameters.value = call.parameters;
    returnPath.value = call.returnPath;
    seconds.value = String(call.seconds);
  }

  async function run() {
    const call = { path: path.value.trim(), action: action.value.trim(), parameters: parameters.value, returnPath: returnPath.value.trim(), seconds: seconds.valueAsNumber };
    let given;
    try {
      given = parametersOf(call.parameters);
      parameters.removeAttribute('aria-invalid');
      problem.show(undefined);
    } catch (error) {
      parameters.setAttribute('aria-invalid', 'true');
      problem.show(sentence(error));
      parameters.focus();
      return;
    }
    const wish = {
      sessionId: Number(session.value),
      path: call.path,
      action: call.action,
      parameters: given,
      timeoutMs: call.seconds * 1000,
      ...(call.returnPath ? { returnPath: call.returnPath } : {}),
    };
    answered.hidden = true;
    const start = performance.now();
    /** @param {string} outcome */
    const note = (outcome) => {
      history.add({ ...call, at: Date.now(), outcome });
      showHistory();
    };
    const result = await work.run(describe(call), async (signal) => {
      try {
        // The page's answer takes its way after the time limit, too.
        return await server.call('chartroom.scripting@1', 'call', wish, { signal, budgetMs: wish.timeoutMs + 5000 });
      } catch (error) {
        note(signal.aborted ? 'cancelled' : 'failed');
        throw error;
      }
    });
    if (!result) return;
    note('done');
    const text = result.response === undefined ? 'The action gave nothing.' : JSON.stringify(result.response, undefined, 2);
    write(answer, text.length > LONGEST ? `${text.slice(0, LONGEST)}\n… ${text.length - LONGEST} characters more` : text);
    write(took, `${describe(call)} took ${duration(performance.now() - start)}.`);
    answered.hidden = false;
  }

  function showHistory() {
    past.hidden = history.entries.length === 0;
    list.replaceChildren(
      ...history.entries.map((entry) => {
        const words = describe(entry);
        const again = () => {
          fill(entry);
          void run();
        };
        const edit = () => {
          fill(entry);
          action.focus();
        };
        return h(
          'li',
          {},
          h('code', {}, words),
          h('span', { class: 'badge', 'data-state': entry.outcome }, entry.outcome),
          h('small', {}, moment(new Date(entry.at), new Date())),
          h('button', { type: 'button', class: 'small', 'aria-label': `Fill in ${words}`, onclick: edit }, 'Fill in'),
          h('button', { type: 'button', class: 'small', 'aria-label': `Run ${words} again`, onclick: again }, 'Run again'),
        );
      }),
    );
  }

  async function forget() {
    const isSure = await confirm({ title: 'Clear the history?', text: 'The actions that were run from this browser are forgotten.', action: 'Clear' });
    if (!isSure) return;
    history.clear();
    showHistory();
    action.focus();
  }

  /** @param {{ sessions: import('./sessions.js').Session[] }} update */
  function takeSessions({ sessions }) {
    // Those whose page is there come first.
    const ranked = sessions.toSorted((a, b) => Number(a.state !== 'live') - Number(b.state !== 'live') || a.sessionId - b.sessionId);
    offer(session, ranked.map(({ sessionId, state, principal }) => [String(sessionId), `${sessionId} (${state}, ${principal})`]));
    sessionProblem.show(sessions.length === 0 ? 'There is no session to run anything in. Open the viewer first.' : undefined);
  }

  const form = h(
    'form',
    {
      class: 'card form',
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        void run();
      },
    },
    h('h2', {}, 'Action'),
    field('Session', session),
    sessionProblem.element,
    h(
      'div',
      { class: 'columns' },
      field('Path', path, 'The object in the page; empty for the application itself.'),
      field('Action', action, 'The method that is called.'),
    ),
    field('Parameters', parameters, 'A JSON array; empty for none.'),
    h(
      'div',
      { class: 'columns' },
      field('Return path', returnPath, 'What of the result is wanted; empty for all of it.'),
      field('Time limit', seconds, 'In seconds.'),
    ),
    problem.element,
    h('div', { class: 'actions' }, h('button', { class: 'primary' }, 'Run')),
    work.element,
  );
  showHistory();
  return {
    element: h('div', { class: 'stack' }, form, answered, past),
    show() {
      stop ??= server.watch('chartroom.sessions@1', 'watch', {}, takeSessions, (error) => sessionProblem.show(sentence(error)));
    },
    hide() {
      stop?.();
      stop = undefined;
    },
  };
}
