/**
 * A small mark that says that a page has lost its connection and is getting it back.
 */

/** A connection that is back within this many milliseconds was not worth a word. */
const DELAY = 1000;
const TEXT = 'Reconnecting \u2026';

const STYLE = `
:host {
  all: initial;
  position: fixed;
  right: 12px;
  bottom: 12px;
  z-index: 2147483647;
  pointer-events: none;
}
[role='status']:empty { display: none; }
[role='status'] {
  display: flex;
  align-items: center;
  gap: 7px;
  padding: 5px 12px 5px 10px;
  border-radius: 999px;
  font: 500 12px/1.4 system-ui, sans-serif;
  color: #1c2127;
  background: #ffffffeb;
  box-shadow: 0 0 0 1px #11141826, 0 2px 8px #11141833;
}
[role='status']::before {
  content: '';
  width: 7px;
  height: 7px;
  border-radius: 50%;
  background: #c87619;
}
@media (prefers-color-scheme: dark) {
  [role='status'] { color: #f6f7f9; background: #252a31eb; box-shadow: 0 0 0 1px #ffffff33, 0 2px 8px #11141866; }
  [role='status']::before { background: #ec9a3c; }
}
@media (prefers-reduced-motion: no-preference) {
  [role='status']::before { animation: pulse 1.6s ease-in-out infinite; }
  @keyframes pulse { 50% { opacity: 0.25; } }
}
@media print { :host { display: none; } }
`;

export class Mark {
  #window;
  /** Those that have no connection. @type {Set<EventTarget>} */
  #waiting = new Set();
  /** @type {HTMLElement | undefined} */
  #host;
  /** @type {any} */
  #timer;

  /** @param {Window & typeof globalThis} window */
  constructor(window) {
    this.#window = window;
  }

  /**
   * @param {EventTarget} socket that dispatches `linkdown`, `linkup` and `close`
   */
  watch(socket) {
    socket.addEventListener('linkdown', () => this.#add(socket));
    socket.addEventListener('linkup', () => this.#remove(socket));
    socket.addEventListener('close', () => this.#remove(socket));
  }

  /** @param {EventTarget} socket */
  #add(socket) {
    this.#waiting.add(socket);
    if (this.#host) return;
    const { host, status } = this.#build();
    this.#host = host;
    this.#timer = this.#window.setTimeout(() => (status.textContent = TEXT), DELAY);
  }

  /** @param {EventTarget} socket */
  #remove(socket) {
    this.#waiting.delete(socket);
    if (this.#waiting.size > 0) return;
    this.#window.clearTimeout(this.#timer);
    this.#host?.remove();
    this.#host = undefined;
  }

  /**
   * The mark without its text, for only a change of what is there already is read out. It lies beside the page's body,
   * fixed, and in a shadow tree, so that neither knows of the other. A style sheet that a script constructs is allowed
   * by every Content-Security-Policy that allowed the script.
   */
  #build() {
    const { document, CSSStyleSheet } = this.#window;
    const host = document.createElement('chartroom-mark');
    const root = host.attachShadow({ mode: 'open' });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    const status = document.createElement('div');
    status.setAttribute('role', 'status');
    status.setAttribute('aria-live', 'polite');
    root.append(status);
    document.documentElement.append(host);
    return { host, status };
  }
}
