//! Which actions of programs a session's page has still to answer: without a session, links, threads or clocks.
//!
//! ```text
//!           release            taken by a link             answer
//!   Noted ───────────▶ Queued ─────────────────▶ Sent ─────────────────▶ (told)
//!                         ▲                        │                        │ with a name
//!                         └─ asked again of the    │ the page has           ▼
//!                            next link, if it was  │ forgotten it       Answered, AnswerDropped
//!                            not taken             ▼
//!                                                Lost ── late answer, with a name ──▶
//! ```
//!
//! Each waiter is told exactly once, or has given up. What nobody waits for any more is forgotten, but for calls with a
//! name (HTTP's `Idempotency-Key`): those are remembered for a while, whatever became of them, so that the same call that
//! comes again is never carried out twice.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{AddAssign, SubAssign};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chartroom_icd::ServerMessage;
use chartroom_icd::messages::ScriptingRequest;
use chartroom_session::LinkEnd;

use super::record::{Progress, Record, Remembered};
use super::{Cause, ScriptAnswer, ScriptCall, ScriptError};
use crate::hash::fnv;

/// For how many seconds calls with a name are remembered.
pub(super) const REMEMBERED_FOR: u64 = 600;

/// How many bytes of calls with names are remembered, without their answers.
pub(super) const NAMED_BYTES: usize = 64 << 10;

/// How many bytes of answers to calls with names are kept, in memory.
pub(super) const ANSWER_BYTES: usize = 16 << 20;

/// How many bytes of them are written down: the newest, and of those the small ones.
pub(super) const WRITTEN_BYTES: usize = 64 << 10;

/// The largest answer that is written down.
pub(super) const WRITTEN_ANSWER: usize = 16 << 10;

/// Ids are written down in steps of so many, and as many are left out, so that none is given twice, not even by a process
/// that was killed before it wrote the last ones down.
const STEP: i32 = 1 << 16;

/// Says whether a link has taken a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ticket(Arc<AtomicBool>);

impl Ticket {
    /// A link takes the request.
    pub(crate) fn take(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_taken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What a waiter is told.
pub(crate) type Outcome = Result<ScriptAnswer, ScriptError>;

/// Those who are to be told something, and what.
pub(super) type Told<W> = Vec<(W, Outcome)>;

/// A request that is to go to the page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Errand {
    pub(super) request: Arc<ScriptingRequest>,
    pub(super) ticket: Ticket,
}

impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Somebody's place among those who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) call: i32,
    waiter: u64,
}

/// How a call begins.
#[derive(Debug)]
pub(super) enum Begun<W> {
    /// It has to be released.
    New(Place),
    /// It waits together with an earlier call of the same name.
    Joined(Place),
    /// It is over already.
    Over(W, Outcome),
}

/// The calls of one session; `W` is what a waiter is told by.
#[derive(Debug)]
pub(super) struct Calls<W> {
    next_id: i32,
    next_waiter: u64,
    connected: bool,
    over: bool,
    /// Changed only by methods that keep `sum` right.
    calls: BTreeMap<i32, Call<W>>,
    sum: Sum,
}

/// What calls cost, so that no bound needs a look at all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sum {
    waiters: usize,
    /// Of requests.
    request_bytes: usize,
    /// Of names.
    named_bytes: usize,
    /// Of answers that are kept.
    answer_bytes: usize,
}

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.waiters += other.waiters;
        self.request_bytes += other.request_bytes;
        self.named_bytes += other.named_bytes;
        self.answer_bytes += other.answer_bytes;
    }
}

impl SubAssign for Sum {
    fn sub_assign(&mut self, other: Self) {
        self.waiters -= other.waiters;
        self.request_bytes -= other.request_bytes;
        self.named_bytes -= other.named_bytes;
        self.answer_bytes -= other.answer_bytes;
    }
}

#[derive(Debug)]
struct Call<W> {
    stage: Stage,
    /// Bytes of the request.
    size: usize,
    waiters: Vec<(u64, W)>,
    name: Option<Name>,
}

#[derive(Debug)]
struct Name {
    text: String,
    /// The hash of the request.
    content: u64,
    /// When it came, in seconds since 1970.
    begun: u64,
}

#[derive(Debug)]
enum Stage {
    /// It is being written down first.
    Noted(Arc<ScriptingRequest>),
    /// It waits for a link.
    Queued(Errand),
    /// A link has taken it.
    Sent,
    /// The page that has taken it is gone.
    Lost,
    /// Only with a name.
    Answered(ScriptAnswer),
    /// Only with a name: there was no room for its answer.
    AnswerDropped,
}

impl Stage {
    /// Whether the request cannot have reached a page.
    fn is_unsent(&self) -> bool {
        match self {
            Self::Noted(_) => true,
            Self::Queued(errand) => !errand.ticket.is_taken(),
            Self::Sent | Self::Lost | Self::Answered(_) | Self::AnswerDropped => false,
        }
    }

    fn is_answered(&self) -> bool {
        matches!(self, Self::Answered(_) | Self::AnswerDropped)
    }

    fn answer_bytes(&self) -> usize {
        match self {
            Self::Answered(answer) => answer.message.len() + answer.response.len(),
            _ => 0,
        }
    }

    /// The error of somebody who does not wait for an answer any more.
    fn without_answer(&self, cause: Cause) -> ScriptError {
        match self.is_unsent() {
            true => ScriptError::NotRun(cause),
            false => ScriptError::Unknown(cause),
        }
    }
}

impl<W> Call<W> {
    fn sum(&self) -> Sum {
        let holds_request = matches!(self.stage, Stage::Noted(_) | Stage::Queued(_));
        Sum {
            waiters: self.waiters.len(),
            request_bytes: if holds_request { self.size } else { 0 },
            named_bytes: self.name.as_ref().map_or(0, |name| cost(&name.text)),
            answer_bytes: self.stage.answer_bytes(),
        }
    }

    fn begun(&self) -> u64 {
        self.name.as_ref().map_or(0, |name| name.begun)
    }

    fn tell(&mut self, outcome: &Outcome) -> Told<W> {
        tell_all(std::mem::take(&mut self.waiters), outcome.clone())
    }
}

/// Tells each of them the outcome, which is copied only if there are several.
fn tell_all<W>(mut waiters: Vec<(u64, W)>, outcome: Outcome) -> Told<W> {
    let last = waiters.pop();
    let mut told: Told<W> = waiters
        .into_iter()
        .map(|(_, waiter)| (waiter, outcome.clone()))
        .collect();
    told.extend(last.map(|(_, waiter)| (waiter, outcome)));
    told
}

fn size(request: &impl ServerMessage) -> usize {
    request.encoded_len()
}

/// By which a request that has no id yet is known when it comes again.
fn content(request: &impl ServerMessage) -> u64 {
    fnv(&request.encode_to_vec())
}

/// Roughly what it costs to remember a name.
fn cost(name: &str) -> usize {
    64 + name.len()
}

impl<W> Default for Calls<W> {
    fn default() -> Self {
        Self {
            next_id: 1,
            next_waiter: 0,
            connected: false,
            over: false,
            calls: BTreeMap::new(),
            sum: Sum::default(),
        }
    }
}

impl<W> Calls<W> {
    fn insert(&mut self, id: i32, call: Call<W>) {
        self.sum += call.sum();
        self.calls.insert(id, call);
    }

    fn remove(&mut self, id: i32) -> Option<Call<W>> {
        let call = self.calls.remove(&id)?;
        self.sum -= call.sum();
        Some(call)
    }

    /// Changes a call, if it is there.
    fn change<R>(&mut self, id: i32, change: impl FnOnce(&mut Call<W>) -> R) -> Option<R> {
        let call = self.calls.get_mut(&id)?;
        self.sum -= call.sum();
        let changed = change(call);
        self.sum += call.sum();
        Some(changed)
    }

    /// Keeps the calls that `keep` wants, and may change them.
    fn retain(&mut self, mut keep: impl FnMut(&mut Call<W>) -> bool) {
        let mut sum = Sum::default();
        self.calls.retain(|_, call| {
            let kept = keep(call);
            if kept {
                sum += call.sum();
            }
            kept
        });
        self.sum = sum;
    }

    /// Begins a call; its id is not in `request` yet. `now` is in seconds since 1970.
    pub(super) fn begin(
        &mut self,
        mut request: ScriptingRequest,
        name: Option<String>,
        waiter: W,
        now: u64,
    ) -> Begun<W> {
        if self.over {
            return Begun::Over(waiter, Err(ScriptError::NotRun(Cause::Ended)));
        }
        self.forget_old(now);
        request.scripting_request_id = 0;
        let name = name.map(|text| Name {
            content: content(&request),
            begun: now,
            text,
        });
        let earlier = name.as_ref().and_then(|name| self.named(&name.text));
        if let (Some(id), Some(name)) = (earlier, &name) {
            return self.join(id, name.content, waiter);
        }
        let size = size(&request);
        if !self.has_room(size, name.as_ref()) {
            return Begun::Over(waiter, Err(ScriptError::TooMany));
        }
        let id = self.take_id();
        request.scripting_request_id = id;
        let number = self.take_waiter();
        let call = Call {
            stage: Stage::Noted(Arc::new(request)),
            size,
            waiters: vec![(number, waiter)],
            name,
        };
        self.insert(id, call);
        Begun::New(Place {
            call: id,
            waiter: number,
        })
    }

    /// A call of the same name came before.
    fn join(&mut self, id: i32, content: u64, waiter: W) -> Begun<W> {
        let full = self.waiters() >= ScriptCall::WAITING;
        let number = self.take_waiter();
        let Some(call) = self.calls.get(&id) else {
            return Begun::Over(waiter, Err(ScriptError::TooMany));
        };
        if call.name.as_ref().is_some_and(|name| name.content != content) {
            return Begun::Over(waiter, Err(ScriptError::NameReused));
        }
        match &call.stage {
            Stage::Answered(answer) => Begun::Over(waiter, Ok(answer.clone())),
            Stage::AnswerDropped => Begun::Over(waiter, Err(ScriptError::AnswerNotKept)),
            Stage::Lost => Begun::Over(waiter, Err(ScriptError::Unknown(Cause::LinkLost))),
            // The action may run, or have run, for those who wait.
            Stage::Noted(_) | Stage::Queued(_) | Stage::Sent if full => {
                Begun::Over(waiter, Err(ScriptError::Unknown(Cause::TooMany)))
            }
            Stage::Noted(_) | Stage::Queued(_) | Stage::Sent => {
                self.change(id, |call| call.waiters.push((number, waiter)));
                Begun::Joined(Place {
                    call: id,
                    waiter: number,
                })
            }
        }
    }

    /// What somebody is told of a call of this name who does not wait; `None` if there was none.
    pub(super) fn recall(&self, mut request: ScriptingRequest, name: &str) -> Option<Outcome> {
        request.scripting_request_id = 0;
        let call = self.calls.get(&self.named(name)?)?;
        if call.name.as_ref()?.content != content(&request) {
            return Some(Err(ScriptError::NameReused));
        }
        match &call.stage {
            Stage::Answered(answer) => Some(Ok(answer.clone())),
            Stage::AnswerDropped => Some(Err(ScriptError::AnswerNotKept)),
            _ => Some(Err(ScriptError::Unknown(Cause::LinkLost))),
        }
    }

    fn named(&self, text: &str) -> Option<i32> {
        let named = |call: &Call<W>| call.name.as_ref().is_some_and(|name| name.text == text);
        self.calls.iter().find(|(_, call)| named(call)).map(|(&id, _)| id)
    }

    fn has_room(&mut self, size: usize, name: Option<&Name>) -> bool {
        let waiting = self.sum.request_bytes;
        let fits = waiting == 0 || waiting + size <= ScriptCall::WAITING_BYTES;
        if self.waiters() >= ScriptCall::WAITING || !fits {
            return false;
        }
        name.is_none_or(|name| self.make_room(cost(&name.text)))
    }

    /// Forgets answered calls until `more` bytes of names can be remembered, the oldest first. Whether they can be.
    fn make_room(&mut self, more: usize) -> bool {
        while self.sum.named_bytes + more > NAMED_BYTES {
            let Some(oldest) = self.oldest(Stage::is_answered) else {
                return false;
            };
            self.remove(oldest);
        }
        true
    }

    /// The oldest of the calls in such a stage.
    fn oldest(&self, is_meant: impl Fn(&Stage) -> bool) -> Option<i32> {
        self.calls
            .iter()
            .filter(|(_, call)| is_meant(&call.stage))
            .min_by_key(|(id, call)| (call.begun(), **id))
            .map(|(&id, _)| id)
    }

    fn forget_old(&mut self, now: u64) {
        if self.sum.named_bytes > 0 {
            self.retain(|call| !call.waiters.is_empty() || now.saturating_sub(call.begun()) < REMEMBERED_FOR);
        }
    }

    fn take_id(&mut self) -> i32 {
        loop {
            let id = self.next_id;
            self.next_id = id.checked_add(1).unwrap_or(1);
            if !self.calls.contains_key(&id) {
                return id;
            }
        }
    }

    fn take_waiter(&mut self) -> u64 {
        self.next_waiter += 1;
        self.next_waiter
    }

    /// How many wait.
    pub(super) fn waiters(&self) -> usize {
        self.sum.waiters
    }

    /// How many bytes of answers are kept.
    pub(super) fn answer_bytes(&self) -> usize {
        self.sum.answer_bytes
    }

    /// Keeps no answers that are not written down as well.
    pub(super) fn relieve(&mut self) {
        let written = self.written();
        for id in self.oldest_answers() {
            if !written.contains(&id) {
                self.change(id, |call| call.stage = Stage::AnswerDropped);
            }
        }
    }

    /// The answered calls whose answers are kept, the oldest first.
    fn oldest_answers(&self) -> Vec<i32> {
        let mut ids: Vec<_> = self
            .calls
            .iter()
            .filter(|(_, call)| matches!(call.stage, Stage::Answered(_)))
            .map(|(&id, call)| (call.begun(), id))
            .collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// The calls whose answers are written down.
    fn written(&self) -> BTreeSet<i32> {
        let mut left = WRITTEN_BYTES;
        let mut written = BTreeSet::new();
        for id in self.oldest_answers().into_iter().rev() {
            let bytes = self.calls.get(&id).map_or(0, |call| call.stage.answer_bytes());
            if bytes <= WRITTEN_ANSWER.min(left) {
                left -= bytes;
                written.insert(id);
            }
        }
        written
    }

    /// A call that was begun may be carried out. What is to be sent now, if there is a client.
    pub(super) fn release(&mut self, id: i32) -> Option<Errand> {
        let call = self.calls.get_mut(&id)?;
        let Stage::Noted(request) = &call.stage else {
            return None;
        };
        let errand = Errand {
            request: Arc::clone(request),
            ticket: Ticket::default(),
        };
        call.stage = Stage::Queued(errand.clone());
        // It costs what it did.
        self.connected.then_some(errand)
    }

    /// There is a client. What is to be sent to it, in order.
    pub(super) fn attach(&mut self) -> Vec<Errand> {
        if std::mem::replace(&mut self.connected, true) || self.over {
            return Vec::new();
        }
        let mut errands = Vec::new();
        for call in self.calls.values_mut() {
            if let Stage::Queued(errand) = &mut call.stage
                && !errand.ticket.is_taken()
            {
                errand.ticket = Ticket::default();
                errands.push(errand.clone());
            }
        }
        errands
    }

    /// The client that there was is gone, and what waited for it was dropped.
    pub(super) fn detach(&mut self, end: LinkEnd) -> Told<W> {
        self.connected = false;
        let mut told = Vec::new();
        if end == LinkEnd::Closed {
            // The session ends soon, and its end is what those who wait are to be told.
            return told;
        }
        self.retain(|call| {
            if call.stage.is_unsent() || call.stage.is_answered() {
                return true;
            }
            call.stage = Stage::Lost;
            told.extend(call.tell(&Err(ScriptError::Unknown(Cause::LinkLost))));
            call.name.is_some()
        });
        told
    }

    /// Whether an answer to this call has no effect but on who waits for it: it is under way, and has no name.
    pub(super) fn is_passing(&self, id: i32) -> bool {
        self.calls
            .get(&id)
            .is_some_and(|call| call.name.is_none() && !call.stage.is_unsent())
    }

    /// The page answers; `None` if it answers what nobody has asked it, or has answered already.
    pub(super) fn answer(&mut self, id: i32, answer: ScriptAnswer) -> Option<Told<W>> {
        let call = self.calls.get(&id)?;
        if call.stage.is_unsent() || call.stage.is_answered() {
            return None;
        }
        if call.name.is_none() {
            let call = self.remove(id)?;
            return Some(tell_all(call.waiters, Ok(answer)));
        }
        let waiters = self.change(id, |call| {
            call.stage = Stage::Answered(answer.clone());
            std::mem::take(&mut call.waiters)
        })?;
        while self.sum.answer_bytes > ANSWER_BYTES {
            let oldest = self.oldest(|stage| stage.answer_bytes() > 0)?;
            self.change(oldest, |call| call.stage = Stage::AnswerDropped);
        }
        Some(tell_all(waiters, Ok(answer)))
    }

    /// Whether nobody else waits for what the waiter at `place` waits for.
    pub(super) fn is_last(&self, place: Place) -> bool {
        self.calls
            .get(&place.call)
            .is_some_and(|call| matches!(&call.waiters[..], [(number, _)] if *number == place.waiter))
    }

    /// A waiter does not wait any more; `None` if it was told already. What only it waited for is not sent if it was not
    /// yet, and must have been taken out of what waits for the client.
    pub(super) fn leave(&mut self, place: Place, cause: Cause) -> Option<(W, Outcome)> {
        let waiter = self.change(place.call, |call| {
            let mut waiters = call.waiters.iter();
            let at = waiters.position(|(number, _)| *number == place.waiter)?;
            Some(call.waiters.remove(at).1)
        })??;
        let call = self.calls.get(&place.call)?;
        let alone = call.waiters.is_empty();
        let error = match alone {
            true => call.stage.without_answer(cause),
            // It may still be carried out for the others.
            false => ScriptError::Unknown(cause),
        };
        if alone && (call.name.is_none() || call.stage.is_unsent()) {
            self.remove(place.call);
        }
        Some((waiter, Err(error)))
    }

    /// The session is over.
    pub(super) fn end(&mut self) -> Told<W> {
        self.over = true;
        self.sum = Sum::default();
        let calls = std::mem::take(&mut self.calls);
        calls
            .into_values()
            .flat_map(|mut call| {
                let error = call.stage.without_answer(Cause::Ended);
                call.tell(&Err(error))
            })
            .collect()
    }

    /// The session is written down for the last time: what was not sent to a page never will be.
    pub(super) fn suspend(&mut self) -> Told<W> {
        self.over = true;
        let mut told = Vec::new();
        self.retain(|call| {
            let unsent = call.stage.is_unsent();
            if unsent {
                told.extend(call.tell(&Err(ScriptError::NotRun(Cause::Ended))));
            }
            !unsent
        });
        told
    }

    /// What has to be known of the calls in another life of the session.
    pub(super) fn remember(&self) -> Remembered {
        let written = self.written();
        let entry = |(&id, call): (&i32, &Call<W>)| {
            let name = call.name.as_ref()?;
            let progress = match &call.stage {
                Stage::Answered(answer) if written.contains(&id) => Progress::Answered(answer.clone()),
                Stage::Answered(_) | Stage::AnswerDropped => Progress::AnswerDropped,
                Stage::Noted(_) | Stage::Queued(_) | Stage::Sent | Stage::Lost => Progress::Begun,
            };
            Some(Record {
                id,
                name: name.text.clone(),
                content: name.content,
                begun: name.begun,
                progress,
            })
        };
        Remembered {
            next_id: (self.next_id / STEP + 2).saturating_mul(STEP),
            records: self.calls.iter().filter_map(entry).collect(),
        }
    }

    /// Goes on from another life. `answers_come` says whether the page sends its answers again that may have been lost.
    pub(super) fn restore(&mut self, remembered: Remembered, answers_come: bool) {
        self.next_id = self.next_id.max(remembered.next_id);
        for record in remembered.records {
            let stage = match record.progress {
                Progress::Answered(answer) => Stage::Answered(answer),
                Progress::AnswerDropped => Stage::AnswerDropped,
                Progress::Begun if answers_come => Stage::Sent,
                Progress::Begun => Stage::Lost,
            };
            let name = Name {
                text: record.name,
                content: record.content,
                begun: record.begun,
            };
            let call = Call {
                stage,
                size: 0,
                waiters: Vec::new(),
                name: Some(name),
            };
            if !self.calls.contains_key(&record.id) {
                self.insert(record.id, call);
            }
        }
    }
}

#[cfg(test)]
mod tests;
