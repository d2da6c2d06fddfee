//! Links, sessions, the registry of sessions, and the outbox.
//!
//! A **link** is one connection; it may die at any moment and nothing of value lives in it. A **session** is the
//! durable side of one frontend: it has an identity of its own, a [`Mailbox`] into which the link that it has at the
//! moment puts what the client asks, and an [`Outbox`] from which that link takes what goes to the client. The
//! [`Registry`] knows which sessions there are and which link each of them has.
//!
//! This room knows nothing of what a session does, nor of how its messages look: both are type parameters.

mod error;
mod id;
mod journal;
mod link;
mod machine;
mod mailbox;
mod outbox;
mod registry;
pub mod store;
pub mod transport;

pub use error::SessionError;
pub use id::{Ids, SessionId};
pub use journal::{Journal, NoJournal};
pub use link::{CloseReason, Link, LinkEnd, LinkId, Principal};
pub use machine::{Arrival, Retention, SessionState};
pub use mailbox::{Mailbox, MailboxReceiver};
pub use outbox::{Outbox, OutboxReceiver, Weigh};
pub use registry::{Registered, Registry, Seen, Session, Start};
