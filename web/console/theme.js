/**
 * Light or dark: as the system has it, or as was chosen here. It runs before the page is drawn.
 */

import { recall, remember, storage } from './storage.js';

const KEY = 'chartroom.console.theme';
const NAMES = { system: 'auto', light: 'light', dark: 'dark' };

/** @typedef {keyof typeof NAMES} Theme */

/** @param {unknown} name @returns {Theme} */
const known = (name) => (name === 'light' || name === 'dark' ? name : 'system');

let theme = known(recall(storage('local'), KEY));

function apply() {
  document.documentElement.dataset['theme'] = theme;
}

/** Makes a button go from one theme to the next. @param {HTMLElement} button */
export function themeButton(button) {
  const show = () => (button.textContent = `Theme: ${NAMES[theme]}`);
  button.addEventListener('click', () => {
    const order = /** @type {Theme[]} */ (Object.keys(NAMES));
    theme = order[(order.indexOf(theme) + 1) % order.length] ?? 'system';
    remember(storage('local'), KEY, theme === 'system' ? undefined : theme);
    apply();
    show();
  });
  show();
}

apply();
