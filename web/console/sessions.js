/**
 * Which sessions there are, and the message of the day.
 */

import { Problem, announce, confirm, field, h, write } from './dom.js';
import { ago, byteRate, bytes, countdown, counted, date, moment, sentence, value } from './format.js';
import { Meter } from './series.js';
import { LiveTable } from './table.js';

const CAPABILITY = 'chartroom.sessions@1';

/**
 * @typedef {object} Session
 * @property {number} sessionId
 * @property {'live' | 'parked' | 'stored'} state
 * @property {string} principal
 * @property {boolean} own
 * @property {string} since
 * @property {string} [lastActivity]
 * @property {number} [filesOpen]
 * @property {number} bytesIn
 * @property {number} bytesOut
 * @property {number} queuedBytes
 * @property {number} [endsInMs] until it ends unless its page comes back
 *
 * @typedef {Session & { inPerSecond?: number | undefined, outPerSecond?: number | undefined, endsAt?: number | undefined }} Row
 */

/**
 * What changed, in sentences, for those who listen. Counters that move are not told.
 *
 * @param {readonly Session[]} before
 * @param {readonly Session[]} after
 * @returns {string[]}
 */
export function news(before, after) {
  const known = new Map(before.map((session) => [session.sessionId, session]));
  const there = new Set(after.map(({ sessionId }) => sessionId));
  const changed = after.flatMap(({ sessionId, state }) => {
    const earlier = known.get(sessionId);
    if (!earlier) return [`Session ${sessionId} is new.`];
    return earlier.state === state ? [] : [`Session ${sessionId} is ${state}.`];
  });
  return [...changed, ...before.filter(({ sessionId }) => !there.has(sessionId)).map(({ sessionId }) => `Session ${sessionId} has ended.`)];
}

/** @param {import('./server.js').Server} server @returns {import('./console.js').View} */
export function sessionsView(server) {
  const problem = new Problem();
  const count = h('p', { class: 'lead' }, 'Waiting for the list …');
  const meters = { in: new Meter(), out: new Meter() };
  /** @type {Row[] | undefined} */
  let rows;
  /** @type {(() => void)[]} */
  let stops = [];

  /** @type {LiveTable<Row>} */
  const table = new LiveTable({
    caption: 'Sessions',
    empty: 'There is no session. One begins when somebody opens the viewer.',
    key: ({ sessionId }) => String(sessionId),
    columns: [
      { title: 'Session', isHeader: true, text: ({ sessionId }) => String(sessionId), sort: ({ sessionId }) => sessionId },
      { title: 'State', fill: (cell, { state }) => fillState(cell, state), sort: ({ state }) => state },
      {
        title: 'Principal',
        kind: 'wrap',
        text: ({ principal, own }) => (own ? `${principal} (you)` : principal),
        sort: ({ principal }) => principal,
      },
      { title: 'Since', text: ({ since }) => moment(date(since), new Date()), sort: ({ since }) => date(since)?.getTime() },
      {
        title: 'Last activity',
        text: ({ lastActivity }) => ago(date(lastActivity), new Date()),
        sort: ({ lastActivity }) => date(lastActivity)?.getTime(),
      },
      {
        title: 'Files',
        kind: 'number',
        text: ({ filesOpen }) => (filesOpen === undefined || filesOpen === null ? '–' : value(filesOpen)),
        sort: ({ filesOpen }) => filesOpen,
      },
      { title: 'In', kind: 'number', fill: traffic('bytesIn', 'inPerSecond'), sort: ({ bytesIn }) => bytesIn },
      { title: 'Out', kind: 'number', fill: traffic('bytesOut', 'outPerSecond'), sort: ({ bytesOut }) => bytesOut },
      { title: 'Queue', kind: 'number', text: ({ queuedBytes }) => bytes(queuedBytes), sort: ({ queuedBytes }) => queuedBytes },
      {
        title: 'Kept for',
        kind: 'number',
        text: ({ endsAt }) => (endsAt === undefined ? '–' : countdown(endsAt - performance.now())),
        sort: ({ endsAt }) => endsAt,
      },
      { title: 'Actions', kind: 'actions', fill: fillActions },
    ],
  });

  /** @param {HTMLElement} cell @param {Row} row */
  function fillActions(cell, { sessionId }) {
    if (cell.firstChild) return;
    cell.append(
      h('button', { type: 'button', class: 'small danger', 'aria-label': `End session ${sessionId}`, onclick: () => end(sessionId) }, 'End'),
    );
  }

  /** @param {number} sessionId */
  async function end(sessionId) {
    const isSure = await confirm({
      title: `End session ${sessionId}?`,
      text: 'Its page loses everything that is open in it, and nothing of it is kept.',
      action: 'End the session',
    });
    if (!isSure) return;
    try {
      await server.call(CAPABILITY, 'end', { sessionId });
      problem.show(undefined);
    } catch (error) {
      problem.show(`Session ${sessionId} was not ended. ${sentence(error)}`);
    }
  }

  /** @param {{ sessions: Session[] }} update */
  function take({ sessions }) {
    const now = performance.now();
    if (rows) {
      const told = news(rows, sessions);
      if (told.length > 0) announce(told.slice(0, 3).join(' '));
    }
    for (const meter of Object.values(meters)) meter.keep(sessions.map(({ sessionId }) => sessionId));
    rows = sessions.map((session) => ({
      ...session,
      inPerSecond: meters.in.take(session.sessionId, now, session.bytesIn),
      outPerSecond: meters.out.take(session.sessionId, now, session.bytesOut),
      endsAt: typeof session.endsInMs === 'number' ? now + session.endsInMs : undefined,
    }));
    problem.show(undefined);
    table.update(rows);
    const states = ['live', 'parked', 'stored'].map((name) => `${rows?.filter(({ state }) => state === name).length} ${name}`);
    write(count, `${counted(rows.length, 'session')}: ${states.join(', ')}.`);
  }

  const message = messageOfTheDay(server);
  return {
    element: h('div', {}, count, problem.element, table.element, message.element),
    show() {
      if (stops.length > 0) return;
      const tick = setInterval(() => rows && table.update(rows), 1000);
      stops = [
        () => clearInterval(tick),
        server.watch(CAPABILITY, 'watch', {}, take, (error) => problem.show(`The list is not up to date. ${sentence(error)}`)),
      ];
      void message.refresh();
    },
    hide() {
      stops.splice(0).forEach((stop) => stop());
      rows = undefined;
    },
  };
}

/** @param {HTMLElement} cell @param {string} state */
function fillState(cell, state) {
  const badge = cell.firstElementChild ?? cell.appendChild(h('span', { class: 'badge' }));
  badge.setAttribute('data-state', state);
  write(badge, state);
}

/**
 * Bytes, and below them how many per second.
 *
 * @param {'bytesIn' | 'bytesOut'} total
 * @param {'inPerSecond' | 'outPerSecond'} rate
 */
function traffic(total, rate) {
  return (/** @type {HTMLElement} */ cell, /** @type {Row} */ row) => {
    if (!cell.firstChild) cell.append(h('span'), h('small'));
    const [sum, speed] = cell.children;
    if (sum) write(sum, bytes(row[total]));
    if (speed) write(speed, byteRate(row[rate]));
  };
}

/** @param {import('./server.js').Server} server */
function messageOfTheDay(server) {
  const problem = new Problem();
  const text = h('textarea', { rows: 2, maxlength: 4000 });
  const done = h('span', { role: 'status', class: 'done' });
  const save = async (/** @type {Event} */ event) => {
    event.preventDefault();
    write(done, '');
    try {
      await server.call(CAPABILITY, 'setMessageOfTheDay', { text: text.value });
      problem.show(undefined);
      write(done, 'Saved.');
    } catch (error) {
      problem.show(`The message was not saved. ${sentence(error)}`);
    }
  };
  const element = h(
    'form',
    { class: 'card', onsubmit: save },
    h('h2', {}, 'Message of the day'),
    field('Message', text, 'Shown to everybody who connects. Administrators can change it; leave it empty for none.'),
    problem.element,
    h('div', { class: 'actions' }, h('button', {}, 'Save'), done),
  );
  const refresh = async () => {
    // What is being written is not overwritten.
    if (document.activeElement === text) return;
    try {
      const answer = await server.call(CAPABILITY, 'messageOfTheDay');
      text.value = answer.text ?? '';
      problem.show(undefined);
    } catch (error) {
      problem.show(sentence(error));
    }
  };
  return { element, refresh };
}
