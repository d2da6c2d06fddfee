import assert from 'node:assert/strict';
import { test } from 'node:test';

import { randomOf } from './support/random.mjs';
import { World } from './support/world.mjs';

const SEEDS = Number(process.env.CHARTROOM_SEEDS ?? 300);

/** A conversation with random faults; what it took is to be what was sent, whatever happened between. */
function converse(seed) {
  const random = randomOf(seed);
  const world = new World();
  world.server.limit = random.pick([50, 1000, 8_388_608]);
  const socket = world.open();
  const { stream } = world.server;
  const sent = [];
  const replaced = new Set();
  let count = 0;
  const faults = [
    () => world.network.cut(),
    () => world.network.stall(),
    () => world.network.last.peer.close(random.pick([1001, 1011, 1013])),
    () => (world.network.isRefusing = !world.network.isRefusing),
    () => (world.network.isSilent = !world.network.isSilent),
    () => world.clock.sleep(random.below(100_000)),
    () => world.wake(),
    () => world.server.restart(),
  ];
  for (let step = 0; step < 150; step++) {
    const action = random.below(10);
    if (action < 4 && socket.bufferedAmount < world.server.limit * 7) {
      const message = `${random.pick(['', '\u0010', '\u0010='])}c${sent.length}${'x'.repeat(random.below(9))}`;
      sent.push(message);
      socket.send(message);
    } else if (action < 7) stream.send(`${random.pick(['', '\u0010'])}s${count++}`);
    else if (action === 7 && stream.sent.length > stream.acknowledged) {
      const index = stream.acknowledged + random.below(stream.sent.length - stream.acknowledged);
      replaced.add(stream.sent[index]);
      stream.replace(index);
    }
    if (action === 8) random.pick(faults)();
    world.clock.advance(random.pick([0, 3, 300, random.below(3000)]));
  }
  world.network.isRefusing = world.network.isSilent = false;
  world.clock.advance(60_000);
  const story = `seed ${seed}`;
  assert.deepEqual(world.server.complaints, [], story);
  assert.deepEqual(stream.taken, sent, story);
  const kept = (messages) => messages.filter((message) => message !== undefined && !replaced.has(message));
  assert.deepEqual(kept(socket.messages), kept(stream.sent), story);
  assert.equal(new Set(socket.messages).size, socket.messages.length, story);
  assert.equal(socket.bufferedAmount, 0, story);
  assert.equal(stream.acknowledged, stream.sent.length, story);
  assert.ok(socket.events.every((event) => !event.startsWith('close')), story);
  return world.network.connections.length;
}

test('whatever happens to links, every message arrives once and in order', () => {
  let links = 0;
  for (let seed = 0; seed < SEEDS; seed++) links += converse(seed);
  assert.ok(links > 3 * SEEDS, `only ${links} links: the faults did not happen`);
});
