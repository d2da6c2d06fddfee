//! What the runtime keeps in a store: entries of a few kinds, each with its own time to live.
//!
//! The store is the runtime's own: a server must not share it with another [`Keeper`], which would take the entries for
//! sessions.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chartroom_session::store::{Keeper, SessionStore, StoreError, StoreJournal, Stored, Timestamp};
use chartroom_session::{Journal, Principal, SessionError, SessionId};
use futures_util::future::BoxFuture;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The keys of the client cookie, and how often the server was started.
    Server,
    /// A view with its tabs.
    View,
    /// The outcome of a call that may be repeated.
    Outcome,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Server, Self::View, Self::Outcome];

    fn name(self) -> &'static str {
        match self {
            Self::Server => "rpc.server",
            Self::View => "rpc.view",
            Self::Outcome => "rpc.outcome",
        }
    }
}

/// The entries of one server.
#[derive(Debug)]
pub(crate) struct Archive {
    keeper: Keeper,
    taken: Mutex<HashSet<SessionId>>,
}

/// An entry of a former life of the server.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) kind: Kind,
    pub(crate) entry: Entry,
    pub(crate) body: Bytes,
    /// How long it would still be kept.
    pub(crate) remaining: Duration,
}

/// The place of one entry. When it is dropped, what was written stays until its time is over.
#[derive(Debug)]
pub(crate) struct Entry {
    id: SessionId,
    journal: Arc<StoreJournal>,
    archive: Arc<Archive>,
    until: Mutex<Option<Timestamp>>,
}

/// Whether a page that was there within `age` may come back to a view in this store: for servers whose access token should
/// stay the same for it. To be asked before a runtime has the store.
///
/// # Errors
/// Those of the store.
pub async fn has_view_within(store: &dyn SessionStore, age: Duration) -> Result<bool, StoreError> {
    let now = store.now();
    let stored = store.list().await?;
    let is_recent = |entry: &Stored| entry.written.until(now) <= age;
    let is_view = |entry: &Stored| {
        entry
            .decode()
            .is_ok_and(|record| record.owner == Kind::View.name())
    };
    Ok(stored.iter().any(|entry| is_recent(entry) && is_view(entry)))
}

impl Archive {
    /// Opens the archive of `node`, and what is in it. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn open(
        store: Arc<dyn SessionStore>,
        node: &str,
    ) -> Result<(Arc<Self>, Vec<Kept>), StoreError> {
        // Entries say themselves how long they are kept; this is for those that a crash left without.
        const UNSAID: Duration = Duration::from_secs(24 * 3600);
        let (keeper, recovered) = Keeper::open(store, node, UNSAID).await?;
        let archive = Arc::new(Self {
            keeper,
            taken: Mutex::new(recovered.iter().map(|entry| entry.id).collect()),
        });
        let kept = recovered.into_iter().filter_map(|found| {
            let kind = Kind::ALL
                .into_iter()
                .find(|kind| kind.name() == found.record.owner)?;
            Some(Kept {
                kind,
                entry: archive.place(found.id, kind),
                body: found.record.body,
                remaining: found.remaining,
            })
        });
        let kept = kept.collect();
        Ok((archive, kept))
    }

    /// A place for a new entry. Nothing is stored before it is written.
    ///
    /// # Errors
    /// [`SessionError::Random`] if the operating system has no random numbers.
    pub(crate) fn entry(self: &Arc<Self>, kind: Kind) -> Result<Entry, SessionError> {
        loop {
            let number = getrandom::u32().map_err(SessionError::Random)?;
            let Some(id) = SessionId::new(number) else {
                continue;
            };
            if self.taken().insert(id) {
                return Ok(self.place(id, kind));
            }
        }
    }

    /// The time by the store's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.keeper.now()
    }

    /// Ready when everything is stored that was written, or could not be.
    pub(crate) async fn close(&self) {
        self.keeper.close().await;
    }

    fn place(self: &Arc<Self>, id: SessionId, kind: Kind) -> Entry {
        Entry {
            id,
            journal: self.keeper.journal(id, &Principal(kind.name().into())),
            archive: Arc::clone(self),
            until: Mutex::new(None),
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<SessionId>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Writes `body` in place of what was there, to be kept for `keep` from now. Does not block; of several bodies that come
    /// while the store is busy, only the last one is written.
    pub(crate) fn write(&self, body: Bytes, keep: Duration) {
        self.journal.write(body, 0);
        self.keep(keep);
    }

    /// Ready when what was written is stored, or could not be.
    pub(crate) fn stored(&self) -> BoxFuture<'static, ()> {
        self.journal.flush()
    }

    /// What is written is kept for `keep` from now; up to a sixteenth longer, so that not each small move needs a write.
    pub(crate) fn keep(&self, keep: Duration) {
        let until = self.archive.now() + keep;
        let mut told = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let longer = keep + keep / 16;
        if told.is_some_and(|told| (until..=until + keep / 16).contains(&told)) {
            return;
        }
        *told = Some(self.archive.now() + longer);
        drop(told);
        self.journal.park(longer);
    }

    /// Removes what is written.
    pub(crate) fn remove(self) {
        self.archive.keeper.forget(self.id);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.archive.taken().remove(&self.id);
    }
}
