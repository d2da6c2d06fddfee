//! Which session each tab has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::session::Session;
use crate::views::TabId;

/// The sessions of tabs that were welcomed. A tab has no more than one.
#[derive(Debug, Default)]
pub(crate) struct Tabs(Mutex<HashMap<TabId, Weak<Session>>>);

impl Tabs {
    /// A tab is in `session` from now on. Returns the session that it was in, if that is another one.
    pub(crate) fn enter(&self, tab: &TabId, session: &Weak<Session>) -> Option<Arc<Session>> {
        let before = self.lock().insert(tab.clone(), Weak::clone(session))?;
        if before.ptr_eq(session) {
            return None;
        }
        before.upgrade()
    }

    /// A tab is in `session` no more.
    pub(crate) fn leave(&self, tab: &TabId, session: &Weak<Session>) {
        let mut tabs = self.lock();
        if tabs.get(tab).is_some_and(|current| current.ptr_eq(session)) {
            tabs.remove(tab);
        }
    }

    /// How many tabs have a session.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TabId, Weak<Session>>> {
        // Nothing that may panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
