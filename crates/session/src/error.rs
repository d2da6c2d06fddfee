//! The one error of this room.

/// What can go wrong with sessions and their queues.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The session is over; nothing more is taken by its queues.
    #[error("The session has ended.")]
    Ended,
    /// The operating system gave no random numbers to make an identity of.
    #[error("The operating system gave no random numbers.")]
    Random(#[source] getrandom::Error),
    /// There is no free identity left.
    #[error("The server has too many sessions.")]
    Full,
    /// The server is stopping and takes no new sessions.
    #[error("The server is stopping.")]
    Stopping,
    /// The store of sessions refused or failed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}
