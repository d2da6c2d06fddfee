/**
 * Small tools for elements: making them, telling of changes, asking for confirmation.
 */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An element with attributes, listeners (`onclick`) and children.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {{[attribute: string]: unknown}} [attributes] false, null and undefined are left out, true is an empty one
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  assign(element, attributes);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false).map(String_));
  return element;
}

/** @param {any} child @returns {Node | string} */
const String_ = (child) => (child instanceof Node ? child : String(child));

const SVG = 'http://www.w3.org/2000/svg';

/**
 * The same for an element of SVG.
 *
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} name
 * @param {{[attribute: string]: unknown}} [attributes]
 * @param {...Node} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  assign(element, attributes);
  element.append(...children);
  return element;
}

/** @param {Element} element @param {{[attribute: string]: unknown}} attributes */
function assign(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') {
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
}

/** Writes a text if it is another, so that selections and screen readers are left in peace. @param {Element} element @param {string} text */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** An element of index.html. @param {string} id @returns {HTMLElement} */
export function part(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`There is no element ${id}.`);
  return element;
}

let lastId = 0;

/** An id that no other element has. */
export const freshId = () => `id-${(lastId += 1)}`;

/** Tells those who listen to the page, when they have heard what is before it. @param {string} text */
export function announce(text) {
  const place = part('announcements');
  // The same words again are news only if they were gone in between.
  place.textContent = '';
  requestAnimationFrame(() => (place.textContent = text));
}

/**
 * A labelled control.
 *
 * @template {HTMLElement} E
 * @param {string} label
 * @param {E} control
 * @param {string} [hint]
 */
export function field(label, control, hint) {
  control.id ||= freshId();
  const described = hint ? h('small', { id: `${control.id}-hint` }, hint) : undefined;
  if (described) control.setAttribute('aria-describedby', described.id);
  return h('div', { class: 'field' }, h('label', { for: control.id }, label), control, described);
}

/** @param {[value: string, label: string][]} choices @param {{[attribute: string]: unknown}} [attributes] */
export const select = (choices, attributes = {}) =>
  h('select', attributes, choices.map(([value, label]) => h('option', { value }, label)));

/** Other choices for a select; what was chosen stays chosen if it is still there. @param {HTMLSelectElement} element @param {[value: string, label: string][]} choices */
export function offer(element, choices) {
  const offered = JSON.stringify(choices);
  if (element.dataset['offered'] === offered) return;
  const { value } = element;
  element.replaceChildren(...choices.map(([value, label]) => h('option', { value }, label)));
  if (choices.some(([offered]) => offered === value)) element.value = value;
  element.dataset['offered'] = offered;
}

/** A place for the sentence about what went wrong; it is empty as long as nothing did. */
export class Problem {
  element = h('p', { class: 'problem', role: 'alert', hidden: true });

  /** @param {string | undefined} sentence */
  show(sentence) {
    write(this.element, sentence ?? '');
    this.element.hidden = !sentence;
  }
}

/**
 * Asks before something that cannot be taken back.
 *
 * @param {object} question
 * @param {string} question.title
 * @param {string} question.text
 * @param {string} question.action the button that does it
 * @returns {Promise<boolean>}
 */
export function confirm({ title, text, action }) {
  return new Promise((resolve) => {
    const [heading, words] = [freshId(), freshId()];
    const dialog = h(
      'dialog',
      { 'aria-labelledby': heading, 'aria-describedby': words, onclose: () => finish(dialog.returnValue === 'yes') },
      h('h2', { id: heading }, title),
      h('p', { id: words }, text),
      h(
        'div',
        { class: 'actions' },
        h('button', { type: 'button', autofocus: true, onclick: () => dialog.close('') }, 'Keep'),
        h('button', { type: 'button', class: 'danger', onclick: () => dialog.close('yes') }, action),
      ),
    );
    const finish = (/** @type {boolean} */ isSure) => {
      dialog.remove();
      resolve(isSure);
    };
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * Tabs as the ARIA Authoring Practices describe them: arrow keys go from one to the next, Home and End to the ends.
 *
 * @param {string} label
 * @param {{ title: string, panel: HTMLElement, shown?: () => void }[]} tabs
 */
export function tabs(label, tabs) {
  const buttons = tabs.map(({ title, panel }) => {
    panel.id ||= freshId();
    const id = freshId();
    panel.setAttribute('role', 'tabpanel');
    panel.setAttribute('aria-labelledby', id);
    panel.tabIndex = 0;
    return h('button', { type: 'button', role: 'tab', id, 'aria-controls': panel.id }, title);
  });
  const choose = (/** @type {number} */ chosen, hasFocus = false) => {
    buttons.forEach((button, i) => {
      button.setAttribute('aria-selected', String(i === chosen));
      button.tabIndex = i === chosen ? 0 : -1;
      if (tabs[i]) tabs[i].panel.hidden = i !== chosen;
    });
    if (hasFocus) buttons[chosen]?.focus();
    tabs[chosen]?.shown?.();
  };
  /** @type {{[key: string]: (at: number) => number}} */
  const keys = {
    ArrowRight: (at) => (at + 1) % tabs.length,
    ArrowLeft: (at) => (at + tabs.length - 1) % tabs.length,
    Home: () => 0,
    End: () => tabs.length - 1,
  };
  buttons.forEach((button, i) => {
    button.addEventListener('click', () => choose(i));
    button.addEventListener('keydown', (event) => {
      const next = keys[event.key]?.(i);
      if (next === undefined) return;
      event.preventDefault();
      choose(next, true);
    });
  });
  const element = h(
    'div',
    { class: 'tabbed' },
    h('div', { role: 'tablist', 'aria-label': label }, buttons),
    tabs.map(({ panel }) => panel),
  );
  return { element, choose };
}
