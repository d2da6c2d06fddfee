//! One connection, as a session sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Who stands behind a link. Two links with the same principal may share sessions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal(pub Arc<str>);

/// A number for a link, never used twice in the life of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkId(u64);

/// Why a link is closed by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Another link took the session over.
    Conflict,
    /// The server is stopping.
    Stopping,
    /// The session is over.
    Ended,
    /// The session gave up its memory while the link was silent. It is built again for whoever comes back.
    PutAway,
}

impl CloseReason {
    /// The WebSocket close code: 4409 for a conflict (as HTTP's 409), else those of RFC 6455 section 7.4.1 and of the
    /// registry that it set up.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Conflict => 4409,
            Self::Stopping => 1001,
            Self::Ended => 1000,
            Self::PutAway => 1013,
        }
    }

    /// A sentence for the close frame.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Conflict => "The session was taken over by another connection.",
            Self::Stopping => "The server is stopping.",
            Self::Ended => "The session has ended.",
            Self::PutAway => "The session was put away to save memory; connect again to go on.",
        }
    }
}

/// How a link came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEnd {
    /// The page began a close handshake with 1000 or 1001: the user closed it.
    Closed,
    /// The connection broke, fell silent, or was closed for any other reason.
    Lost,
}

/// A connection, as a session sees it: a number, a principal and a way to close it.
#[derive(Debug, Clone)]
pub struct Link {
    id: LinkId,
    principal: Principal,
    close: watch::Sender<Option<CloseReason>>,
}

impl Link {
    /// A new link of `principal`.
    #[must_use]
    pub fn new(principal: Principal) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: LinkId(NEXT.fetch_add(1, Ordering::Relaxed)),
            principal,
            close: watch::Sender::new(None),
        }
    }

    /// The number of the link.
    #[must_use]
    pub fn id(&self) -> LinkId {
        self.id
    }

    /// Who stands behind the link.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Asks whoever drives the connection to close it. Only the first reason counts.
    pub fn close(&self, reason: CloseReason) {
        self.close.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(reason);
            }
            first
        });
    }

    /// Waits until somebody asks to close the connection.
    pub async fn closing(&self) -> CloseReason {
        let mut receiver = self.close.subscribe();
        match receiver.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(CloseReason::Ended),
            // The sender lives in `self`, so it cannot be gone.
            Err(_) => CloseReason::Ended,
        }
    }
}
