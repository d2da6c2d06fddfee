/**
 * The server's side of docs/resume-protocol.md, written for the tests from that page alone: it shares no code with the
 * client, and it never forgets a message, so that it can tell whether what the client says is true.
 */

const DLE = '\u0010';
const PROTOCOL = 'chartroom.resume.v1';

export class Server {
  /** Streams by their names. */
  streams = new Map();
  epoch = 'epoch-1';
  retention = 3600;
  liveness = 30;
  limit = 8 * 1024 * 1024;
  /** Every breach of the protocol by the client. */
  complaints = [];
  /** Whether acknowledgements are sent. */
  acknowledges = true;
  /** Answers a hello in another way: given its object, returns true if it did. */
  greet = () => false;
  /** Called with the stream and every message of the application. */
  onmessage = () => {};

  constructor(network) {
    this.network = network;
    network.accept = (peer, protocols) => this.#accept(peer, protocols);
  }

  /** The only stream there is. */
  get stream() {
    return [...this.streams.values()].at(-1);
  }

  /** Everything that the server held in memory is gone. */
  restart() {
    this.epoch += "'";
    for (const stream of this.streams.values()) stream.link = undefined;
    this.network.cut();
  }

  #accept(peer, protocols) {
    if (!protocols.includes(PROTOCOL)) return '';
    let stream;
    peer.onmessage = (data) => {
      if (stream) return stream.link === peer ? stream.receive(data) : undefined;
      stream = this.#greeted(peer, data);
    };
    peer.onclose = (code) => {
      if (stream?.link !== peer) return;
      stream.link = undefined;
      stream.endedWith = code;
      if (code === 1000 || code === 1001 || code >= 3000) this.streams.delete(stream.name);
    };
    return PROTOCOL;
  }

  #greeted(peer, data) {
    const { hello } = JSON.parse(data.slice(1));
    if (this.greet(hello, peer)) return undefined;
    if (hello.stream === undefined) {
      const stream = new Stream(this, `stream-${this.streams.size + 1}`);
      this.streams.set(stream.name, stream);
      this.#welcome(peer, stream, { resumed: false, secret: stream.secret });
      return stream;
    }
    const stream = this.streams.get(hello.stream);
    if (!stream || hello.secret !== stream.secret) {
      refuse(peer, 'unknown');
      return undefined;
    }
    if (hello.attempt <= stream.attempt) {
      peer.close(1013);
      return undefined;
    }
    stream.attempt = hello.attempt;
    if (stream.epoch !== this.epoch) stream.rebuild(hello);
    stream.epoch = this.epoch;
    if (stream.link) stream.link.close(4409);
    this.#welcome(peer, stream, { resumed: true });
    stream.resume(hello);
    return stream;
  }

  #welcome(peer, stream, members) {
    const { epoch, retention, liveness, limit } = this;
    const welcome = { stream: stream.name, epoch, received: stream.taken.length, retention, liveness, limit };
    peer.send(DLE + JSON.stringify({ welcome: { ...welcome, ...members, unknown: 'member' } }));
    stream.link = peer;
  }
}

export function refuse(peer, reason) {
  peer.send(DLE + JSON.stringify({ refused: { reason, message: `It is ${reason}.` } }));
  peer.close(4410);
}

class Stream {
  secret = 'secret';
  link;
  endedWith;
  /** Messages of the client, oldest first. */
  taken = [];
  /** Messages to the client, oldest first; `undefined` is one that a newer one has replaced. */
  sent = [];
  /** How many of them the client has acknowledged. */
  acknowledged = 0;
  /** Acknowledgements of the client, as [time, count]. */
  acknowledgements = [];
  /** How many messages of the client have effects that are stored. */
  stored = 0;
  /** The highest of the client's hellos. */
  attempt = 0;
  heartbeats = 0;
  answers = 0;

  constructor(server, name) {
    this.server = server;
    this.epoch = server.epoch;
    this.name = name;
  }

  send(data) {
    this.sent.push(data);
    this.#write(data);
  }

  /** Drops a message that a newer one replaces; it must not be acknowledged. */
  replace(index) {
    this.sent[index] = undefined;
  }

  heartbeat() {
    this.link?.send(`${DLE}?`);
  }

  /** The server was restarted, and knows what the client tells it: what was not acknowledged was not stored. */
  rebuild({ received, acknowledged }) {
    this.sent.length = received;
    this.taken.length = acknowledged;
    this.acknowledged = received;
    this.stored = acknowledged;
  }

  /** Acknowledges what was taken so far. */
  store() {
    this.stored = this.taken.length;
    this.link?.send(`${DLE}+${this.stored}`);
  }

  resume({ received, acknowledged }) {
    if (received > this.sent.length || received < this.acknowledged) this.#complain(`received ${received}`);
    if (acknowledged > this.stored) this.#complain(`acknowledged ${acknowledged}`);
    if (acknowledged < this.stored) this.link.send(`${DLE}+${this.stored}`);
    this.acknowledged = received;
    let skipped = 0;
    for (const data of this.sent.slice(received)) {
      if (data === undefined) {
        skipped += 1;
        continue;
      }
      if (skipped > 0) this.link.send(`${DLE}~${skipped}`);
      skipped = 0;
      this.#write(data);
    }
    if (skipped > 0) this.link.send(`${DLE}~${skipped}`);
  }

  receive(data) {
    if (typeof data !== 'string' || data[0] !== DLE) return this.#take(data);
    const rest = data.slice(2);
    switch (data[1]) {
      case '=':
        return this.#take(rest);
      case '+': {
        const count = Number(rest);
        if (String(count) !== rest || count > this.sent.length) this.#complain(data);
        if (count <= this.acknowledged) this.#complain(`acknowledged ${count} again`);
        this.acknowledged = count;
        return this.acknowledgements.push([this.server.network.clock.now, count]);
      }
      case '?':
        this.heartbeats += 1;
        return this.link.send(`${DLE}!`);
      case '!':
        this.answers += 1;
        return undefined;
      default:
        return this.#complain(data);
    }
  }

  #take(data) {
    this.taken.push(data);
    if (this.server.acknowledges) this.store();
    this.server.onmessage(this, data);
  }

  #write(data) {
    this.link?.send(typeof data === 'string' && data.startsWith(DLE) ? `${DLE}=${data}` : data);
  }

  #complain(what) {
    this.server.complaints.push(what);
  }
}
