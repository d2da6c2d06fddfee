/**
 * Makes scripts of the modules: `node build.mjs`. `node build.mjs licences` puts the licences beside them, for a package.
 *
 * The whole client becomes `rpc/dist/rpc.js`, a module for pages without a bundler of their own; esbuild makes it small.
 *
 * The resumable socket becomes a classic script, which the server puts into the pages it serves. Every module becomes a function that is called once and returns what the module exports; they stand one after another
 * in the order in which they need each other, within one function more, so that no name gets out. Comments are left
 * out. The modules follow rules that make this as simple as it is: imports are named and on one line, exports are
 * declarations, and comments stand on lines of their own.
 */

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

import { buildSync } from 'esbuild';

const sources = new URL('resumable-socket/', import.meta.url);
export const target = fileURLToPath(new URL('dist/resumable-socket.js', sources));

const IMPORT = /^import \{ (.+) \} from '\.\/(.+)\.js';\n/gm;
const EXPORT = /^export (?=(?:class|const|function) (\w+))/gm;

const entry = fileURLToPath(new URL('rpc/index.js', import.meta.url));
export const clientTarget = fileURLToPath(new URL('rpc/dist/rpc.js', import.meta.url));

/** Names that only the modules say to each other, and that neither pages nor servers ever see: they are shortened. */
const INTERNAL = new RegExp(
  `^(${[
    'abandon|ackWait|acknowledge|active|addFirst|attempts|awaits|byId|calls|capabilities|depart|disconnected|doubt|draft',
    'ended|exposed|fail|failAll|finish|flights|handler|heard|holds|isCancellable|isDue|isOnce|isOpen|isPlain|isRenewed',
    'isRepeatable|kind|lanes|left|link|linked|look|lose|lost|missing|onSent|opened|outcome|owes|pause|planned|queue|receive',
    'refusal|release|renew|resume|sealed|sendCancel|sentAt|settle|socket|start|startedAt|stop|succeed|take|timer|welcomed|woken',
  ].join('|')})$`,
);

/** The text of the module that is the whole client. */
export function buildClient() {
  const { outputFiles } = buildSync({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    charset: 'ascii',
    mangleProps: INTERNAL,
    banner: { js: "// Chartroom, MIT OR Apache-2.0" },
  });
  return outputFiles[0].text;
}

/** The text of the script that makes a page's sockets resumable. */
export function build() {
  const modules = [...inOrder('install')].map(moduleCall);
  const script = `// Chartroom's resumable WebSocket; made by clients/js/build.mjs. MIT OR Apache-2.0
(() => {
'use strict';
${modules.join('')}install.install(window);
})();
`;
  // Throws if it is no script.
  new Script(script, { filename: target });
  return script;
}

/** A module's name after those of all that it needs. */
function inOrder(name, done = new Set()) {
  for (const [, , needed] of source(name).matchAll(IMPORT)) inOrder(needed, done);
  return done.add(name);
}

function source(name) {
  return readFileSync(new URL(`${name}.js`, sources), 'utf8').replaceAll('\r\n', '\n');
}

function moduleCall(name) {
  const text = source(name);
  const exported = [...text.matchAll(EXPORT)].map((match) => match[1]);
  const body = text
    .replace(/^[ \t]*\/\*\*[^]*?\*\/[ \t]*\n/gm, '')
    .replace(/^[ \t]*\/\/.*\n/gm, '')
    // The types within a line.
    .replace(/\/\*\* @type .*?\*\/ /g, '')
    .replace(IMPORT, (_, names, from) => `const { ${names} } = ${from};\n`)
    .replace(EXPORT, '')
    .replace(/^\s*\n/gm, '');
  return `const ${name} = (() => {\n${body}return { ${exported.join(', ')} };\n})();\n`;
}

const isCalled = process.argv[1] === fileURLToPath(import.meta.url);
if (isCalled && process.argv[2] === 'licences') {
  // A package has them with it.
  for (const name of ['LICENSE-MIT', 'LICENSE-APACHE']) copyFileSync(new URL(`../../${name}`, import.meta.url), new URL(name, import.meta.url));
} else if (isCalled) {
  writeFileSync(target, build());
  mkdirSync(dirname(clientTarget), { recursive: true });
  writeFileSync(clientTarget, buildClient());
}
