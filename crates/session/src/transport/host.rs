//! What a hub asks of the application.

use std::future::Future;

use super::channel::Channel;
use super::key::StreamKey;
use crate::Principal;

/// A client's claim to a stream that its hub does not hold. Whoever revives a stream has to check that
/// the hash (in constant time, as `==` does) and the principal are those that were stored with the name.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The name of the stream, and the hash of the secret that the client presented.
    pub key: StreamKey,
    /// Who claims it.
    pub principal: Principal,
}

/// What a hub opens channels for: the application.
///
/// None of the methods may block: they run on the task of the link.
pub trait Host<K>: Sync {
    /// What was found out about a stream when it was revived.
    type Revival: Send;

    /// A client has opened a new stream, or a plain WebSocket. The stream ends when the receiver of its channel is dropped.
    fn open(&self, principal: Principal, channel: Channel<K>);

    /// Looks up what is stored of a stream that the hub does not hold, because the server was restarted, or the application
    /// dropped the stream to save memory. `None` if nothing is, or the claim
    /// is false, or the stream lives elsewhere.
    ///
    /// The future runs to its end even when the client goes away; no other claim to the same stream is looked at meanwhile.
    fn revive(&self, claim: Claim) -> impl Future<Output = Option<Self::Revival>> + Send;

    /// The stream that was revived goes on over this channel, whose first event is
    /// [`ChannelEvent::Up`](super::ChannelEvent::Up). Messages are numbered as before: the client sends again what
    /// was not acknowledged to it.
    fn open_revived(&self, revival: Self::Revival, principal: Principal, channel: Channel<K>);
}
