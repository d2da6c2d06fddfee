//! What the application asks for: to take what came, to send, to say what is settled, to close.

use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::watch;

use super::{Close, Life, READY, Shared, State, now, register, wake};
use crate::transport::channel::ChannelEvent;
use crate::transport::message::Message;
use crate::transport::stream::weight;
use crate::{LinkEnd, SessionError};

impl<K> Shared<K> {
    /// Takes what comes next.
    pub(crate) fn poll_event(&self, cx: &Context<'_>) -> Poll<ChannelEvent> {
        let mut state = self.lock();
        let Some(event) = state.inbox.pop_front() else {
            return match state.life {
                Life::Open => {
                    register(&mut state.application, cx);
                    Poll::Pending
                }
                Life::Closing => Poll::Ready(ChannelEvent::End(LinkEnd::Lost)),
                Life::Over(end) => Poll::Ready(ChannelEvent::End(end)),
            };
        };
        if let ChannelEvent::Message { message, .. } = &event {
            let was_full = state.inbox_bytes >= self.limits.receive;
            state.inbox_bytes -= weight(message);
            let is_full = state.inbox_bytes >= self.limits.receive;
            let due = self.settle_taken(&mut state, now());
            if due || was_full && !is_full {
                let pump = state.pump.take();
                drop(state);
                wake(pump);
            }
        }
        Poll::Ready(event)
    }

    /// Settles what the application has taken, if that is all it takes to settle it.
    pub(super) fn settle_taken(&self, state: &mut State<K>, now: Instant) -> bool {
        if self.deferred || self.key.is_none() {
            return false;
        }
        let waiting = state.inbox.iter().find_map(|event| match event {
            ChannelEvent::Message { number, .. } => Some(*number),
            _ => None,
        });
        let taken = waiting.map_or(state.stream.received(), |number| number.wrapping_sub(1));
        state.stream.settle(taken, now)
    }

    pub(crate) fn settle(&self, upto: u32) {
        if !self.deferred || self.key.is_none() {
            return;
        }
        let mut state = self.lock();
        if state.stream.settle(upto, now()) {
            let pump = state.pump.take();
            drop(state);
            wake(pump);
        }
    }

    pub(crate) fn acknowledged(&self) -> watch::Receiver<u32> {
        self.acknowledged.subscribe()
    }

    pub(crate) fn unacknowledged_bytes(&self) -> usize {
        self.lock().stream.unacknowledged_bytes()
    }

    /// The application wants no more. What it sent still goes out, if there is a link, within a short time.
    pub(crate) fn close(&self, close: Close) {
        let mut state = self.lock();
        if state.life != Life::Open {
            return;
        }
        if !state.link_is_up {
            drop(state);
            self.end(LinkEnd::Lost);
            return;
        }
        state.life = Life::Closing;
        state.dismissal = Some((close, now()));
        state.inbox.clear();
        state.inbox_bytes = 0;
        self.life_changed(state);
    }
}

impl<K> Shared<K> {
    /// Ready when there is a link, if `up`, or none, whatever waits to be taken before that.
    pub(crate) async fn link(&self, up: bool) -> Result<(), LinkEnd> {
        loop {
            // Armed before the stream is looked at, so that no notice is missed in between.
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            {
                let state = self.lock();
                match state.life {
                    Life::Open if state.link_is_up == up => return Ok(()),
                    Life::Open => {}
                    Life::Closing => return Err(LinkEnd::Lost),
                    Life::Over(end) => return Err(end),
                }
            }
            news.await;
        }
    }

    /// Ready when there is a link, room, and not much that waits to be written.
    pub(crate) async fn ready(&self) -> Result<(), SessionError> {
        loop {
            // Armed before the stream is looked at, so that no notice is missed in between.
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            {
                let mut state = self.lock();
                if state.life != Life::Open {
                    return Err(SessionError::Ended);
                }
                let has_room = state.stream.unacknowledged_bytes() < self.limits.send;
                state.starved |= !has_room;
                if state.link_is_up && has_room && state.stream.waiting() < READY {
                    return Ok(());
                }
            }
            news.await;
        }
    }
}

impl<K: PartialEq> Shared<K> {
    /// Sends a message as soon as there is a link and room.
    pub(crate) async fn send(&self, message: Message, newest: Option<K>) -> Result<u32, SessionError> {
        let (mut message, mut newest) = match self.try_send(message, newest)? {
            Ok(number) => return Ok(number),
            Err(back) => back,
        };
        loop {
            // Armed before the stream is looked at, so that no notice is missed in between.
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            (message, newest) = match self.try_send(message, newest)? {
                Ok(number) => return Ok(number),
                Err(back) => back,
            };
            news.await;
        }
    }

    /// Sends a message, or gives it back if it has to wait.
    #[allow(clippy::type_complexity, reason = "the pair that came in goes out again")]
    fn try_send(
        &self,
        message: Message,
        newest: Option<K>,
    ) -> Result<Result<u32, (Message, Option<K>)>, SessionError> {
        let mut state = self.lock();
        if state.life != Life::Open {
            return Err(SessionError::Ended);
        }
        let has_room = state.stream.has_room(&message, newest.as_ref(), self.limits.send);
        if !state.link_is_up || !has_room {
            state.starved |= !has_room;
            return Ok(Err((message, newest)));
        }
        let number = state.stream.push(message, newest);
        let pump = state.pump.take();
        drop(state);
        wake(pump);
        Ok(Ok(number))
    }
}
