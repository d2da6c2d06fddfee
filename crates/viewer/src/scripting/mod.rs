//! Programs that have a session's page carry out actions: SCRIPTING_REQUEST goes to the page, SCRIPTING_RESPONSE is its
//! answer.
//!
//! What became of a call is known exactly, or it is said that it is not known: a request that no link has taken was not
//! carried out; one that a link has taken, and that was not answered while it was waited for, may have been. A page that
//! has lost its link may answer over another one.

mod calls;
mod record;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use chartroom_icd::{Outgoing, messages};
use chartroom_session::Outbox;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::calls::Ticket;
use self::calls::{Begun, Calls, Errand, Outcome, Place, Told};
pub(crate) use self::record::{Malformed, Remembered};
#[cfg(test)]
pub(crate) use self::record::{Progress, Record};
use crate::session::{Subject, Topic, ViewerSession};
use crate::viewer::Parcel;

/// An action that the page of a session is to carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptCall {
    /// The dotted path of the object, from the application object; empty for that itself.
    pub target: String,
    /// The name of its method.
    pub action: String,
    /// The arguments: a JSON array as text.
    pub parameters: String,
    /// Whether the page answers at once, without waiting for the action to end.
    pub asynchronous: bool,
    /// The dotted path of what is wanted of the result; empty for all of it.
    pub return_path: String,
    /// A name that is the caller's choice, of at most [`ScriptCall::NAME_BYTES`] bytes: a call of a name that came before
    /// is not carried out again, but gets the answer of the first.
    pub name: Option<String>,
    /// How long the answer is waited for.
    pub time_limit: Duration,
}

impl ScriptCall {
    /// The longest name.
    pub const NAME_BYTES: usize = 255;

    /// How many may wait for one session.
    pub const WAITING: usize = 256;

    /// How many bytes of calls may wait for one session.
    pub const WAITING_BYTES: usize = 32 << 20;

    /// Roughly how many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts = [&self.target, &self.action, &self.parameters, &self.return_path];
        texts.iter().map(|text| text.len()).sum()
    }

    fn into_request(self) -> messages::ScriptingRequest {
        messages::ScriptingRequest {
            scripting_request_id: 0,
            target: self.target,
            action: self.action,
            parameters: self.parameters,
            r#async: self.asynchronous,
            return_path: self.return_path,
        }
    }
}

/// What the page answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptAnswer {
    /// Whether the action was carried out and did not throw.
    pub success: bool,
    /// Why not; empty otherwise.
    pub message: String,
    /// The result as JSON text; empty if there is none.
    pub response: String,
}

/// Why a call has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The time limit passed.
    TimeLimit,
    /// The page is not connected, and is not waited for.
    LinkLost,
    /// The session has ended, or was put away.
    Ended,
    /// Too many wait for the session.
    TooMany,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The request did not reach a page, and never will.
    #[error("{} The action did not run.", match .0 {
        Cause::TimeLimit => "The session had no page that could take the request within the time limit.",
        Cause::LinkLost => "The page was lost before it was asked.",
        Cause::Ended => "The session ended before its page was asked.",
        Cause::TooMany => "Too many calls wait for this session already.",
    })]
    NotRun(Cause),
    /// The request was on its way to the page, or has reached it.
    #[error("{} It is not known whether the action ran.", match .0 {
        Cause::TimeLimit => "The page did not answer within the time limit.",
        Cause::LinkLost => "The connection to the page was lost before it answered.",
        Cause::Ended => "The session ended before its page answered.",
        Cause::TooMany => "Too many calls wait for this session already.",
    })]
    Unknown(Cause),
    /// A call of the same name was answered, but there was no room for its answer.
    #[error("A call with this key was answered before, but its answer is not kept any more.")]
    AnswerNotKept,
    /// A call of the same name asked for something else.
    #[error("A call with this key asked for something else before.")]
    NameReused,
    /// Too much waits for the session already.
    #[error("Too many calls wait for this session already.")]
    TooMany,
}

/// The calls of a session. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Scripts {
    calls: Arc<Mutex<Calls<oneshot::Sender<Outcome>>>>,
    // Whoever holds the lock of the calls may take that of the outbox, never the other way round.
    outbox: Outbox<Subject, Parcel>,
}

impl Scripts {
    pub(crate) fn new(outbox: Outbox<Subject, Parcel>) -> Self {
        Self {
            calls: Arc::default(),
            outbox,
        }
    }

    /// There is a client, and it has been told all that it must know first.
    pub(crate) fn attach(&self) {
        let mut calls = self.lock();
        for errand in calls.attach() {
            self.send(errand);
        }
    }

    /// The client that there was is gone, and what it was to be sent with it.
    pub(crate) fn detach(&self) {
        let mut calls = self.lock();
        self.outbox.discard();
        calls.detach();
    }

    /// The page answers.
    pub(crate) fn answer(&self, response: messages::ScriptingResponse) {
        let id = response.scripting_request_id;
        let answer = ScriptAnswer {
            success: response.success,
            message: response.message,
            response: response.response,
        };
        let told = self.lock().answer(id, answer);
        match told {
            Some(told) => tell(told),
            None => tracing::warn!(id, "an answer to a script that nobody waits for"),
        }
    }

    /// As [`Scripts::answer`], if nothing follows from the answer but what a caller is told; otherwise gives it back.
    pub(crate) fn answer_in_passing(
        &self,
        response: messages::ScriptingResponse,
    ) -> Option<messages::ScriptingResponse> {
        if !self.lock().is_passing(response.scripting_request_id) {
            return Some(response);
        }
        self.answer(response);
        None
    }

    /// How many bytes of answers are kept.
    pub(crate) fn held_bytes(&self) -> usize {
        self.lock().answer_bytes()
    }

    /// Keeps only answers that are written down as well.
    pub(crate) fn relieve(&self) {
        self.lock().relieve();
    }

    /// The session is over.
    pub(crate) fn end(&self) {
        tell(self.lock().end());
    }

    /// The session is written down for the last time.
    pub(crate) fn suspend(&self) {
        tell(self.lock().suspend());
    }

    pub(crate) fn remember(&self) -> Remembered {
        self.lock().remember()
    }

    pub(crate) fn restore(&self, remembered: Remembered) {
        self.lock().restore(remembered);
    }

    fn send(&self, Errand { request, ticket }: Errand) {
        let subject = subject(request.scripting_request_id);
        let parcel = Parcel::of_script(Outgoing::new(0, &*request), ticket);
        self.outbox.put_now(subject, parcel);
    }

    fn release(&self, id: i32) {
        let mut calls = self.lock();
        if let Some(errand) = calls.release(id) {
            self.send(errand);
        }
    }

    /// A waiter's time is up, or it has given up.
    fn leave(&self, place: Place) {
        let mut calls = self.lock();
        if calls.is_last(place) {
            let stale = subject(place.call);
            self.outbox.retract(|subject| *subject == stale);
        }
        tell(calls.leave(place, Cause::TimeLimit).into_iter().collect());
    }

    fn lock(&self) -> MutexGuard<'_, Calls<oneshot::Sender<Outcome>>> {
        // Nothing that could panic runs under the lock.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn subject(id: i32) -> Subject {
    Subject {
        file_id: None,
        topic: Topic::Script { id },
    }
}

fn tell(told: Told<oneshot::Sender<Outcome>>) {
    for (waiter, outcome) in told {
        // Whoever has just gone away needs not be told.
        let _ = waiter.send(outcome);
    }
}

/// Somebody's wait, which ends when it is dropped.
struct Wait {
    scripts: Scripts,
    place: Place,
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.scripts.leave(self.place);
    }
}

impl ViewerSession {
    /// Has the page carry out an action, and waits for its answer. To drop the future is to give up: what was not sent
    /// until then never will be.
    ///
    /// # Errors
    /// [`ScriptError`] says why there is no answer, and whether the action may have run all the same.
    pub async fn call(&self, call: ScriptCall) -> Result<ScriptAnswer, ScriptError> {
        let named = call.name.is_some();
        let outcome = self.outcome(call).await;
        if named && outcome.is_ok() {
            // Whoever was given the answer once gets it again, from the next process as well.
            self.write_down().await;
        }
        outcome
    }

    async fn outcome(&self, mut call: ScriptCall) -> Outcome {
        let deadline = Instant::now() + call.time_limit;
        if !self.is_restored() && timeout_at(deadline, self.restored()).await.is_err() {
            return Err(match call.name {
                // What became of an earlier call of the name is not known yet.
                Some(_) => ScriptError::Unknown(Cause::TimeLimit),
                None => ScriptError::NotRun(Cause::TimeLimit),
            });
        }
        let name = call.name.take();
        let named = name.is_some();
        let scripts = self.scripts();
        let (waiter, mut told) = oneshot::channel();
        let begun = scripts.lock().begin(call.into_request(), name, waiter, now());
        let place = match begun {
            Begun::New(place) | Begun::Joined(place) => place,
            Begun::Over(_, outcome) => return outcome,
        };
        let wait = Wait {
            scripts: scripts.clone(),
            place,
        };
        let answered = async {
            if named || place.begins_step() {
                // Should the process be killed, the next one has to know that the action may have run, and which ids were
                // given. Whoever has joined an earlier call does the same, because the earlier caller may have given up.
                self.write_down().await;
            }
            scripts.release(place.call);
            (&mut told).await
        };
        let outcome = match timeout_at(deadline, answered).await {
            Ok(outcome) => outcome,
            Err(_) => {
                // Tells what the time limit means, unless the answer was faster.
                drop(wait);
                told.await
            }
        };
        outcome.unwrap_or(Err(ScriptError::Unknown(Cause::Ended)))
    }
}

impl ViewerSession {
    /// What is known of an earlier call of the same name, without waiting; `None` if there was none.
    #[must_use]
    pub fn recall(&self, call: &ScriptCall) -> Option<Result<ScriptAnswer, ScriptError>> {
        let name = call.name.as_deref()?;
        self.scripts().lock().recall(call.clone().into_request(), name)
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}
