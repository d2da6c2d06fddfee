//! The sessions of a service, as programs find and use them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use chartroom_session::store::{Record, Timestamp};
use chartroom_session::{Registry, Seen, SessionId, SessionState};
use chartroom_viewer::{Cause, Descriptor, ScriptAnswer, ScriptCall, ScriptError, ViewerSession};
use tokio::time::{Instant, timeout_at};

use crate::auth::Principal;

/// Where programs find the sessions of a service. Everybody finds only their own. Clones are the same door.
#[derive(Debug, Clone)]
pub struct Door {
    registry: Arc<Registry<ViewerSession>>,
    outside: Outside,
}

/// What waits for sessions that are not in memory, or not as they were yet. A session that is bounds by itself what waits
/// for it.
#[derive(Debug, Clone, Default)]
struct Outside(Arc<Mutex<HashMap<SessionId, Waiting>>>);

#[derive(Debug, Default)]
struct Waiting {
    calls: usize,
    bytes: usize,
}

/// The place of a call among those that wait outside, until it is dropped.
#[derive(Debug)]
struct PlaceOutside<'a> {
    outside: &'a Outside,
    session: SessionId,
    bytes: usize,
}

impl Outside {
    /// A place for a call of so many bytes, if there is room.
    fn enter(&self, session: SessionId, bytes: usize) -> Option<PlaceOutside<'_>> {
        let mut all = self.lock();
        let waiting = all.entry(session).or_default();
        if waiting.calls >= ScriptCall::WAITING
            || waiting.calls > 0 && waiting.bytes + bytes > ScriptCall::WAITING_BYTES
        {
            return None;
        }
        waiting.calls += 1;
        waiting.bytes += bytes;
        Some(PlaceOutside {
            outside: self,
            session,
            bytes,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PlaceOutside<'_> {
    fn drop(&mut self) {
        let mut all = self.outside.lock();
        if let Some(waiting) = all.get_mut(&self.session) {
            waiting.calls -= 1;
            waiting.bytes -= self.bytes;
            if waiting.calls == 0 {
                all.remove(&self.session);
            }
        }
    }
}

/// What is told of a session.
#[derive(Debug, Clone)]
pub(crate) struct SessionInfo {
    pub(crate) id: SessionId,
    /// Whose it is.
    pub(crate) owner: String,
    /// `live`, `parked` or `stored`.
    pub(crate) state: &'static str,
    /// Since when its page is connected, or is not.
    pub(crate) since: SystemTime,
    /// Number of open files; `None` if it can not be said.
    pub(crate) files_open: Option<usize>,
    /// When its page last asked for something; `None` if that is not known.
    pub(crate) last_activity: Option<SystemTime>,
    /// Bytes of requests since it came into memory.
    pub(crate) bytes_received: u64,
    /// Bytes of messages to the page since then.
    pub(crate) bytes_sent: u64,
    /// Bytes that wait for the page.
    pub(crate) queued_bytes: usize,
    /// After which time it ends unless its page comes back; `None` while it is connected.
    pub(crate) ends_in: Option<Duration>,
}

/// What is known of sessions that are only stored, as far as it was looked up before.
#[derive(Debug, Default)]
pub(crate) struct Stored(HashMap<SessionId, Glance>);

/// What a look at the record of a session tells.
#[derive(Debug, Clone, Copy, Default)]
struct Glance {
    files_open: Option<usize>,
    last_activity: Option<SystemTime>,
}

impl From<Record> for Glance {
    fn from(record: Record) -> Self {
        let descriptor = Descriptor::decode(record.body).ok();
        Self {
            files_open: descriptor.map(|descriptor| descriptor.open_files()),
            last_activity: record.active.and_then(Timestamp::system_time),
        }
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DoorError {
    /// There is no such session, or it is somebody else's.
    NoSession,
    /// Its page is not connected, and should not be waited for.
    Away(ScriptError),
    /// The session ended meanwhile.
    Ended(ScriptError),
    /// The server stops.
    Stopping(ScriptError),
    /// Anything else.
    Script(ScriptError),
}

impl Door {
    pub(crate) fn new(registry: Arc<Registry<ViewerSession>>) -> Self {
        Self {
            registry,
            outside: Outside::default(),
        }
    }

    /// Has the page of a session carry out an action. If the page is not connected it is waited for, with `patient`, as
    /// long as the call's time limit allows.
    ///
    /// # Errors
    /// [`DoorError`] says why there is no answer.
    pub(crate) async fn call(
        &self,
        principal: &Principal,
        id: SessionId,
        call: ScriptCall,
        patient: bool,
    ) -> Result<ScriptAnswer, DoorError> {
        let owner = chartroom_session::Principal(principal.as_str().into());
        let deadline = Instant::now() + call.time_limit;
        let seen = self.registry.find(id, &owner).ok_or(DoorError::NoSession)?;
        if !patient && seen.state != SessionState::Live {
            return away(seen.session.as_deref(), &call);
        }
        let mut at_hand = seen.session.filter(|session| session.is_restored());
        loop {
            let session = match at_hand.take() {
                Some(session) => session,
                None => self.arrival(id, &owner, &call, deadline).await?,
            };
            let call = ScriptCall {
                time_limit: deadline.saturating_duration_since(Instant::now()),
                ..call.clone()
            };
            let error = match session.call(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let error = match error {
                ScriptError::NotRun(Cause::Ended) | ScriptError::Unknown(Cause::Ended) => {
                    self.over(id, &owner, error)
                }
                _ => DoorError::Script(error),
            };
            // It was put away while the call waited: it is waited for again.
            if error != DoorError::Script(ScriptError::NotRun(Cause::Ended)) {
                return Err(error);
            }
        }
    }

    /// Waits for a session to be in memory as it was.
    async fn arrival(
        &self,
        id: SessionId,
        owner: &chartroom_session::Principal,
        call: &ScriptCall,
        deadline: Instant,
    ) -> Result<Arc<ViewerSession>, DoorError> {
        let Some(_place) = self.outside.enter(id, call.bytes()) else {
            return Err(DoorError::Script(not_begun(call, Cause::TooMany)));
        };
        let arrived = async {
            let session = self.registry.arrival(id, owner).await?;
            session.restored().await;
            Some(session)
        };
        match timeout_at(deadline, arrived).await {
            Ok(Some(session)) => Ok(session),
            Ok(None) => Err(self.over(id, owner, not_begun(call, Cause::Ended))),
            Err(_) => Err(DoorError::Script(not_begun(call, Cause::TimeLimit))),
        }
    }

    /// What it means that a session is not in memory any more.
    fn over(&self, id: SessionId, owner: &chartroom_session::Principal, error: ScriptError) -> DoorError {
        if self.registry.is_stopping() {
            return DoorError::Stopping(error);
        }
        match self.registry.find(id, owner) {
            Some(_) => DoorError::Script(error),
            None => DoorError::Ended(error),
        }
    }

    /// The sessions of somebody, or of everybody, in order of their numbers.
    pub(crate) async fn sessions(&self, principal: Option<&Principal>) -> Vec<SessionInfo> {
        self.sessions_again(principal, &mut Stored::default()).await
    }

    /// As [`Door::sessions`], for somebody who asks again and again.
    pub(crate) async fn sessions_again(
        &self,
        principal: Option<&Principal>,
        known: &mut Stored,
    ) -> Vec<SessionInfo> {
        let seen = match principal {
            Some(principal) => self
                .registry
                .sessions_of(&chartroom_session::Principal(principal.as_str().into())),
            None => self.registry.all(),
        };
        let stored: HashSet<_> = seen
            .iter()
            .filter(|seen| seen.session.is_none())
            .map(|seen| seen.id)
            .collect();
        known.0.retain(|id, _| stored.contains(id));
        let mut sessions = Vec::new();
        for seen in seen {
            sessions.extend(self.info(seen, known).await);
        }
        sessions
    }

    /// A session of somebody.
    pub(crate) async fn session(&self, principal: &Principal, id: SessionId) -> Option<SessionInfo> {
        let owner = chartroom_session::Principal(principal.as_str().into());
        let seen = self.registry.find(id, &owner)?;
        self.info(seen, &mut Stored::default()).await
    }

    /// Whose session this is; `None` if there is none.
    pub(crate) fn owner(&self, id: SessionId) -> Option<String> {
        self.registry.owner(id).map(|owner| owner.0.to_string())
    }

    /// Ends a session at once: of `principal`, or anybody's. Whether there was one.
    pub(crate) fn end(&self, principal: Option<&Principal>, id: SessionId) -> bool {
        let owned = principal.is_none_or(|principal| self.owner(id).as_deref() == Some(principal.as_str()));
        owned && self.registry.end(id)
    }

    /// A session whose page was closed is none any more, although it lasts for another moment.
    async fn info(&self, seen: Seen<ViewerSession>, known: &mut Stored) -> Option<SessionInfo> {
        let (state, until) = match seen.state {
            SessionState::Live => ("live", None),
            SessionState::Parked { until } => ("parked", Some(until)),
            SessionState::Stored { until } => ("stored", Some(until)),
            SessionState::Leaving { .. } => return None,
        };
        let session = seen.session.as_deref();
        let glance = match session {
            Some(session) => Glance {
                files_open: Some(session.open_files()),
                last_activity: Some(session.last_request()),
            },
            None => self.glance(seen.id, known).await,
        };
        Some(SessionInfo {
            id: seen.id,
            owner: seen.owner.0.to_string(),
            state,
            since: seen.since,
            files_open: glance.files_open,
            last_activity: glance.last_activity,
            bytes_received: session.map_or(0, |session| session.traffic().bytes_received()),
            bytes_sent: session.map_or(0, |session| session.traffic().bytes_sent()),
            queued_bytes: session.map_or(0, |session| session.outbox().waiting_bytes()),
            ends_in: until.map(|until| until.saturating_duration_since(Instant::now())),
        })
    }

    async fn glance(&self, id: SessionId, known: &mut Stored) -> Glance {
        if let Some(glance) = known.0.get(&id) {
            return *glance;
        }
        let record = self.registry.record(id).await;
        let glance = record.map(Glance::from).unwrap_or_default();
        known.0.insert(id, glance);
        glance
    }
}

/// What is known of a call whose session was not asked.
fn not_begun(call: &ScriptCall, cause: Cause) -> ScriptError {
    match (&call.name, cause) {
        // An earlier call of the name may have run.
        (Some(_), _) => ScriptError::Unknown(cause),
        (None, Cause::TooMany) => ScriptError::TooMany,
        (None, _) => ScriptError::NotRun(cause),
    }
}

/// The answer to a call that must not wait for a page.
fn away(session: Option<&ViewerSession>, call: &ScriptCall) -> Result<ScriptAnswer, DoorError> {
    let Some(session) = session.filter(|session| session.is_restored()) else {
        return Err(DoorError::Away(not_begun(call, Cause::LinkLost)));
    };
    match session.recall(call) {
        None => Err(DoorError::Away(ScriptError::NotRun(Cause::LinkLost))),
        Some(Err(error @ ScriptError::Unknown(_))) => Err(DoorError::Away(error)),
        Some(outcome) => outcome.map_err(DoorError::Script),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_outside_is_bounded_for_each_session_and_leaves_nothing_behind() {
        let outside = Outside::default();
        let [one, other] = [1, 2].map(|id| SessionId::new(id).unwrap());
        let mut places: Vec<_> = (0..ScriptCall::WAITING)
            .map(|_| outside.enter(one, 10).unwrap())
            .collect();
        assert!(outside.enter(one, 10).is_none());
        assert!(outside.enter(other, 10).is_some());
        places.pop();
        assert!(outside.enter(one, 10).is_some());
        places.clear();
        let large = outside.enter(one, 2 * ScriptCall::WAITING_BYTES).unwrap();
        assert!(outside.enter(one, 1).is_none());
        drop(large);
        assert!(outside.lock().is_empty());
    }
}
