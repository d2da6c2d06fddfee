/**
 * What the server is working at, with progress, and a button to cancel each job.
 */

import { Problem, announce, h, write } from './dom.js';
import { counted, date, duration, percent, sentence } from './format.js';
import { LiveTable } from './table.js';

const CAPABILITY = 'chartroom.jobs@1';

/**
 * @typedef {object} Job
 * @property {string | number} jobId
 * @property {string} what as in "cube histogram of disk.fits"
 * @property {string} principal
 * @property {number} [sessionId]
 * @property {string} started
 * @property {number} [progress] from 0 to 1
 */

/** @param {import('./server.js').Server} server @returns {import('./console.js').View} */
export function jobsView(server) {
  const problem = new Problem();
  const count = h('p', { class: 'lead' }, 'Waiting for the list …');
  /** @type {Job[] | undefined} */
  let jobs;
  /** Those that have been told to end. @type {Set<string>} */
  const cancelled = new Set();
  /** @type {(() => void)[]} */
  let stops = [];

  /** @type {LiveTable<Job>} */
  const table = new LiveTable({
    caption: 'Jobs',
    empty: 'Nothing takes long at the moment.',
    key: ({ jobId }) => String(jobId),
    columns: [
      { title: 'Job', isHeader: true, text: ({ what }) => what, sort: ({ what }) => what },
      { title: 'Principal', kind: 'wrap', text: ({ principal }) => principal, sort: ({ principal }) => principal },
      { title: 'Session', text: ({ sessionId }) => String(sessionId ?? '–'), sort: ({ sessionId }) => sessionId },
      {
        title: 'Running for',
        kind: 'number',
        text: ({ started }) => age(started),
        sort: ({ started }) => date(started)?.getTime(),
      },
      { title: 'Progress', fill: fillProgress, sort: ({ progress }) => progress },
      { title: 'Actions', kind: 'actions', fill: fillActions },
    ],
  });

  /** @param {HTMLElement} cell @param {Job} job */
  function fillActions(cell, job) {
    const key = String(job.jobId);
    const button =
      cell.querySelector('button') ??
      cell.appendChild(h('button', { type: 'button', class: 'small', 'aria-label': `Cancel ${job.what}`, onclick: () => cancel(job) }));
    // Not disabled: a button that is loses the focus.
    write(button, cancelled.has(key) ? 'Cancelling …' : 'Cancel');
  }

  /** @param {Job} job */
  async function cancel({ jobId, what }) {
    const key = String(jobId);
    if (cancelled.has(key)) return;
    cancelled.add(key);
    refresh();
    try {
      const answer = await server.call(CAPABILITY, 'cancel', { jobId });
      problem.show(undefined);
      announce(answer.cancelled === false ? `${what} had already ended.` : `${what} was cancelled.`);
    } catch (error) {
      cancelled.delete(key);
      problem.show(`${what} was not cancelled. ${sentence(error)}`);
    }
    refresh();
  }

  function refresh() {
    if (jobs) table.update(jobs);
  }

  /** @param {{ jobs: Job[] }} update */
  function take(update) {
    jobs = update.jobs;
    const there = new Set(jobs.map(({ jobId }) => String(jobId)));
    for (const key of cancelled) if (!there.has(key)) cancelled.delete(key);
    write(count, `${counted(jobs.length, 'job')} at work.`);
    refresh();
  }

  return {
    element: h('div', {}, count, problem.element, table.element),
    show() {
      if (stops.length > 0) return;
      const tick = setInterval(refresh, 1000);
      stops = [
        () => clearInterval(tick),
        server.watch(CAPABILITY, 'watch', {}, take, (error) => problem.show(`The list is not up to date. ${sentence(error)}`)),
      ];
    },
    hide: () => stops.splice(0).forEach((stop) => stop()),
  };
}

/** @param {string} started */
function age(started) {
  const since = date(started);
  return since ? duration(Date.now() - since.getTime()) : '–';
}

/** @param {HTMLElement} cell @param {Job} job */
function fillProgress(cell, { what, progress }) {
  if (!cell.firstChild) {
    cell.append(h('div', { class: 'progress' }, h('progress', { max: 1, 'aria-label': `Progress of ${what}` }), h('span', { class: 'number' })));
  }
  const bar = cell.querySelector('progress');
  const words = cell.querySelector('span');
  if (typeof progress === 'number') {
    if (bar) bar.value = progress;
    if (words) write(words, percent(progress));
  } else {
    bar?.removeAttribute('value');
    if (words) write(words, '');
  }
}
