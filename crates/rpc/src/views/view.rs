//! One view: its state, and its tabs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chartroom_session::store::Timestamp;
use chartroom_session::{Principal, SessionError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ViewLimits;
use super::hello::HelloPayload;
use super::id::{ClientId, ViewId, ViewKind};
use super::tab::{Snapshot, StoredTab, TabPlace};
use super::token::{TabKey, Token};
use crate::archive::{Archive, Entry, Kept, Kind};
use crate::error::{RpcError, code};

/// What all views of a server have in common.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) limits: ViewLimits,
    pub(super) archive: Arc<Archive>,
}

/// A view. Its lock may be taken while that of the registry is held, and those of its tabs while it is.
#[derive(Debug)]
pub(super) struct View {
    id: ViewId,
    client: ClientId,
    principal: Principal,
    kind: ViewKind,
    ground: Arc<Ground>,
    state: Mutex<ViewState>,
}

#[derive(Debug)]
struct ViewState {
    version: u64,
    members: Map<String, Value>,
    tabs: Vec<Arc<TabPlace>>,
    last_used: Timestamp,
    last_saved: Timestamp,
    /// Where it is stored; `None` when it was evicted.
    entry: Option<Entry>,
}

/// How much a view, or a tab, is worth to be kept: first whether it is connected, then whether it ever was, then when it
/// was used.
pub(super) type Rank = (bool, bool, Timestamp);

/// A view as it is stored, in JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredView {
    id: ViewId,
    client: ClientId,
    principal: String,
    kind: ViewKind,
    version: u64,
    state: Map<String, Value>,
    last_used: u64,
    tabs: Vec<StoredTab>,
}

impl View {
    /// A new view without tabs.
    pub(super) fn new(
        client: &ClientId,
        principal: &Principal,
        kind: &ViewKind,
        ground: &Arc<Ground>,
    ) -> Result<Arc<Self>, SessionError> {
        let now = ground.archive.now();
        Ok(Arc::new(Self {
            id: ViewId::random()?,
            client: client.clone(),
            principal: principal.clone(),
            kind: kind.clone(),
            ground: Arc::clone(ground),
            state: Mutex::new(ViewState {
                version: 1,
                members: Map::new(),
                tabs: Vec::new(),
                last_used: now,
                last_saved: now,
                entry: Some(ground.archive.entry(Kind::View)?),
            }),
        }))
    }

    /// The view that was stored; `None` if it cannot be read, and then it is removed.
    pub(super) fn restore(kept: Kept, ground: &Arc<Ground>) -> Option<Arc<Self>> {
        let stored: StoredView = match serde_json::from_slice(&kept.body) {
            Ok(stored) => stored,
            Err(error) => {
                tracing::warn!(%error, "A stored view cannot be read.");
                kept.entry.remove();
                return None;
            }
        };
        Some(Arc::new(Self {
            id: stored.id,
            client: stored.client,
            principal: Principal(stored.principal.into()),
            kind: stored.kind,
            ground: Arc::clone(ground),
            state: Mutex::new(ViewState {
                version: stored.version,
                members: stored.state,
                tabs: stored.tabs.into_iter().map(|tab| Arc::new(tab.into())).collect(),
                last_used: Timestamp(stored.last_used),
                last_saved: ground.archive.now(),
                entry: Some(kept.entry),
            }),
        }))
    }

    pub(super) fn id(&self) -> &ViewId {
        &self.id
    }

    pub(super) fn client(&self) -> &ClientId {
        &self.client
    }

    pub(super) fn principal(&self) -> &Principal {
        &self.principal
    }

    pub(super) fn kind(&self) -> &ViewKind {
        &self.kind
    }

    /// Whether it is a view of `client` in the name of `principal`.
    pub(super) fn belongs_to(&self, client: &ClientId, principal: &Principal) -> bool {
        self.client == *client && self.principal == *principal
    }

    /// A token for a new tab.
    pub(super) fn mint(&self) -> Result<Token, SessionError> {
        let token = Token::random()?;
        let now = self.ground.archive.now();
        let mut state = self.lock();
        self.place(&mut state, TabPlace::new(token.key())?, now);
        Ok(token)
    }

    /// The tab that says hello: that of its token, if that is valid and no other page has come with it; else that which came
    /// the same way before; else a new one. `here` is the tab, in this view, that the connection has already; a page that
    /// says nothing of itself is that one.
    pub(super) fn greet(
        &self,
        hello: &HelloPayload,
        here: Option<&Arc<TabPlace>>,
    ) -> Result<Arc<TabPlace>, SessionError> {
        let token = hello.view_token.as_deref();
        let instance = hello.client_instance_id.as_deref();
        let now = self.ground.archive.now();
        let mut state = self.lock();
        state.last_used = now;
        state.prune(now);
        let stranger = match (token, instance) {
            (None, None) => TabKey::unreachable()?,
            _ => TabKey::of_stranger(token.unwrap_or_default(), instance.unwrap_or_default()),
        };
        let known = match (token, instance, here) {
            (None, None, Some(here)) => Some(here),
            _ => token
                .and_then(|token| state.find(&TabKey::of_token(token)))
                .filter(|place| place.takes(instance))
                .or_else(|| state.find(&stranger)),
        };
        let Some(known) = known else {
            return Ok(self.place(&mut state, TabPlace::new(stranger)?, now));
        };
        let is_elsewhere = known.is_used() && !here.is_some_and(|here| Arc::ptr_eq(here, known));
        let known = Arc::clone(known);
        if instance.is_none() && is_elsewhere {
            // Two pages with one token, which do not say which is which: none takes the place of the other.
            return Ok(self.place(&mut state, known.beside(TabKey::unreachable()?)?, now));
        }
        known.set_expires(now + self.ground.limits.tab_lifetime);
        Ok(known)
    }

    /// Takes a new place in, at the cost of another one if there are too many.
    fn place(&self, state: &mut ViewState, place: TabPlace, now: Timestamp) -> Arc<TabPlace> {
        let limits = &self.ground.limits;
        let place = Arc::new(place);
        place.set_expires(now + limits.tab_lifetime);
        state.last_used = now;
        state.prune(now);
        while state.tabs.len() >= limits.tabs.max(1) {
            let least = (0..state.tabs.len()).min_by_key(|&index| rank(&state.tabs[index]));
            let Some(least) = least else { break };
            state.tabs.remove(least);
        }
        state.tabs.push(Arc::clone(&place));
        place
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        Snapshot {
            version: state.version,
            state: state.members.clone(),
        }
    }

    /// Changes members of the state; those that are null are removed. Without a change, the version stays.
    pub(super) fn patch(&self, members: Map<String, Value>) -> Result<u64, RpcError> {
        let mut state = self.lock();
        let mut patched = state.members.clone();
        for (name, value) in members {
            match value {
                Value::Null => patched.remove(&name),
                value => patched.insert(name, value),
            };
        }
        if patched == state.members {
            return Ok(state.version);
        }
        let limit = self.ground.limits.state_bytes;
        let bytes = serde_json::to_vec(&patched).map_or(usize::MAX, |json| json.len());
        if bytes > limit {
            return Err(RpcError::new(
                code::BAD_REQUEST,
                format!("The state of the view would have {bytes} bytes; {limit} are allowed."),
            ));
        }
        state.members = patched;
        state.version += 1;
        Ok(state.version)
    }

    /// The time of the view and of one of its tabs begins anew.
    pub(super) fn touch(&self, place: &TabPlace) {
        let now = self.ground.archive.now();
        let lifetime = self.ground.limits.tab_lifetime;
        place.set_expires(now + lifetime);
        let mut state = self.lock();
        state.last_used = now;
        // Not worth a write each time.
        if state.last_saved.until(now) >= lifetime / 16 {
            self.write(&mut state, now);
        }
    }

    /// Stores the view as it is, unless it was evicted. Does not block.
    pub(super) fn save(&self) {
        let now = self.ground.archive.now();
        self.write(&mut self.lock(), now);
    }

    /// Takes the view out of the store, for good. Tabs that are connected go on, and nobody else finds it.
    pub(super) fn evict(&self) {
        if let Some(entry) = self.lock().entry.take() {
            entry.remove();
        }
    }

    /// Whether nobody uses it, and its time is over.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        let state = self.lock();
        let kept = |tab: &Arc<TabPlace>| tab.is_used() || tab.expires() > now;
        state.last_used + self.ground.limits.view_lifetime <= now && !state.tabs.iter().any(kept)
    }

    pub(super) fn rank(&self) -> Rank {
        let state = self.lock();
        (
            state.tabs.iter().any(TabPlace::is_used),
            state.tabs.iter().any(|tab| tab.was_greeted()),
            state.last_used,
        )
    }

    #[cfg(test)]
    pub(super) fn tabs(&self) -> usize {
        self.lock().tabs.len()
    }

    fn write(&self, state: &mut ViewState, now: Timestamp) {
        let Some(entry) = &state.entry else { return };
        let stored = StoredView {
            id: self.id.clone(),
            client: self.client.clone(),
            principal: self.principal.0.as_ref().to_owned(),
            kind: self.kind.clone(),
            version: state.version,
            state: state.members.clone(),
            last_used: state.last_used.0,
            tabs: state.tabs.iter().map(|tab| tab.store()).collect(),
        };
        let limits = &self.ground.limits;
        match serde_json::to_vec(&stored) {
            Ok(body) => entry.write(Bytes::from(body), limits.view_lifetime.max(limits.tab_lifetime)),
            Err(error) => tracing::error!(view = %self.id, %error, "A view cannot be written down."),
        }
        state.last_saved = now;
    }

    fn lock(&self) -> MutexGuard<'_, ViewState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ViewState {
    /// Drops the tabs whose time is over, but for those that are connected.
    fn prune(&mut self, now: Timestamp) {
        self.tabs.retain(|tab| tab.is_used() || tab.expires() > now);
    }

    fn find(&self, key: &TabKey) -> Option<&Arc<TabPlace>> {
        self.tabs.iter().find(|tab| tab.key() == key)
    }
}

fn rank(tab: &Arc<TabPlace>) -> Rank {
    (tab.is_used(), tab.was_greeted(), tab.expires())
}
