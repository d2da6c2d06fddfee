//! One load of a page, and its generations.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chartroom_session::store::Timestamp;
use chartroom_session::{Principal, SessionError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::id::{ClientId, TabId, ViewId, ViewKind, random_hex};
use super::token::{TabKey, fingerprint};
use super::view::View;
use crate::error::RpcError;
use crate::message::Generation;

/// How many generations of a tab are told from foreign ones.
const REMEMBERED: usize = 16;

/// A tab that is connected, or was a moment ago. It cannot be evicted as long as there are others that are not.
#[derive(Debug)]
pub struct Tab {
    view: Arc<View>,
    place: Arc<TabPlace>,
}

/// What a generation is to a tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the one of its last hello.
    Current,
    /// It was one of its last 16.
    Earlier,
    /// Another tab's, another server's, or too old.
    Foreign,
}

/// The state of a view.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Grows with each change, from 1.
    pub version: u64,
    /// The state.
    pub state: Map<String, Value>,
}

impl Tab {
    pub(super) fn new(view: Arc<View>, place: Arc<TabPlace>) -> Self {
        Self { view, place }
    }

    pub(super) fn place(&self) -> &Arc<TabPlace> {
        &self.place
    }

    /// The name of the tab.
    #[must_use]
    pub fn id(&self) -> &TabId {
        &self.place.id
    }

    /// The client whose tab it is.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        self.view.client()
    }

    /// Who is behind it.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        self.view.principal()
    }

    /// The view that it shows.
    #[must_use]
    pub fn view(&self) -> &ViewId {
        self.view.id()
    }

    /// What the view is for.
    #[must_use]
    pub fn kind(&self) -> &ViewKind {
        self.view.kind()
    }

    /// What `generation` is to this tab.
    #[must_use]
    pub fn standing(&self, generation: &Generation) -> Standing {
        self.place.lock().generations.standing(generation)
    }

    /// The page says in `generation` that its modules are loaded, at `ts` by its own clock. The view's state has it as
    /// `clientReady` from now on.
    ///
    /// The answer is whether that counted: it does once in each generation, and only in the current one.
    ///
    /// # Errors
    /// [`code::BAD_REQUEST`](crate::code::BAD_REQUEST) with `err.field` if `payload` is not what it must be, or is too
    /// large to be kept. It has not counted then.
    pub fn client_ready(
        &self,
        generation: &Generation,
        ts: Option<i64>,
        payload: &RawValue,
    ) -> Result<bool, RpcError> {
        if !self.place.lock().generations.may_report(generation) {
            return Ok(false);
        }
        let report = super::report::read(generation, ts, payload)?;
        self.view
            .patch(Map::from_iter([("clientReady".to_owned(), report)]))?;
        self.place.lock().generations.reported();
        self.view.save();
        Ok(true)
    }

    /// The state of the view.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.view.snapshot()
    }

    /// Changes members of the view's state; those that are null are removed. The answer is the new version.
    ///
    /// # Errors
    /// [`code::BAD_REQUEST`](crate::code::BAD_REQUEST) if the state would be too large. Nothing has changed then.
    pub fn patch(&self, members: Map<String, Value>) -> Result<u64, RpcError> {
        let version = self.view.patch(members)?;
        self.view.save();
        Ok(version)
    }

    /// The tab is here: its time begins anew. To be called now and then while it is connected, and when it goes.
    pub fn touch(&self) {
        self.view.touch(&self.place);
    }
}

/// The place of a tab in its view, whether it is connected or not.
#[derive(Debug)]
pub(super) struct TabPlace {
    id: TabId,
    key: TabKey,
    state: Mutex<TabState>,
}

#[derive(Debug, Clone)]
struct TabState {
    generations: Generations,
    expires: Timestamp,
    /// The fingerprint of what the page calls itself, as soon as it has said so.
    instance: Option<String>,
}

/// A tab as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredTab {
    id: TabId,
    key: TabKey,
    expires: u64,
    generations: Generations,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
}

impl TabPlace {
    /// The place of a tab that was never there, and whose time is over.
    pub(super) fn new(key: TabKey) -> Result<Self, SessionError> {
        Self::with(key, Generations::default())
    }

    /// A place for another page that comes with the token of this one. What it was told under generations of this place
    /// it may repeat.
    pub(super) fn beside(&self, key: TabKey) -> Result<Self, SessionError> {
        let generations = self.lock().generations.clone();
        Self::with(key, generations)
    }

    fn with(key: TabKey, generations: Generations) -> Result<Self, SessionError> {
        Ok(Self {
            id: TabId::random()?,
            key,
            state: Mutex::new(TabState {
                generations,
                expires: Timestamp(0),
                instance: None,
            }),
        })
    }

    pub(super) fn key(&self) -> &TabKey {
        &self.key
    }

    pub(super) fn expires(&self) -> Timestamp {
        self.lock().expires
    }

    pub(super) fn set_expires(&self, expires: Timestamp) {
        self.lock().expires = expires;
    }

    /// Whether a [`Tab`] has it.
    pub(super) fn is_used(self: &Arc<Self>) -> bool {
        // One is the view's.
        Arc::strong_count(self) > 1
    }

    /// Whether it ever said hello.
    pub(super) fn was_greeted(&self) -> bool {
        self.lock().generations.num > 0
    }

    /// Whether it is the place of a page that calls itself `instance`. The first page that says what it is called takes it.
    pub(super) fn takes(&self, instance: Option<&str>) -> bool {
        let Some(instance) = instance else {
            return true;
        };
        let instance = fingerprint(instance.as_bytes());
        *self.lock().instance.get_or_insert_with(|| instance.clone()) == instance
    }

    /// Begins a generation.
    pub(super) fn next_generation(&self) -> Result<Generation, SessionError> {
        self.lock().generations.next()
    }

    pub(super) fn store(&self) -> StoredTab {
        let state = self.lock().clone();
        StoredTab {
            id: self.id.clone(),
            key: self.key,
            expires: state.expires.0,
            generations: state.generations,
            instance: state.instance,
        }
    }

    fn lock(&self) -> MutexGuard<'_, TabState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<StoredTab> for TabPlace {
    fn from(stored: StoredTab) -> Self {
        Self {
            id: stored.id,
            key: stored.key,
            state: Mutex::new(TabState {
                generations: stored.generations,
                expires: Timestamp(stored.expires),
                instance: stored.instance,
            }),
        }
    }
}

/// The last generations of a tab.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Generations {
    /// The number of the last one.
    num: i64,
    /// Their salts, the last one at the end.
    salts: VecDeque<String>,
    /// Whether the page has reported in the last one.
    reported: bool,
}

impl Generations {
    fn next(&mut self) -> Result<Generation, SessionError> {
        let salt = random_hex::<4>()?;
        self.num = self.num.saturating_add(1);
        self.reported = false;
        if self.salts.len() >= REMEMBERED {
            self.salts.pop_front();
        }
        self.salts.push_back(salt.clone());
        Ok(Generation { num: self.num, salt })
    }

    fn standing(&self, generation: &Generation) -> Standing {
        let age = self.num.checked_sub(generation.num);
        let age = age.and_then(|age| usize::try_from(age).ok());
        let salt = age.and_then(|age| self.salts.iter().rev().nth(age));
        match age {
            Some(0) if salt == Some(&generation.salt) => Standing::Current,
            Some(_) if salt == Some(&generation.salt) => Standing::Earlier,
            _ => Standing::Foreign,
        }
    }

    fn may_report(&self, generation: &Generation) -> bool {
        !self.reported && self.standing(generation) == Standing::Current
    }

    fn reported(&mut self) {
        self.reported = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tab_remembers_its_last_16_generations() {
        let mut generations = Generations::default();
        let said: Vec<_> = (0..20).map(|_| generations.next().unwrap()).collect();
        assert_eq!(
            said.iter().map(|g| g.num).collect::<Vec<_>>(),
            (1..=20).collect::<Vec<_>>()
        );
        for (index, generation) in said.iter().enumerate() {
            let expected = match index {
                19 => Standing::Current,
                4..19 => Standing::Earlier,
                _ => Standing::Foreign,
            };
            assert_eq!(generations.standing(generation), expected, "{generation:?}");
        }
    }

    #[test]
    fn a_generation_of_the_right_number_and_another_salt_is_foreign() {
        let mut generations = Generations::default();
        let current = generations.next().unwrap();
        assert_eq!(current.salt.len(), 8);
        for num in [i64::MIN, -1, 0, 1, 2, i64::MAX] {
            let foreign = Generation {
                num,
                salt: "salt".to_owned(),
            };
            assert_eq!(generations.standing(&foreign), Standing::Foreign, "{num}");
        }
    }

    #[test]
    fn each_generation_may_report_once() {
        let mut generations = Generations::default();
        let first = generations.next().unwrap();
        assert!(generations.may_report(&first));
        generations.reported();
        assert!(!generations.may_report(&first));
        let second = generations.next().unwrap();
        assert!(!generations.may_report(&first));
        assert!(generations.may_report(&second));
    }
}
