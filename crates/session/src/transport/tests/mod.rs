//! Hub, pump and channels over sockets in memory.

mod hostile;
mod links;
mod plain;
mod revival;
mod socket;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;

use self::socket::Socket;
use super::wire::{Handshake, Hello, Incoming, Refusal, Resume, Welcome};
use super::*;
use crate::{LinkEnd, Principal};

const LIVENESS: Duration = Duration::from_secs(30);

/// An application that hands its channels to the test.
#[derive(Clone)]
struct App {
    opened: mpsc::UnboundedSender<Channel<u8>>,
    /// What can be revived, and what revival waits for.
    stored: Arc<Mutex<Option<StreamKey>>>,
    slow: Arc<tokio::sync::Semaphore>,
}

impl Host<u8> for App {
    type Revival = StreamKey;

    fn open(&self, _: Principal, channel: Channel<u8>) {
        self.opened.send(channel).unwrap();
    }

    async fn revive(&self, claim: Claim) -> Option<StreamKey> {
        self.slow.acquire().await.unwrap().forget();
        let stored = *self.stored.lock().unwrap();
        stored.filter(|stored| *stored == claim.key && claim.principal == ann())
    }

    fn open_revived(&self, revival: StreamKey, _: Principal, channel: Channel<u8>) {
        assert_eq!(channel.sender.stream(), Some(revival));
        self.opened.send(channel).unwrap();
    }
}

/// A server with its application.
struct Server {
    hub: Hub<u8>,
    app: App,
    opened: mpsc::UnboundedReceiver<Channel<u8>>,
}

fn ann() -> Principal {
    Principal("ann".into())
}

impl Server {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut HubOptions)) -> Self {
        let mut options = HubOptions {
            liveness: LIVENESS,
            buffer_limit: 10_000,
            receive_limit: 10_000,
            ..HubOptions::default()
        };
        change(&mut options);
        let (sender, opened) = mpsc::unbounded_channel();
        let app = App {
            opened: sender,
            stored: Arc::default(),
            slow: Arc::new(tokio::sync::Semaphore::new(1000)),
        };
        Self {
            hub: Hub::new(options).unwrap(),
            app,
            opened,
        }
    }

    /// A new link, with nothing said.
    fn connect(&self) -> Peer {
        self.connect_as(ann())
    }

    fn connect_as(&self, principal: Principal) -> Peer {
        let (here, there) = Socket::pair();
        let (hub, app) = (self.hub.clone(), self.app.clone());
        tokio::spawn(async move { hub.attach(there, principal, &app).await });
        Peer { socket: here }
    }

    fn connect_plain(&self) -> Peer {
        let (here, there) = Socket::pair();
        let (hub, app) = (self.hub.clone(), self.app.clone());
        tokio::spawn(async move { hub.attach_plain(there, ann(), &app).await });
        Peer { socket: here }
    }

    /// A client with a new stream, and the application's end of it.
    async fn open(&mut self) -> (Client, Channel<u8>) {
        let mut peer = self.connect();
        let welcome = peer.welcome(Hello::New).await;
        assert!(!welcome.resumed);
        let client = Client {
            peer,
            stream: Stream::new(),
            key: (welcome.stream, welcome.secret.clone().unwrap()),
            epoch: welcome.epoch,
            attempt: 0,
            quiet: false,
        };
        (client, self.opened.recv().await.unwrap())
    }
}

/// The client's end of a link, byte for byte.
struct Peer {
    socket: Socket,
}

impl Peer {
    async fn say(&mut self, message: impl Into<Message>) {
        self.socket.send(message.into().into()).await.unwrap();
    }

    async fn hear(&mut self) -> SocketMessage {
        self.socket.next().await.expect("the link ended").unwrap()
    }

    async fn handshake(&mut self, hello: Hello) -> Handshake {
        self.say(Handshake::Hello(hello).to_message()).await;
        match self.hear().await {
            SocketMessage::Text(text) => match Incoming::parse(Message::Text(text)) {
                Ok(Incoming::Handshake(handshake)) => *handshake,
                other => panic!("no handshake: {other:?}"),
            },
            other => panic!("no handshake: {other:?}"),
        }
    }

    async fn welcome(&mut self, hello: Hello) -> Welcome {
        match self.handshake(hello).await {
            Handshake::Welcome(welcome) => welcome,
            other => panic!("not welcome: {other:?}"),
        }
    }

    async fn refusal(&mut self, hello: Hello) -> Refusal {
        match self.handshake(hello).await {
            Handshake::Refused(refused) => {
                assert_eq!(self.close_code().await, Some(4410));
                refused.reason
            }
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Reads until the server closes the link, and answers.
    async fn close_code(&mut self) -> Option<u16> {
        loop {
            if let SocketMessage::Close(frame) = self.hear().await {
                // The server may have stopped waiting.
                let _ = self.socket.send(SocketMessage::Close(frame.clone())).await;
                return frame.map(|(code, _)| code);
            }
        }
    }

    async fn close(&mut self, code: Option<u16>) {
        let frame = code.map(|code| (code, String::new()));
        self.socket.send(SocketMessage::Close(frame)).await.unwrap();
    }
}

/// A client with a stream.
struct Client {
    peer: Peer,
    stream: Stream<u8>,
    key: (StreamName, Secret),
    epoch: String,
    attempt: u64,
    /// Whether it acknowledges nothing.
    quiet: bool,
}

impl Client {
    fn now() -> std::time::Instant {
        tokio::time::Instant::now().into_std()
    }

    async fn send(&mut self, text: &str) {
        self.stream.push(text.into(), None);
        self.flush().await;
    }

    async fn flush(&mut self) {
        while let Some(message) = self.stream.next(Self::now()) {
            self.peer.say(message).await;
        }
    }

    /// The next text of the application.
    async fn receive(&mut self) -> String {
        loop {
            let message = match self.peer.hear().await {
                SocketMessage::Text(text) => Message::Text(text),
                other => panic!("no text: {other:?}"),
            };
            let received = self.stream.receive(message, Self::now()).unwrap();
            if !self.quiet {
                self.stream.settle(self.stream.received(), Self::now());
            }
            if let Received::Message { message, .. } = received {
                return message.as_text().unwrap().to_owned();
            }
        }
    }

    fn hello(&mut self) -> Hello {
        self.attempt += 1;
        Hello::Resume(Resume {
            stream: self.key.0,
            secret: self.key.1.clone(),
            epoch: self.epoch.clone(),
            received: self.stream.received(),
            acknowledged: self.stream.acknowledged(),
            attempt: Some(self.attempt),
        })
    }

    /// Goes on over a new link to `server`.
    async fn resume(&mut self, server: &Server) {
        let mut peer = server.connect();
        let welcome = peer.welcome(self.hello()).await;
        assert!(welcome.resumed && welcome.secret.is_none());
        self.epoch = welcome.epoch;
        self.peer = peer;
        let other = OtherEnd::Server {
            received: welcome.received,
        };
        self.stream.resume(other, Self::now()).unwrap();
        self.flush().await;
    }
}

async fn text(receiver: &mut ChannelReceiver<u8>) -> String {
    match receiver.next().await {
        ChannelEvent::Message { message, .. } => message.as_text().unwrap().to_owned(),
        other => panic!("no message: {other:?}"),
    }
}

const DOWN: ChannelEvent = ChannelEvent::Down;
const UP: ChannelEvent = ChannelEvent::Up { revived: false };
const CLOSED: ChannelEvent = ChannelEvent::End(LinkEnd::Closed);
const LOST: ChannelEvent = ChannelEvent::End(LinkEnd::Lost);
