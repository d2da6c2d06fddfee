// The page of the chat. Everything about connections is the client's affair.

import { bootstrap } from './client.js';

const CHAT = { capability: 'chat@1' };
const [connection, older, thread, typing, form, name, text] = [
  'connection', 'older', 'thread', 'typing', 'form', 'name', 'text',
].map((id) => document.getElementById(id));

/** The messages that are shown, by number. */
const shown = new Map();

const { rpc } = await bootstrap();
rpc.onLinkChange.add((isUp) => (connection.textContent = isUp ? 'connected' : 'reconnecting'));
connection.textContent = 'connected';

function show(messages) {
  for (const message of messages) shown.set(message.number, message);
  const sorted = [...shown.values()].sort((a, b) => a.number - b.number);
  thread.replaceChildren(
    ...sorted.map(({ from, text }) => {
      const item = document.createElement('li');
      const author = document.createElement('strong');
      author.textContent = `${from}: `;
      item.append(author, text);
      return item;
    }),
  );
  older.hidden = !sorted.length || sorted[0].number === 1;
}

const changes = {
  thread: show,
  message: (message) => show([message]),
  typing: (names) => (typing.textContent = names.length ? `${names.join(', ')} …` : ''),
};

/** Each update is a change and what it is about. After a lost connection the first one is the thread again. */
async function follow() {
  const subscription = await rpc.subscribe(CHAT, 'thread');
  for await (const update of subscription) {
    for (const [kind, value] of Object.entries(update)) changes[kind]?.(value);
  }
}

older.addEventListener('click', async () => {
  const number = Math.min(...shown.keys());
  const { result } = await rpc.request({ route: CHAT, path: 'history', args: [number] });
  show(result);
});

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const message = { from: name.value, text: text.value };
  text.value = '';
  try {
    // With a key the message is posted once, also if the connection is lost before the answer comes.
    await rpc.request({ route: CHAT, path: 'post' }, message, { idempotencyKey: crypto.randomUUID() });
  } catch (error) {
    text.value = message.text;
    typing.textContent = error.message;
  }
});

let pause;
const tell = (name) => rpc.emit(CHAT, 'typing', { name }).catch(() => {});
text.addEventListener('input', () => {
  if (!pause) tell(name.value);
  clearTimeout(pause);
  pause = setTimeout(() => {
    pause = undefined;
    tell(null);
  }, 2000);
});

await follow();
