//! Where sessions are written down, so that they outlive the process.
//!
//! A [`SessionStore`] keeps one [`Record`] for each session: a few kilobytes from which the session can be built again.
//! [`MemoryStore`] keeps them as long as the process lives; [`EmbeddedStore`] in a file. The trait is made so that a
//! networked engine with single-key compare-and-set (NATS JetStream KV, etcd) can stand behind it and be shared by
//! several nodes; [`conformance`] says, as tests, what every store must do.
//!
//! A server does not talk to a store itself but has a [`Keeper`], which holds its lease, brings back the sessions of
//! former lives, and gives each session a [`StoreJournal`].
//!
//! # Nodes, leases and fencing
//!
//! Each life of a node has a [`Lease`], a number that is never used twice. A record is held by the lease that wrote it, and
//! only that lease may write it, until another one takes it over. From then on the former holder is refused, however late
//! it wakes up. A node tells with [`SessionStore::touch`] that it is alive; after a `kill -9` the store therefore knows when
//! it was last, and retention counts from there.

mod clock;
pub mod conformance;
mod embedded;
mod error;
mod journal;
mod keeper;
mod memory;
mod record;
mod rules;
mod slot;

use std::fmt::Debug;

use bytes::Bytes;
use futures_util::future::BoxFuture;

pub use clock::{Clock, Timestamp};
pub use embedded::EmbeddedStore;
pub use error::StoreError;
pub use journal::StoreJournal;
pub use keeper::{Keeper, Recovered};
pub use memory::MemoryStore;
pub use record::{Record, RecordError, State, Stream};

use crate::SessionId;

/// The right of one life of a node to write its records: a fencing token. Later leases have higher numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease(pub u64);

/// Names one state of a record. No two states of any record have the same version, whatever happens in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// One life of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// Its lease.
    pub lease: Lease,
    /// The name of the node.
    pub node: String,
    /// When it was last known to be alive.
    pub seen: Timestamp,
}

/// What a record has to be for a [put](SessionStore::put) to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// There is none of that identity.
    Absent,
    /// It has this version and is held by the writer.
    Held(Version),
    /// It has this version, whoever holds it. The writer takes it over.
    Taken(Version),
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Whose record it is.
    pub id: SessionId,
    /// Its version.
    pub version: Version,
    /// The lease that holds it.
    pub lease: Lease,
    /// When it was written.
    pub written: Timestamp,
    /// The record, encoded; a newer release may have written it.
    pub record: Bytes,
}

impl Stored {
    /// The record, decoded.
    ///
    /// # Errors
    /// [`StoreError::Record`] if this release cannot read it.
    pub fn decode(&self) -> Result<Record, StoreError> {
        Record::decode(&self.record).map_err(|source| StoreError::Record { id: self.id, source })
    }
}

/// Keeps the records of sessions, for one node or several.
///
/// Whatever is answered with `Ok` is durable, as far as the store is. A record that is [parked](State::Parked) is gone
/// when its time is over by the store's own clock: for all calls it is as if it had been removed. Calls may be made at
/// once; those for one identity take effect one after another. A future that is dropped may or may not have taken effect.
pub trait SessionStore: Debug + Send + Sync + 'static {
    /// The time by the store's clock; a networked store estimates that of its servers.
    fn now(&self) -> Timestamp;

    /// Begins a life of `node`. Other lives of it, if there are any, stay as they are.
    fn join<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<Lease, StoreError>>;

    /// Says that the node of `lease` is alive. Fails with [`StoreError::LeaseLost`] after it [left](Self::leave).
    fn touch(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Ends a life, one's own or that of a dead node: nothing can be written under its lease any more. Records that it
    /// still holds stay. There may be no such life.
    fn leave(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>>;

    /// All lives that have not ended, in order of their leases.
    fn lives(&self) -> BoxFuture<'_, Result<Vec<Life>, StoreError>>;

    /// Writes the record of session `id` if it is as `guard` says; `lease` holds it from now on.
    ///
    /// Fails with [`StoreError::LeaseLost`] if the lease is over; [`StoreError::Exists`] if there is a record and none
    /// should be, [`StoreError::Missing`] the other way round; [`StoreError::TakenOver`] if another lease holds what the
    /// writer should hold; else [`StoreError::Conflict`] if it has another version.
    fn put<'a>(
        &'a self,
        id: SessionId,
        lease: Lease,
        guard: Guard,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Version, StoreError>>;

    /// Removes the record of session `id`, whatever its version. It is no error if there is none.
    ///
    /// Fails with [`StoreError::TakenOver`] if another lease holds it.
    fn remove(&self, id: SessionId, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The record of session `id`.
    fn get(&self, id: SessionId) -> BoxFuture<'_, Result<Option<Stored>, StoreError>>;

    /// The record that names the [stream](Record::stream) `name`; that which was written last, should there be several.
    fn find<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Stored>, StoreError>>;

    /// All records, in order of their identities.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>>;
}
