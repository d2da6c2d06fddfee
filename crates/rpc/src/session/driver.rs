//! Moves messages between the channel of a page and its session.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chartroom_session::Principal;
use chartroom_session::transport::{Channel, ChannelEvent, ChannelReceiver, Claim, Host, Message as Text};
use futures_util::FutureExt;
use futures_util::future::OptionFuture;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::Session;
use crate::http::Visitor;
use crate::logging::Direction;
use crate::message::{id_of, parse};
use crate::runtime::{Key, Shared};
use crate::{RpcError, code};

/// After so many messages in one go, the session looks at everything else.
const TURN: usize = 64;

/// The close code for a page that is gone (RFC 6455 section 7.4.1).
const GOING_AWAY: u16 = 1001;

/// How long a page may take to say hello.
const HELLO: Duration = Duration::from_secs(30);

/// The close code for a page that did not say hello (RFC 6455, IANA registry: try again later).
const TRY_AGAIN: u16 = 1013;

/// The close code for a page that does not read (RFC 6455 section 7.4.1: policy).
const NOT_READING: u16 = 1008;

/// One visitor, for whom the hub opens a channel.
pub(crate) struct Guest {
    pub(crate) shared: Arc<Shared>,
    pub(crate) visitor: Visitor,
}

impl Host<Key> for Guest {
    type Revival = ();

    fn open(&self, _: Principal, channel: Channel<Key>) {
        let Channel { receiver, sender } = channel;
        let session = Session::new(Arc::clone(&self.shared), self.visitor.clone(), sender);
        tokio::spawn(drive(session, receiver));
    }

    async fn revive(&self, _: Claim) -> Option<()> {
        // Conversations do not outlive the server. Their views do, and what idempotent calls came to.
        None
    }

    fn open_revived(&self, (): (), principal: Principal, channel: Channel<Key>) {
        self.open(principal, channel);
    }
}

/// Runs a session to its end.
async fn drive(session: Arc<Session>, mut receiver: ChannelReceiver<Key>) {
    let _ended = Ended(&session);
    let retention = session.shared.retention;
    let resumable = session.sender.stream().is_some();
    // Until when a page is waited for that has no link, does not read, or has not said hello.
    let mut link: Option<Instant> = None;
    let mut reader: Option<Instant> = None;
    let mut hello = Some(Instant::now() + HELLO);
    let mut timer = pin!(sleep(Duration::ZERO));
    // When the timer fires; moved only if something has to be done earlier.
    let mut armed: Option<Instant> = None;
    loop {
        let needs = session.needs(armed);
        if needs.hopeless {
            session.sender.close(NOT_READING, "The page does not read.");
            return;
        }
        // Whether there is a link is not learned as long as nothing is read, so that this must not go on for ever.
        reader = if needs.read {
            None
        } else {
            reader.or_else(|| Some(Instant::now() + retention))
        };
        let wake = [needs.wake, link, reader, hello].into_iter().flatten().min();
        if let Some(wake) = wake
            && armed.is_none_or(|armed| wake < armed)
        {
            timer.as_mut().reset(wake);
            armed = Some(wake);
        }
        // If something else comes first, nothing was sent, and it is tried again.
        let send: OptionFuture<_> = needs
            .waits
            .map(|(number, text, key)| {
                let sending = session.sender.send(Text::Text(text), key);
                async move { (number, sending.await) }
            })
            .into();
        tokio::select! {
            biased;
            () = session.wake.notified() => {}
            event = receiver.next(), if needs.read => {
                session.hold();
                let mut next = Some(event);
                let mut taken = 0;
                while let Some(event) = next {
                    match event {
                        ChannelEvent::Message { message, .. } => read_message(&session, &message),
                        ChannelEvent::Down => link = Some(Instant::now() + retention),
                        ChannelEvent::Up { .. } => link = None,
                        ChannelEvent::End(end) => {
                            tracing::debug!(?end, "a page is gone");
                            session.end(!resumable);
                            return;
                        }
                    }
                    taken += 1;
                    // What is taken from the receiver has to be carried out.
                    next = if taken < TURN { receiver.next().now_or_never() } else { None };
                }
                // Handlers that have nothing to wait for have their turn, so that their answers leave together with the
                // acknowledgements.
                tokio::task::yield_now().await;
                session.flush();
            }
            Some((number, sent)) = send => {
                if sent.is_err() && !needs.read {
                    return;
                }
                session.sent(number);
            }
            () = timer.as_mut(), if armed.is_some() => {
                armed = None;
                let now = Instant::now();
                let is_over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
                if is_over(link) || is_over(reader) {
                    session.sender.close(GOING_AWAY, "The page was away for too long.");
                    return;
                }
                if is_over(hello) {
                    if !session.is_welcomed() {
                        session.sender.close(TRY_AGAIN, "No hello came in time.");
                        return;
                    }
                    hello = None;
                }
                session.tick();
            }
        }
    }
}

/// Ends the session also when its task is dropped.
struct Ended<'a>(&'a Arc<Session>);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.end(false);
    }
}

fn read_message(session: &Session, message: &Text) {
    let bytes = message.payload().len();
    let Some(text) = message.as_text() else {
        let text = "Messages are text; this one is binary.";
        let error =
            RpcError::new(code::INVALID_MESSAGE, text).with(json!({"field": "", "problem": "is binary"}));
        return session.refuse(None, None, &error);
    };
    let limit = session.shared.settings.protocol.max_frame_bytes as usize;
    if bytes > limit {
        let id = id_of(text);
        let text = format!("The frame has {bytes} bytes; no more than {limit} are allowed.");
        let error = RpcError::new(code::FRAME_TOO_LARGE, text).with(json!({"bytes": bytes, "limit": limit}));
        return session.refuse(id.as_deref(), None, &error);
    }
    match parse(text) {
        Ok(message) => {
            session.shared.log.log(Direction::In, &message, text);
            session.receive(message, bytes);
        }
        Err(mut rejected) => {
            let id = rejected.id.take();
            let route = rejected.route.take();
            session.refuse(id.as_deref(), route.as_deref(), &rejected.into());
        }
    }
}
