//! What can go wrong with stored sessions.

use std::path::PathBuf;

use super::{Lease, RecordError};
use crate::SessionId;

/// Why a store did not do what it was asked to do.
///
/// Nothing was changed, unless the error [is transient](Self::is_transient): then it is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A session of that identity is stored already.
    #[error("Session {id} is stored already.")]
    Exists {
        /// The identity in question.
        id: SessionId,
    },
    /// No session of that identity is stored, or its time is over.
    #[error("Session {id} is not stored, or its time is over.")]
    Missing {
        /// The identity in question.
        id: SessionId,
    },
    /// The record has another version than the writer believes.
    #[error("The record of session {id} was changed by somebody else in the meantime.")]
    Conflict {
        /// The identity in question.
        id: SessionId,
    },
    /// The record is held by another lease: its session is somebody else's now.
    #[error("Session {id} was taken over by another node.")]
    TakenOver {
        /// The identity in question.
        id: SessionId,
    },
    /// The lease is not valid any more: other nodes believe this one dead, or a new life of it has begun.
    #[error("Lease {} of this node is not valid any more.", lease.0)]
    LeaseLost {
        /// The lease in question.
        lease: Lease,
    },
    /// A record is there but cannot be understood. It is left as it is.
    #[error("The record of session {id} cannot be read.")]
    Record {
        /// The identity in question.
        id: SessionId,
        /// What is wrong with it.
        #[source]
        source: RecordError,
    },
    /// Another process has the file open.
    #[error("{} is in use by another process: only one server can use a state directory.", path.display())]
    Locked {
        /// The file in question.
        path: PathBuf,
    },
    /// The store, or the way to it, does not work at the moment.
    #[error("{what} failed.")]
    Unavailable {
        /// What was tried, as a subject of the sentence; names the file if there is one.
        what: String,
        /// What the operating system or the engine says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store was closed.
    #[error("The store of sessions was closed.")]
    Closed,
}

impl StoreError {
    /// Whether the same call may well succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether the caller has lost the session, or all of its sessions, to another node.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::TakenOver { .. } | Self::LeaseLost { .. })
    }
}
