//! What an application sees of its client: messages in both directions, and whether there is a link at the moment.

use std::future::poll_fn;
use std::sync::Arc;

use tokio::sync::watch;

use super::key::StreamKey;
use super::message::Message;
use super::shared::{Close, Shared};
use super::wire::code;
use crate::{LinkEnd, SessionError};

/// Both directions of a conversation with one client. `K` says what a message to the client is about.
///
/// The conversation is over when its receiver is dropped.
#[derive(Debug)]
pub struct Channel<K> {
    /// What comes from the client.
    pub receiver: ChannelReceiver<K>,
    /// What goes to the client.
    pub sender: ChannelSender<K>,
}

impl<K> Channel<K> {
    pub(crate) fn new(shared: Arc<Shared<K>>) -> Self {
        Self {
            receiver: ChannelReceiver {
                shared: Arc::clone(&shared),
            },
            sender: ChannelSender { shared },
        }
    }
}

/// What comes out of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelEvent {
    /// A message of the client.
    Message {
        /// The message.
        message: Message,
        /// Its number in the stream, from 1; numbers wrap around at 2^32. Numbers of messages that the client replaced by
        /// newer ones are missing.
        number: u32,
    },
    /// There is no link any more. The conversation goes on when there is one again. Only streams know this.
    Down,
    /// There is a link again.
    Up {
        /// Whether the stream was made anew from what was stored by another process. This is then the first event of
        /// its channel. Channels begin with a link in any case.
        revived: bool,
    },
    /// The conversation is over; nothing follows but more of these. After the application's own close, this is
    /// [`LinkEnd::Lost`].
    End(LinkEnd),
}

/// The receiving half of a [`Channel`]. Dropping it closes the channel with 1000.
#[derive(Debug)]
pub struct ChannelReceiver<K> {
    shared: Arc<Shared<K>>,
}

impl<K> ChannelReceiver<K> {
    /// Waits for what comes next. Nothing is lost if the future is dropped.
    ///
    /// Unless acknowledgements are deferred, the message is acknowledged to the client from now on.
    pub async fn next(&mut self) -> ChannelEvent {
        poll_fn(|cx| self.shared.poll_event(cx)).await
    }

    /// Waits until there is a link, if `up`, or none, without taking anything: for those who cannot take what comes next
    /// for a while, and must know all the same when the client is gone. What [`next`](Self::next) gives stays as it is.
    ///
    /// # Errors
    /// How the conversation came to its end, if it is over.
    pub async fn link(&self, up: bool) -> Result<(), LinkEnd> {
        self.shared.link(up).await
    }
}

impl<K> Drop for ChannelReceiver<K> {
    fn drop(&mut self) {
        self.shared
            .close(Close::new(code::OVER, "The conversation is over."));
    }
}

/// The sending half of a [`Channel`].
#[derive(Debug)]
pub struct ChannelSender<K> {
    shared: Arc<Shared<K>>,
}

impl<K> Clone for ChannelSender<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K: PartialEq> ChannelSender<K> {
    /// Sends a message and returns its number in the stream. Waits while there is no link, or while too many bytes are not
    /// acknowledged by the client. With a key, the message replaces an older one of the same key that is not
    /// acknowledged. If the future is dropped while it waits, the message is not sent.
    ///
    /// # Errors
    /// [`SessionError::Ended`] if the conversation is over.
    pub async fn send(&self, message: Message, newest: Option<K>) -> Result<u32, SessionError> {
        self.shared.send(message, newest).await
    }
}

impl<K> ChannelSender<K> {
    /// Waits until a message would go out soon: there is a link, room, and not much that waits to be written before it. Who
    /// has messages that grow stale keeps them until then.
    ///
    /// # Errors
    /// [`SessionError::Ended`] if the conversation is over.
    pub async fn ready(&self) -> Result<(), SessionError> {
        self.shared.ready().await
    }

    /// Says that the messages up to this number are settled and may be acknowledged to the client. Does nothing unless the
    /// hub defers acknowledgements; numbers that never came are passed over.
    pub fn settle(&self, upto: u32) {
        self.shared.settle(upto);
    }

    /// Up to which number the client has acknowledged messages. On a plain WebSocket, up to which they were written.
    #[must_use]
    pub fn acknowledged(&self) -> watch::Receiver<u32> {
        self.shared.acknowledged()
    }

    /// What the messages weigh that the client has not acknowledged: their payloads, and some bytes for each.
    #[must_use]
    pub fn unacknowledged_bytes(&self) -> usize {
        self.shared.unacknowledged_bytes()
    }

    /// What has to be stored so that the stream can be revived; `None` on a plain WebSocket.
    #[must_use]
    pub fn stream(&self) -> Option<StreamKey> {
        self.shared.key()
    }

    /// Ends the conversation: the client is told with `code` (RFC 6455 section 7.4; the table in
    /// `docs/resume-protocol.md` says which are final) and `reason`, which is cut to 123 bytes. What was sent before
    /// goes out first, within a second. Nothing is sent or received after this.
    pub fn close(&self, code: u16, reason: &str) {
        self.shared.close(Close::new(code, reason));
    }
}
