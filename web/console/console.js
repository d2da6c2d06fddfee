/**
 * The console's page: its views, which of them is shown, and how the connection is.
 */

import { Problem, field, h, part, write } from './dom.js';
import { filesView } from './files.js';
import { sentence } from './format.js';
import { jobsView } from './jobs.js';
import { rulesView } from './rules.js';
import { metricsView } from './metrics.js';
import { fragment, parse } from './route.js';
import { scriptingView } from './scripting.js';
import { Server, takeToken } from './server.js';
import { sessionsView } from './sessions.js';
import { themeButton } from './theme.js';

/**
 * A part of the page. It is made once, and told when it comes into sight and when it leaves.
 *
 * @typedef {object} View
 * @property {HTMLElement} element
 * @property {(parameters: {[name: string]: string}) => void} show also called when only the parameters change
 * @property {() => void} hide
 */

/** @type {{[name: string]: { title: string, make: (server: Server) => View }}} */
const VIEWS = {
  sessions: { title: 'Sessions', make: sessionsView },
  jobs: { title: 'Jobs', make: jobsView },
  metrics: { title: 'Metrics', make: metricsView },
  files: { title: 'Files', make: filesView },
  scripting: { title: 'Scripting', make: scriptingView },
  rules: { title: 'Log rules', make: rulesView },
};
const NAMES = Object.keys(VIEWS);

/** @type {{[state in import('./server.js').State]: string}} */
const CONNECTION = {
  connecting: 'Connecting …',
  connected: 'Connected',
  reconnecting: 'Reconnecting …',
  restarted: 'Connected, the server was restarted',
  refused: 'Not connected',
  failed: 'Not connected',
};

const main = part('main');
const mark = part('connection');

/** @param {import('./server.js').State} state */
function showConnection(state) {
  mark.dataset['state'] = state;
  write(mark, CONNECTION[state]);
  if (state === 'refused') askForToken(new Error('The server was started again with another token.'));
}

const server = new Server(showConnection);

/** Those that have been in sight. @type {Map<string, { view: View, section: HTMLElement, heading: HTMLElement }>} */
const made = new Map();
/** @type {string | undefined} */
let shown;

const links = new Map(
  NAMES.map((name) => [name, h('a', { href: fragment(name) }, VIEWS[name]?.title ?? name)]),
);

/** @param {string} name */
function make(name) {
  const known = made.get(name);
  if (known) return known;
  const { title, make } = VIEWS[name] ?? { title: name, make: sessionsView };
  const view = make(server);
  const heading = h('h1', { tabindex: -1 }, title);
  const section = h('section', { id: `view-${name}`, 'aria-label': title }, heading, view.element);
  const entry = { view, section, heading };
  made.set(name, entry);
  main.append(section);
  return entry;
}

/** Shows what the address says. @param {boolean} isByUser whether the focus goes along */
function follow(isByUser) {
  const { view: name, parameters } = parse(location.hash, NAMES);
  const entry = make(name);
  const isOther = shown !== name;
  if (isOther) {
    const before = shown === undefined ? undefined : made.get(shown);
    before?.view.hide();
    shown = name;
    for (const [other, { section }] of made) section.hidden = other !== name;
    for (const [other, link] of links) {
      if (other === name) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    document.title = `${VIEWS[name]?.title} – Chartroom console`;
  }
  entry.view.show(parameters);
  if (isOther && isByUser) {
    entry.heading.focus({ preventScroll: true });
    scrollTo({ top: 0 });
  }
}

/** Asks for a token in the place of all views, after the server did not take the one there was, or could not be reached. @param {unknown} error */
function askForToken(error) {
  const problem = new Problem();
  const input = h('input', { type: 'password', name: 'token', autocomplete: 'off', required: true });
  const form = h(
    'form',
    {
      class: 'card narrow',
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        // By way of the address, since the server knows the page by a cookie that it makes of it.
        const address = new URL(location.href);
        address.searchParams.set('token', input.value.trim());
        location.replace(address);
      },
    },
    h('h1', {}, 'Not connected'),
    problem.element,
    h('p', {}, 'Open the address that the server printed when it started, with /console in it, or enter its token here.'),
    field('Token', input),
    h('div', { class: 'actions' }, h('button', { class: 'primary' }, 'Connect')),
  );
  main.replaceChildren(form);
  problem.show(sentence(error));
  input.focus();
}

async function start() {
  const token = takeToken();
  themeButton(part('theme'));
  part('skip').addEventListener('click', (event) => {
    // The fragment of the address is the view's.
    event.preventDefault();
    main.focus();
  });
  part('views').append(h('ul', {}, [...links.values()].map((link) => h('li', {}, link))));
  try {
    await server.connect(token);
  } catch (error) {
    askForToken(error);
    return;
  }
  addEventListener('hashchange', () => main.querySelector('form.narrow') || follow(true));
  follow(false);
  // What a chart shows begins when the page is opened, not when it is looked at.
  make('metrics').section.hidden = shown !== 'metrics';
  const answer = await server.call('chartroom.server@1', 'version').catch(() => undefined);
  if (typeof answer?.version === 'string') write(part('version'), `Version ${answer.version}`);
}

void start();
