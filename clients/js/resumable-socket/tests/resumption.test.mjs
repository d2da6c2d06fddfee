import assert from 'node:assert/strict';
import { test } from 'node:test';

import { refuse } from './support/server.mjs';
import { World } from './support/world.mjs';

const OPEN = 1;

test('messages of both directions survive a cut, once and in order', () => {
  const world = new World();
  const socket = world.open();
  const { stream } = world.server;
  socket.send('one');
  stream.send('eins');
  world.clock.advance(50);
  world.network.cut();
  socket.send('two');
  stream.send('zwei');
  world.clock.advance(1);
  socket.send('three');
  stream.send('drei');
  assert.equal(socket.readyState, OPEN);
  world.clock.advance(1000);
  assert.deepEqual(stream.taken, ['one', 'two', 'three']);
  assert.deepEqual(socket.messages, ['eins', 'zwei', 'drei']);
  assert.deepEqual(socket.events, ['open', 'linkdown', 'linkup']);
  assert.deepEqual(world.server.complaints, []);
});

test('text that looks like a control message passes both ways', () => {
  const world = new World();
  const socket = world.open();
  socket.send('\u0010+1');
  world.server.stream.send('\u0010?');
  world.clock.advance(100);
  assert.deepEqual(world.server.stream.taken, ['\u0010+1']);
  assert.deepEqual(socket.messages, ['\u0010?']);
});

test('messages that newer ones have replaced are counted and not missed', () => {
  const world = new World();
  const socket = world.open();
  const { stream } = world.server;
  world.network.stall();
  for (const message of ['a', 'b1', 'b2', 'b3', 'c']) stream.send(message);
  stream.replace(1);
  stream.replace(2);
  world.network.isSilent = false;
  world.clock.advance(30_000);
  assert.deepEqual(socket.messages, ['a', 'b3', 'c']);
  world.network.cut();
  world.clock.advance(1000);
  stream.send('d');
  world.clock.advance(1000);
  assert.deepEqual(socket.messages, ['a', 'b3', 'c', 'd']);
  assert.deepEqual(world.server.complaints, []);
});

test('an acknowledgement goes right before a message, or alone after 250 ms, 32 messages, or 64 KiB', () => {
  const world = new World();
  const socket = world.open();
  const { stream } = world.server;
  const received = () => world.network.last.peer.received.slice(1);
  stream.send('a');
  world.clock.advance(10);
  socket.send('answer');
  world.clock.advance(10);
  assert.deepEqual(received(), ['\u0010+1', 'answer']);
  stream.send('b');
  world.clock.advance(200);
  assert.equal(received().length, 2);
  world.clock.advance(100);
  assert.deepEqual(received().slice(2), ['\u0010+2']);
  for (let i = 0; i < 32; i++) stream.send('c');
  world.clock.advance(10);
  assert.deepEqual(received().slice(3), ['\u0010+34']);
  stream.send(new ArrayBuffer(65536));
  world.clock.advance(10);
  assert.deepEqual(received().slice(4), ['\u0010+35']);
  world.clock.advance(1000);
  assert.equal(received().length, 5);
});

test('heartbeats of the server are answered', () => {
  const world = new World();
  world.open();
  world.server.stream.heartbeat();
  world.clock.advance(100);
  assert.equal(world.server.stream.answers, 1);
});

test('a quiet link is kept by heartbeats', () => {
  const world = new World();
  const socket = world.open();
  world.clock.advance(3_600_000);
  assert.deepEqual(socket.events, ['open']);
  assert.ok(world.server.stream.heartbeats > 300);
});

test('a link that went dead without a word is replaced within twenty seconds', () => {
  const world = new World();
  const socket = world.open();
  world.network.stall();
  world.server.stream.send('meanwhile');
  world.clock.advance(21_000);
  assert.deepEqual(socket.events, ['open', 'linkdown', 'linkup']);
  assert.deepEqual(socket.messages, ['meanwhile']);
  assert.equal(world.network.connections[0].closedWith, undefined, 'the stream must not end with the link');
});

test('a message that takes a slow line longer than any silence may last arrives in the end', () => {
  const world = new World();
  const socket = world.open();
  world.network.bytesPerSecond = 10_000;
  world.server.stream.send(new ArrayBuffer(1_000_000));
  world.server.stream.send('small');
  world.clock.advance(900_000);
  assert.equal(socket.messages.length, 2);
  assert.ok(world.network.connections.length < 8, `${world.network.connections.length} links`);
});

test('a page that wakes up notices a dead link in two seconds', () => {
  const world = new World();
  const socket = world.open();
  world.network.stall();
  world.clock.sleep(600_000);
  world.wake();
  world.clock.advance(2_500);
  assert.deepEqual(socket.events, ['open', 'linkdown', 'linkup']);
});

test('a sleep of which the browser says nothing is noticed as well', () => {
  const world = new World();
  const socket = world.open();
  world.network.stall();
  world.clock.sleep(600_000);
  world.clock.advance(4_500);
  assert.deepEqual(socket.events, ['open', 'linkdown', 'linkup']);
});

test('a page that wakes up keeps a link that lives', () => {
  const world = new World();
  const socket = world.open();
  world.clock.sleep(600_000);
  world.wake();
  world.clock.advance(60_000);
  assert.deepEqual(socket.events, ['open']);
});

test('attempts to connect are spread and become rarer, and go on until the server is back', () => {
  const world = new World();
  world.chance = 0.999;
  const socket = world.open();
  world.network.isRefusing = true;
  world.network.cut();
  world.clock.advance(60_000);
  const attempts = world.network.connections.length - 1;
  assert.ok(attempts >= 14 && attempts <= 18, `${attempts} attempts`);
  world.network.isRefusing = false;
  world.clock.advance(6_000);
  assert.deepEqual(socket.events, ['open', 'linkdown', 'linkup']);
});

test('attempts that fail without a close event are tried again as fast as others', () => {
  const world = new World();
  world.network.isNode = true;
  const socket = world.open();
  world.network.isRefusing = true;
  world.network.cut();
  world.clock.advance(5000);
  assert.ok(world.network.connections.length > 4, `${world.network.connections.length}`);
  world.network.isRefusing = false;
  world.clock.advance(5000);
  assert.deepEqual(socket.events, ['open', 'linkdown', 'linkup']);
  world.network.isRefusing = true;
  const first = world.open();
  assert.deepEqual(first.events, ['error', 'close 1006 false']);
});

test('an attempt that hangs is given up', () => {
  const world = new World();
  const socket = world.open();
  world.network.isSilent = true;
  world.network.cut();
  world.clock.advance(9_000);
  assert.equal(world.network.connections.length, 2);
  world.network.isSilent = false;
  world.clock.advance(3_000);
  assert.deepEqual(socket.events, ['open', 'linkdown', 'linkup']);
});

test('a page that is online or visible again tries at once', () => {
  const world = new World();
  world.chance = 0.999;
  const socket = world.open();
  world.network.isRefusing = true;
  world.network.cut();
  world.clock.advance(58_000);
  world.network.isRefusing = false;
  world.wake();
  world.clock.advance(50);
  assert.deepEqual(socket.events, ['open', 'linkdown', 'linkup']);
});

test('a server that falls over at every welcome is not stormed', () => {
  const world = new World();
  world.chance = 0.999;
  world.open();
  world.server.liveness = 30;
  world.network.cut();
  for (let i = 0; i < 6000; i++) {
    world.clock.advance(10);
    if (world.server.stream.link) world.network.cut();
  }
  assert.ok(world.network.connections.length < 22, `${world.network.connections.length} connections`);
});

test('after the retention time the stream is over, with an ordinary close', () => {
  const world = new World();
  world.server.retention = 60;
  const socket = world.open();
  world.network.isRefusing = true;
  world.network.cut();
  world.clock.advance(59_000);
  assert.equal(socket.readyState, OPEN);
  world.clock.advance(10_000);
  assert.deepEqual(socket.events, ['open', 'linkdown', 'error', 'close 1006 false']);
  assert.equal(world.clock.pending, 0);
  assert.equal(world.observers, 0);
});

test('the retention time goes on while the machine sleeps', () => {
  const world = new World();
  const socket = world.open();
  world.network.stall();
  world.clock.sleep(3_700_000);
  world.wake();
  world.clock.advance(3_000);
  assert.deepEqual(socket.events, ['open', 'error', 'close 1006 false']);
});

test('a link that survived a sleep longer than the retention time is kept', () => {
  const world = new World();
  const socket = world.open();
  world.clock.sleep(3_700_000);
  world.wake();
  world.clock.advance(60_000);
  assert.deepEqual(socket.events, ['open']);
});

test('a refusal is surfaced as an ordinary close with code 4410', () => {
  const world = new World();
  const socket = world.open();
  world.server.streams.clear();
  world.network.cut();
  world.clock.advance(5_000);
  assert.deepEqual(socket.events, ['open', 'linkdown', 'close 4410 true']);
  assert.equal(world.clock.pending, 0);
});

test('a server that is stopping is tried again', () => {
  const world = new World();
  const socket = world.open();
  let refusals = 0;
  world.server.greet = (_, peer) => {
    refusals += 1;
    if (refusals > 3) return false;
    refuse(peer, 'stopping');
    return true;
  };
  world.network.cut();
  world.clock.advance(10_000);
  assert.deepEqual(socket.events, ['open', 'linkdown', 'linkup']);
});

test('final codes of the server end the stream, all others only the link', () => {
  const expectations = [
    [[1000, 4000, 4399, 4400, 4408, 4409, 4410, 4411, 4499], (code) => ['open', `close ${code} true`]],
    [[1001, 1005, 1008, 1011, 1012, 1013, 3000, 4401, 4407, 4500], () => ['open', 'linkdown', 'linkup']],
  ];
  for (const [codes, events] of expectations) {
    for (const code of codes) {
      const world = new World();
      const socket = world.open();
      world.network.last.peer.close(code);
      world.clock.advance(5_000);
      assert.deepEqual(socket.events, events(code), `code ${code}`);
    }
  }
});

test('a breach of the protocol by the server ends the stream with code 4400', () => {
  const welcome = (members) =>
    `\u0010${JSON.stringify({
      welcome: { stream: 's', epoch: 'e', resumed: true, received: 0, retention: 1, liveness: 1, limit: 1, ...members },
    })}`;
  const breaches = ['\u0010+1', '\u0010x', '\u0010~0', welcome({})];
  for (const breach of breaches) {
    const world = new World();
    const socket = world.open();
    world.network.last.peer.send(breach);
    world.clock.advance(100);
    assert.deepEqual(socket.events, ['open', 'error', 'close 4400 false'], breach);
    assert.equal(world.network.last.closedWith, 4400);
  }
});

test('a welcome that takes the stream for another one ends it', () => {
  for (const members of [{ resumed: false, secret: 'x' }, { stream: 'other' }, { received: 1 }]) {
    const world = new World();
    const socket = world.open();
    const name = world.server.stream.name;
    world.server.greet = (_, peer) => {
      const base = { stream: name, epoch: 'e', resumed: true, received: 0, retention: 60, liveness: 30, limit: 100 };
      peer.send(`\u0010${JSON.stringify({ welcome: { ...base, ...members } })}`);
      return true;
    };
    world.network.cut();
    world.clock.advance(1000);
    assert.deepEqual(socket.events, ['open', 'linkdown', 'error', 'close 4400 false']);
  }
});

test('a server that lost what it had acknowledged is a gap, surfaced with code 4410', () => {
  const world = new World();
  const socket = world.open();
  socket.send('one');
  world.clock.advance(100);
  world.server.stream.taken.length = 0;
  world.network.cut();
  world.clock.advance(1000);
  assert.deepEqual(socket.events, ['open', 'linkdown', 'close 4410 true']);
});

test('a restarted server gets again what it had not acknowledged', () => {
  const world = new World();
  world.server.acknowledges = false;
  const socket = world.open();
  const { stream } = world.server;
  socket.send('one');
  world.clock.advance(100);
  stream.store();
  world.clock.advance(100);
  socket.send('two');
  socket.send('three');
  world.clock.advance(100);
  world.network.cut();
  world.clock.advance(1000);
  assert.deepEqual(stream.taken, ['one', 'two', 'three'], 'sent again without a restart');
  world.network.cut();
  world.server.epoch = 'epoch-2';
  world.clock.advance(1000);
  assert.deepEqual(stream.taken, ['one', 'two', 'three']);
  assert.equal(stream.stored, 1);
  assert.deepEqual(socket.events, ['open', 'linkdown', 'linkup', 'linkdown', 'linkup']);
  assert.deepEqual(world.server.complaints, []);
});

test('every hello for a stream has a higher attempt than the one before', () => {
  const world = new World();
  world.open();
  const attempts = [];
  world.server.greet = ({ attempt }) => {
    attempts.push(attempt);
    return false;
  };
  for (let i = 0; i < 3; i++) {
    world.network.cut();
    world.clock.advance(1000);
  }
  assert.deepEqual(attempts, [1, 2, 3]);
});

test('a page that is going away does not reconnect, and does when it comes back', () => {
  const world = new World();
  const socket = world.open();
  world.leave();
  assert.equal(world.network.last.readyState, OPEN, 'the browser closes the link itself');
  world.network.cut();
  world.clock.advance(60_000);
  assert.equal(world.network.connections.length, 1);
  world.wake();
  world.clock.advance(100);
  assert.deepEqual(socket.events, ['open', 'linkdown', 'linkup']);
});

test('a page that goes away while it has no link stops trying', () => {
  const world = new World();
  world.open();
  world.network.isRefusing = true;
  world.network.cut();
  world.clock.advance(100);
  world.leave();
  const { length } = world.network.connections;
  world.clock.advance(60_000);
  assert.ok(world.network.connections.length <= length + 1);
});

test('the first connection fails as any WebSocket, and is not tried again', () => {
  const world = new World();
  world.network.isRefusing = true;
  const socket = world.open();
  world.clock.advance(60_000);
  assert.deepEqual(socket.events, ['error', 'close 1006 false']);
  assert.equal(world.network.connections.length, 1);
  assert.equal(world.clock.pending, 0);
  assert.equal(world.observers, 0);
});

test('a server that never welcomes is a connection that failed', () => {
  const world = new World();
  world.server.greet = () => true;
  const socket = world.open();
  world.clock.advance(10_100);
  assert.deepEqual(socket.events, ['error', 'close 1006 false']);
});

test('a server that closes instead of welcoming is heard', () => {
  const world = new World();
  world.server.greet = (_, peer) => {
    peer.close(4003);
    return true;
  };
  assert.deepEqual(world.open().events, ['close 4003 true']);
});

test('closing tells the server that the stream has ended', () => {
  const world = new World();
  const socket = world.open();
  socket.send('last');
  socket.close();
  world.clock.advance(100);
  assert.deepEqual(socket.events, ['open', 'close 1005 true']);
  assert.equal(world.network.last.closedWith, 1000);
  assert.equal(world.server.streams.size, 0);
});

test('closing without a link delivers what was sent, and the end, by another one', () => {
  const world = new World();
  const socket = world.open();
  const { stream } = world.server;
  world.network.cut();
  world.clock.advance(1);
  socket.send('last');
  socket.close(3001, 'enough');
  world.clock.advance(1000);
  assert.deepEqual(stream.taken, ['last']);
  assert.equal(stream.endedWith, 3001);
  assert.deepEqual(socket.events, ['open', 'linkdown', 'linkup', 'close 3001 true']);
});

test('closing where no link is to be had ends after ten seconds', () => {
  const world = new World();
  const socket = world.open();
  world.network.isRefusing = true;
  world.network.cut();
  world.clock.advance(1);
  socket.close();
  world.clock.advance(10_001);
  assert.deepEqual(socket.events.slice(2), ['error', 'close 1006 false']);
  assert.equal(world.clock.pending, 0);
});

test('messages wait while the server does not acknowledge, and far too many close the socket', () => {
  const world = new World();
  world.server.limit = 10;
  world.server.acknowledges = false;
  const socket = world.open();
  const { stream } = world.server;
  for (let i = 0; i < 20; i++) socket.send('four');
  world.clock.advance(100);
  assert.equal(stream.taken.length, 2);
  assert.equal(socket.bufferedAmount, 72);
  stream.store();
  world.clock.advance(100);
  assert.equal(stream.taken.length, 4);
  for (let i = 0; i < 3; i++) socket.send('four');
  assert.equal(socket.readyState, 2);
  world.clock.advance(100);
  assert.deepEqual(socket.events, ['open', 'error', 'close 4413 false']);
  assert.equal(world.network.last.closedWith, 4413);
});

test('a server that chooses one of the application’s subprotocols has an ordinary WebSocket', () => {
  const world = new World();
  const peers = [];
  world.network.accept = (peer) => {
    peers.push(peer);
    return 'chat';
  };
  const socket = world.open('wss://other.example/', ['chat']);
  assert.equal(socket.protocol, 'chat');
  socket.send('\u0010+1');
  peers[0].send('\u0010?');
  world.clock.advance(100);
  assert.deepEqual(peers[0].received, ['\u0010+1']);
  assert.deepEqual(socket.messages, ['\u0010?']);
  world.network.cut();
  world.clock.advance(60_000);
  assert.deepEqual(socket.events, ['open', 'error', 'close 1006 false']);
  assert.equal(world.network.connections.length, 1);
});
