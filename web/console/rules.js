/**
 * Which messages the server writes to its log: rules, of which the first that matches decides.
 */

import { Problem, announce, field, h, select, write } from './dom.js';
import { bytes, counted, sentence } from './format.js';

const CAPABILITY = 'chartroom.server@1';

const TYPES = ['request', 'reply', 'error', 'emit', 'subscribe', 'stateUpdate', 'unsubscribe', 'cancel', 'ack', 'heartbeat', 'hello', 'welcome', 'clientReady'];
const LEVELS = ['debug', 'info', 'warn', 'error', 'trace'];

/**
 * @typedef {string | string[]} Patterns
 *
 * @typedef {object} Match
 * @property {Patterns} [type]
 * @property {Patterns} [lane]
 * @property {Patterns} [capability]
 * @property {'in' | 'out'} [direction]
 * @property {number} [minBytes]
 * @property {number} [maxBytes]
 *
 * @typedef {'drop' | { log: { level?: string } } | { sample: { rate: number, level?: string } } | { redact: { fields: string[], level?: string } }} Action
 *
 * @typedef {{ match?: Match, action: Action }} Rule
 *
 * @typedef {object} RuleSet
 * @property {Rule[]} rules
 * @property {Action} [default] what is done with messages that no rule matches
 */

/** @param {Patterns} patterns */
const listed = (patterns) => [patterns].flat().join(' or ');

/** A rule as a sentence. @param {Rule} rule */
export function describe({ match = {}, action }) {
  const { type, lane, capability, direction, minBytes, maxBytes } = match;
  const words = [
    direction && (direction === 'in' ? 'received' : 'sent'),
    type === undefined ? 'messages' : `messages of type ${listed(type)}`,
    lane !== undefined && `in lane ${listed(lane)}`,
    capability !== undefined && `of ${listed(capability)}`,
    minBytes !== undefined && `of at least ${bytes(minBytes)}`,
    maxBytes !== undefined && `of at most ${bytes(maxBytes)}`,
  ];
  const text = words.filter(Boolean).join(' ');
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}: ${describeAction(action)}.`;
}

/** @param {Action} action */
export function describeAction(action) {
  if (typeof action === 'string') return action === 'drop' ? 'not logged' : action;
  if ('log' in action) return `logged${at(action.log)}`;
  if ('sample' in action) return `one of ${Math.round(1 / action.sample.rate) || '∞'} logged${at(action.sample)}`;
  if ('redact' in action) return `logged${at(action.redact)} without ${action.redact.fields.join(', ')}`;
  return JSON.stringify(action);
}

/** @param {{ level?: string }} options */
const at = ({ level }) => (level ? ` as ${level}` : '');

/**
 * A rule from what a form says; what is empty is not asked for.
 *
 * @param {{[name: string]: string}} form
 * @returns {Rule}
 */
export function ruleOf(form) {
  /** @type {{[name: string]: unknown}} */
  const match = {};
  for (const name of ['type', 'lane', 'capability', 'direction']) {
    const text = form[name]?.trim();
    if (text) match[name] = text;
  }
  for (const name of ['minBytes', 'maxBytes']) {
    if (form[name]?.trim()) match[name] = Number(form[name]);
  }
  return { match, action: actionOf(form) };
}

/** @param {{[name: string]: string}} form @returns {Action} */
function actionOf({ action, level = 'debug', rate = '', fields = '' }) {
  switch (action) {
    case 'log':
      return { log: { level } };
    case 'sample':
      return { sample: { rate: Number(rate), level } };
    case 'redact':
      return { redact: { fields: fields.split(/[\s,]+/).filter((name) => name !== ''), level } };
    default:
      return 'drop';
  }
}

/** @param {import('./server.js').Server} server @returns {import('./console.js').View} */
export function rulesView(server) {
  const problem = new Problem();
  const done = h('p', { class: 'done', role: 'status' });
  const list = h('ol', { class: 'rules' });
  const text = h('textarea', { rows: 16, spellcheck: 'false', class: 'code' });
  /** What the server has. @type {RuleSet} */
  let current = { rules: [] };

  /** @param {RuleSet} rules */
  function show(rules) {
    current = rules;
    text.value = JSON.stringify(rules, undefined, 2);
    list.replaceChildren(
      ...rules.rules.map((rule, i) => {
        const words = describe(rule);
        const remove = () => void save({ ...current, rules: current.rules.toSpliced(i, 1) }, `Removed: ${words}`);
        return h('li', {}, h('span', {}, words), h('button', { type: 'button', class: 'small', 'aria-label': `Remove: ${words}`, onclick: remove }, 'Remove'));
      }),
    );
    write(otherwise, `${rules.rules.length > 0 ? 'All other messages' : 'All messages'}: ${describeAction(rules.default ?? 'drop')}.`);
  }

  /** @param {RuleSet} rules @param {string} words */
  async function save(rules, words) {
    write(done, '');
    try {
      await server.call(CAPABILITY, 'setLogRules', { rules });
    } catch (error) {
      problem.show(`The rules were not changed. ${sentence(error)}`);
      return false;
    }
    problem.show(undefined);
    const hadFocus = list.contains(document.activeElement);
    show(rules);
    if (hadFocus) list.focus();
    write(done, words);
    return true;
  }

  async function saveText() {
    try {
      const rules = JSON.parse(text.value);
      text.removeAttribute('aria-invalid');
      const count = Array.isArray(rules?.rules) ? counted(rules.rules.length, 'rule') : 'The rules';
      if (await save(rules, `Saved: ${count}.`)) return;
    } catch (error) {
      problem.show(`This is not JSON: ${error instanceof Error ? error.message : error}`);
    }
    text.setAttribute('aria-invalid', 'true');
    text.focus();
  }

  const otherwise = h('p', { class: 'lead' });
  list.tabIndex = -1;
  list.setAttribute('aria-label', 'Rules');
  return {
    element: h(
      'div',
      { class: 'stack' },
      h('p', { class: 'lead' }, 'The first rule that matches a message of the RPC decides what the log says of it.'),
      problem.element,
      done,
      h('section', { class: 'card', 'aria-label': 'Rules in force' }, h('h2', {}, 'Rules in force'), list, otherwise),
      addingForm((rule) => save({ ...current, rules: [rule, ...current.rules] }, `Added: ${describe(rule)}`)),
      h(
        'form',
        {
          class: 'card',
          onsubmit: (/** @type {Event} */ event) => {
            event.preventDefault();
            void saveText();
          },
        },
        h('h2', {}, 'As JSON'),
        field('Rules', text, 'Each has a match (type, lane, capability, direction, minBytes, maxBytes; * stands for anything) and an action: "drop", {"log": {"level": "info"}}, {"sample": {"rate": 0.1}} or {"redact": {"fields": ["payload.text"]}}.'),
        h(
          'div',
          { class: 'actions' },
          h('button', { class: 'primary' }, 'Save'),
          h('button', { type: 'button', onclick: () => show(current) }, 'Undo changes'),
        ),
      ),
    ),
    async show() {
      // What is being written is not overwritten.
      if (text.value !== '' && text.value !== JSON.stringify(current, undefined, 2)) return;
      try {
        const { rules } = await server.call(CAPABILITY, 'logRules');
        show(Array.isArray(rules) ? { rules } : rules);
        problem.show(undefined);
      } catch (error) {
        problem.show(`The rules could not be read. ${sentence(error)}`);
      }
    },
    hide() {
      write(done, '');
    },
  };
}

/** @param {(rule: Rule) => Promise<boolean>} add */
function addingForm(add) {
  const any = /** @type {[string, string]} */ (['', 'any']);
  const same = (/** @type {string[]} */ names) => names.map((name) => /** @type {[string, string]} */ ([name, name]));
  const action = select([
    ['log', 'write to the log'],
    ['sample', 'write a share to the log'],
    ['redact', 'write without some fields'],
    ['drop', 'do not write'],
  ], { name: 'action' });
  const level = field('Level', select(same(LEVELS), { name: 'level' }));
  const rate = field('Share', h('input', { name: 'rate', type: 'number', min: 0, max: 1, step: 'any', value: 0.1 }), 'From 0 to 1.');
  const fields = field('Fields', h('input', { name: 'fields', autocomplete: 'off', spellcheck: 'false', placeholder: 'payload.text' }), 'Paths, separated by spaces.');
  const follow = () => {
    level.hidden = action.value === 'drop';
    rate.hidden = action.value !== 'sample';
    fields.hidden = action.value !== 'redact';
  };
  action.addEventListener('change', follow);
  follow();
  const size = (/** @type {string} */ name) => h('input', { name, type: 'number', min: 0, inputmode: 'numeric' });
  const form = h(
    'form',
    {
      class: 'card',
      onsubmit: async (/** @type {Event} */ event) => {
        event.preventDefault();
        /** @type {{[name: string]: string}} */
        const given = {};
        new FormData(form).forEach((text, name) => (given[name] = String(text)));
        if (!(await add(ruleOf(given)))) return;
        form.reset();
        follow();
        announce('The rule is the first one now.');
      },
    },
    h('h2', {}, 'Add a rule'),
    h(
      'div',
      { class: 'columns' },
      field('Type', select([any, ...same(TYPES)], { name: 'type' })),
      field('Direction', select([any, ['in', 'received'], ['out', 'sent']], { name: 'direction' })),
      field('Capability', h('input', { name: 'capability', autocomplete: 'off', spellcheck: 'false', placeholder: 'any' })),
      field('Lane', h('input', { name: 'lane', autocomplete: 'off', spellcheck: 'false', placeholder: 'any' })),
      field('At least, in bytes', size('minBytes')),
      field('At most, in bytes', size('maxBytes')),
      field('Action', action),
      level,
      rate,
      fields,
    ),
    h('div', { class: 'actions' }, h('button', {}, 'Add as the first rule')),
  );
  return form;
}
