//! Which actions of programs a session's page has still to answer: without a session, links, threads or clocks.
//!
//! ```text
//!           release            taken by a link             answer
//!   Noted ───────────▶ Queued ─────────────────▶ Sent ─────────────────▶ (told)
//!                         ▲                                                 │ with a name
//!                         └─ asked again of the                             ▼
//!                            next link, if it was                  Answered, AnswerDropped
//!                            not taken
//! ```
//!
//! What a link has taken is never sent again, but an answer to it is good whenever it comes: a page that has lost its link
//! may be at work on it all the same, and answers over the next one. Ids never come again, so that no other page can.
//!
//! Each waiter is told exactly once, or has given up. What nobody waits for any more is forgotten, but for calls with a
//! name (HTTP's `Idempotency-Key`): those are remembered for a while, whatever became of them, so that the same call that
//! comes again is never carried out twice.

mod call;
mod memory;

use std::collections::BTreeMap;
use std::sync::Arc;

use chartroom_icd::messages::ScriptingRequest;

use self::call::{Call, Name, Stage, Sum, content, cost, size, tell_all};
pub(super) use self::call::{Errand, Told};
pub(crate) use self::call::{Outcome, Ticket};
use super::{Cause, ScriptAnswer, ScriptCall, ScriptError};

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
/// that was killed before it wrote the last ones down. Whoever gets the first id of a step has it written down.
const STEP: i32 = 1 << 16;

/// Somebody's place among those who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) call: i32,
    waiter: u64,
}

impl Place {
    /// Whether what is written down of ids has changed with this call.
    pub(super) fn begins_step(self) -> bool {
        self.call % STEP == 0
    }
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

    /// The client that there was is gone, and what waited for it was dropped. Nobody is told: whether the page answers over
    /// another link is not known before the time of those who wait is up, or the session ends.
    pub(super) fn detach(&mut self) {
        self.connected = false;
        self.retain(|call| {
            if !call.stage.is_unsent() && !call.stage.is_answered() {
                // The request is not needed any more.
                call.stage = Stage::Sent;
            }
            true
        });
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
}

#[cfg(test)]
mod tests;
