/**
 * Which view is shown, as the fragment of the page's address says: `#files?directory=m51&file=co.fits`.
 * Nothing here touches the page.
 *
 * @typedef {{ view: string, parameters: {[name: string]: string} }} Route
 */

/**
 * @param {string} fragment with or without `#`
 * @param {readonly string[]} views the first is shown when none or an unknown one is named
 * @returns {Route}
 */
export function parse(fragment, views) {
  const [name = '', query = ''] = fragment.replace(/^#/, '').split(/\?(.*)/s);
  const view = views.includes(name) ? name : (views[0] ?? '');
  return { view, parameters: view === name ? Object.fromEntries(new URLSearchParams(query)) : {} };
}

/**
 * The fragment of a route, with `#`. Parameters that are empty are left out.
 *
 * @param {string} view
 * @param {{[name: string]: string | undefined}} [parameters]
 */
export function fragment(view, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value) query.set(name, value);
  const text = query.toString();
  return text ? `#${view}?${text}` : `#${view}`;
}

/**
 * The folders on the way to a folder, from the top: for `a/b` those of `a` and `a/b`.
 *
 * @param {string} directory
 * @returns {{ name: string, directory: string }[]}
 */
export function trail(directory) {
  const names = directory.split('/').filter((name) => name !== '' && name !== '.');
  return names.map((name, i) => ({ name, directory: names.slice(0, i + 1).join('/') }));
}

/** @param {string} directory @param {string} name */
export const join = (directory, name) => [...trail(directory).map((step) => step.name), name].join('/');

/**
 * An address without its token, and the token.
 *
 * @param {string} address
 * @returns {{ address: string, token: string | undefined }}
 */
export function withoutToken(address) {
  const url = new URL(address);
  const token = url.searchParams.get('token') ?? undefined;
  url.searchParams.delete('token');
  return { address: url.href, token: token || undefined };
}
