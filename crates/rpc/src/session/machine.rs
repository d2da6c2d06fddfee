//! The rules of one conversation, without IO and clock.
//!
//! What comes in is told to the [`Machine`] with the time; what is to be done, it tells its [`Effects`]. Every request that
//! was accepted is answered exactly once: with a reply or an error of its handler, `REQUEST_CANCELLED` or `REQUEST_TIMEOUT`.

mod answer;
mod effects;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

use self::answer::{ACK_BUDGET, ANSWER_BUDGET, class_of, overloaded, send_error, speaking_for};
pub(crate) use self::effects::{Effects, Limits, Outcome, RunId, Start};
use super::frame::{Echo, Frame};
use crate::context::Caller;
use crate::lanes::{Class, Entered, Lanes};
use crate::message::{Generation, Message, MessageType, Route, empty_object, lane_of};
use crate::views::Standing;
use crate::{RpcError, code};

/// One conversation.
#[derive(Debug)]
pub(crate) struct Machine<W, H> {
    limits: Limits,
    welcomed: Option<Welcomed>,
    runs: HashMap<Arc<str>, Run<W, H>>,
    lanes: Lanes,
    deadlines: BTreeMap<(Instant, u64), Arc<str>>,
    subscriptions: usize,
    next_serial: u64,
    nothing: Box<RawValue>,
    no_generation: Generation,
}

#[derive(Debug)]
struct Welcomed {
    caller: Arc<Caller>,
    generation: Generation,
}

/// A message that is being carried out, or waits for it.
#[derive(Debug)]
struct Run<W, H> {
    serial: u64,
    class: Class,
    lane: Arc<str>,
    route: Option<Route>,
    path: Option<String>,
    /// The key, if the caller chose one.
    key: Option<String>,
    deadline: Option<Instant>,
    stage: Stage<W, H>,
}

#[derive(Debug)]
enum Stage<W, H> {
    Waits {
        work: W,
        message: Box<Message>,
        caller: Arc<Caller>,
    },
    /// The handle is missing for the moment in which the work begins.
    Runs(Option<H>),
}

impl<W, H> Machine<W, H> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            welcomed: None,
            runs: HashMap::new(),
            lanes: Lanes::new(limits.lanes),
            deadlines: BTreeMap::new(),
            subscriptions: 0,
            next_serial: 0,
            nothing: empty_object(),
            no_generation: Generation {
                num: 0,
                salt: String::new(),
            },
        }
    }

    /// The generation that messages to the page have.
    pub(crate) fn generation(&self) -> &Generation {
        self.welcomed
            .as_ref()
            .map_or(&self.no_generation, |welcomed| &welcomed.generation)
    }

    /// Whether the page was welcomed.
    pub(crate) fn is_welcomed(&self) -> bool {
        self.welcomed.is_some()
    }

    /// When [`Machine::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first_key_value().map(|((at, _), _)| *at)
    }

    /// Whether nothing is carried out and nothing waits.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.runs.is_empty()
    }

    /// A generation begins.
    pub(crate) fn welcome<E>(
        &mut self,
        caller: Arc<Caller>,
        generation: Generation,
        payload: &RawValue,
        effects: &mut E,
    ) where
        E: Effects<Work = W, Handle = H>,
    {
        let mut frame = Frame::new(MessageType::Welcome, &generation, payload);
        frame.budget_ms = Some(ANSWER_BUDGET);
        effects.send(frame, None);
        self.welcomed = Some(Welcomed { caller, generation });
    }

    /// A frame came that is no message.
    pub(crate) fn refuse<E>(
        &mut self,
        id: Option<&str>,
        route: Option<&Route>,
        error: &RpcError,
        effects: &mut E,
    ) where
        E: Effects<Work = W, Handle = H>,
    {
        send_error(self.generation(), id, route, error, effects);
    }

    /// A message of `bytes` bytes came. Returns it if it is a hello, which is answered by [`Machine::welcome`].
    pub(crate) fn receive<E>(
        &mut self,
        message: Message,
        bytes: usize,
        now: Instant,
        effects: &mut E,
    ) -> Option<Message>
    where
        E: Effects<Work = W, Handle = H>,
    {
        if message.kind == MessageType::Hello {
            return Some(message);
        }
        let Some(welcomed) = &self.welcomed else {
            // Whoever acknowledges errors as well would never come to an end.
            if message.kind == MessageType::Ack {
                return None;
            }
            let error = RpcError::new(
                code::NOT_WELCOMED,
                "Nothing can be done before the hello and its welcome.",
            )
            .retryable(None);
            self.refuse(Some(&message.id), message.route.as_ref(), &error, effects);
            return None;
        };
        if message.kind == MessageType::Ack {
            effects.answer(&welcomed.generation, message);
            return None;
        }
        let mut ack = Frame::new(MessageType::Ack, &welcomed.generation, &self.nothing);
        ack.correlates_to = Some(&message.id);
        ack.budget_ms = Some(ACK_BUDGET);
        ack.route = Echo::Of(message.route.as_ref());
        effects.send(ack, None);

        let standing = match &message.generation {
            None => Standing::Current,
            Some(generation) if *generation == welcomed.generation => Standing::Current,
            // What is current to the tab belongs to a later welcome than ours.
            Some(generation) => match effects.standing(generation) {
                Standing::Current => Standing::Foreign,
                other => other,
            },
        };
        self.dispatch(message, standing, bytes, now, effects);
        None
    }

    fn dispatch<E>(
        &mut self,
        message: Message,
        standing: Standing,
        bytes: usize,
        now: Instant,
        effects: &mut E,
    ) where
        E: Effects<Work = W, Handle = H>,
    {
        let current = standing == Standing::Current;
        let ours = standing != Standing::Foreign;
        match message.kind {
            MessageType::Request | MessageType::Emit if ours => self.accept(message, bytes, now, effects),
            MessageType::Subscribe if current => self.accept(message, bytes, now, effects),
            MessageType::Cancel | MessageType::Unsubscribe if ours => {
                if let Some(id) = &message.correlates_to {
                    self.cancel(id, effects);
                }
            }
            MessageType::Reply | MessageType::Error | MessageType::StateUpdate if current => {
                effects.answer(self.generation(), message);
            }
            MessageType::ClientReady => {
                if current && let Err(error) = effects.client_ready(self.generation(), &message) {
                    self.refuse(Some(&message.id), None, &error, effects);
                }
            }
            MessageType::Heartbeat if ours => {}
            MessageType::Ack | MessageType::Hello | MessageType::Welcome => {}
            _ => {
                let error = RpcError::new(
                    code::STALE_GENERATION,
                    "The message belongs to a generation that is over, and was not carried out.",
                );
                self.refuse(Some(&message.id), message.route.as_ref(), &error, effects);
            }
        }
    }

    fn accept<E>(&mut self, message: Message, bytes: usize, now: Instant, effects: &mut E)
    where
        E: Effects<Work = W, Handle = H>,
    {
        if let Some(run) = self.runs.get(message.id.as_str()) {
            let same =
                run.class == class_of(&message) && run.route == message.route && run.path == message.path;
            // The answer to the first one answers a repeated one as well.
            if !same {
                let text = "Another message with the same id is being carried out.";
                let error = RpcError::new(code::DUPLICATE_ID, text);
                self.refuse(Some(&message.id), message.route.as_ref(), &error, effects);
            }
            return;
        }
        if let Err((message, error)) = self.admit(message, bytes, now, effects) {
            self.refuse(Some(&message.id), message.route.as_ref(), &error, effects);
        }
    }

    fn admit<E>(
        &mut self,
        message: Message,
        bytes: usize,
        now: Instant,
        effects: &mut E,
    ) -> Result<(), (Box<Message>, RpcError)>
    where
        E: Effects<Work = W, Handle = H>,
    {
        let message = Box::new(message);
        let Some(welcomed) = &self.welcomed else {
            return Ok(());
        };
        let caller = speaking_for(&welcomed.caller, message.origin.as_deref());
        let work = match effects.find(&message, &caller) {
            Ok(work) => work,
            Err(error) => return Err((message, error)),
        };
        let class = class_of(&message);
        if class == Class::Subscription && self.subscriptions >= self.limits.subscriptions {
            return Err((message, overloaded("This page has too many subscriptions.")));
        }
        let id: Arc<str> = message.id.as_str().into();
        let lane: Arc<str> = lane_of(&message).into();
        let entered = self.lanes.enter(&lane, &id, class, bytes);
        if entered == Entered::Full {
            return Err((
                message,
                overloaded("Too many requests of this page wait already."),
            ));
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        self.subscriptions += usize::from(class == Class::Subscription);
        let deadline = (class != Class::Subscription).then(|| now + self.budget(&message));
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, serial), Arc::clone(&id));
        }
        let chosen = message.idempotency_key.as_ref().filter(|key| **key != message.id);
        let mut run = Run {
            serial,
            class,
            lane,
            route: message.route.clone(),
            path: message.path.clone(),
            key: chosen.cloned(),
            deadline,
            stage: Stage::Runs(None),
        };
        if entered == Entered::Starts {
            let start = Start {
                run: RunId {
                    id: Arc::clone(&id),
                    serial,
                },
                lane: Arc::clone(&run.lane),
                work,
                message,
                caller,
                deadline,
            };
            self.runs.insert(id, run);
            effects.start(start);
        } else {
            run.stage = Stage::Waits {
                work,
                message,
                caller,
            };
            self.runs.insert(id, run);
        }
        Ok(())
    }

    fn budget(&self, message: &Message) -> Duration {
        let budget = message.budget_ms.and_then(|budget| u64::try_from(budget).ok());
        let budget = budget.filter(|budget| *budget > 0).map(Duration::from_millis);
        budget
            .unwrap_or(self.limits.default_budget)
            .min(self.limits.max_budget)
    }

    /// The work of a run has begun; this is by which it can be given up.
    pub(crate) fn started(&mut self, run: &RunId, handle: H) {
        if let Some(found) = self.runs.get_mut(&run.id)
            && found.serial == run.serial
        {
            found.stage = Stage::Runs(Some(handle));
        }
    }

    /// The work of a run has ended. Runs that are over already are passed over.
    pub(crate) fn finished<E>(&mut self, run: &RunId, outcome: &Outcome, effects: &mut E)
    where
        E: Effects<Work = W, Handle = H>,
    {
        if !self.is_running(run) {
            return;
        }
        let Some((_, found)) = self.retire(&run.id) else {
            return;
        };
        match (outcome, found.class) {
            (Err(error), _) => {
                send_error(
                    self.generation(),
                    Some(&run.id),
                    found.route.as_ref(),
                    error,
                    effects,
                );
            }
            (Ok(_), Class::Event) => {}
            (Ok(payload), class) => {
                let kind = if class == Class::Request {
                    MessageType::Reply
                } else {
                    MessageType::StateUpdate
                };
                let mut frame = Frame::new(kind, self.generation(), payload);
                frame.correlates_to = Some(&run.id);
                frame.lane = &found.lane;
                if class == Class::Request {
                    frame.budget_ms = Some(ANSWER_BUDGET);
                    frame.idempotency_key = Some(found.key.as_deref().unwrap_or(&run.id));
                    frame.route = Echo::Of(found.route.as_ref());
                } else {
                    frame.last = Some(1);
                }
                effects.send(frame, None);
            }
        }
        self.advance(effects);
    }

    /// Sends an update of a subscription, or the progress of a request. Returns whether the run is still there.
    pub(crate) fn update<E>(
        &mut self,
        run: &RunId,
        payload: Option<&RawValue>,
        progress: Option<f64>,
        newest: bool,
        effects: &mut E,
    ) -> bool
    where
        E: Effects<Work = W, Handle = H>,
    {
        if !self.is_running(run) {
            return false;
        }
        let Some(found) = self.runs.get(&run.id) else {
            return false;
        };
        let job = progress.and_then(|progress| to_raw_value(&json!({"progress": progress})).ok());
        let payload = payload.unwrap_or(&self.nothing);
        let mut frame = Frame::new(MessageType::StateUpdate, self.generation(), payload);
        frame.correlates_to = Some(&run.id);
        frame.lane = &found.lane;
        frame.job = job.as_deref();
        effects.send(frame, newest.then_some(run.serial));
        true
    }

    /// Whether somebody still waits for a run.
    pub(crate) fn is_running(&self, run: &RunId) -> bool {
        self.runs
            .get(&run.id)
            .is_some_and(|found| found.serial == run.serial)
    }

    /// Time has gone by.
    pub(crate) fn tick<E>(&mut self, now: Instant, effects: &mut E)
    where
        E: Effects<Work = W, Handle = H>,
    {
        while let Some(first) = self.deadlines.first_entry() {
            if first.key().0 > now {
                break;
            }
            let id = first.remove();
            let text = "The time that the request had is over.";
            let error = RpcError::new(code::REQUEST_TIMEOUT, text).retryable(None);
            self.stop(&id, Some(&error), effects);
        }
        self.advance(effects);
    }

    fn cancel<E>(&mut self, id: &str, effects: &mut E)
    where
        E: Effects<Work = W, Handle = H>,
    {
        let is_request = self.runs.get(id).is_some_and(|run| run.class == Class::Request);
        let error = is_request.then(|| {
            RpcError::new(
                code::REQUEST_CANCELLED,
                "The request was cancelled by its caller.",
            )
        });
        self.stop(id, error.as_ref(), effects);
        self.advance(effects);
    }

    /// Ends a run before its work has ended; whoever waits for it is told the error.
    fn stop<E>(&mut self, id: &str, error: Option<&RpcError>, effects: &mut E)
    where
        E: Effects<Work = W, Handle = H>,
    {
        let Some((id, run)) = self.retire(id) else {
            return;
        };
        if let Stage::Runs(Some(handle)) = run.stage {
            effects.give_up(handle, false);
        }
        if let Some(error) = error {
            send_error(self.generation(), Some(&id), run.route.as_ref(), error, effects);
        }
    }

    /// The conversation is over. With `keep`, requests whose caller has chosen a key go on.
    pub(crate) fn end<E>(&mut self, keep: bool, effects: &mut E)
    where
        E: Effects<Work = W, Handle = H>,
    {
        self.lanes = Lanes::new(self.limits.lanes);
        self.deadlines.clear();
        self.subscriptions = 0;
        for (_, run) in self.runs.drain() {
            let keep = keep && run.class == Class::Request && run.key.is_some();
            if let Stage::Runs(Some(handle)) = run.stage {
                effects.give_up(handle, keep);
            }
        }
    }

    /// Takes a run off the books.
    fn retire(&mut self, id: &str) -> Option<(Arc<str>, Run<W, H>)> {
        let (id, run) = self.runs.remove_entry(id)?;
        if let Some(deadline) = run.deadline {
            self.deadlines.remove(&(deadline, run.serial));
        }
        self.subscriptions -= usize::from(run.class == Class::Subscription);
        match run.stage {
            Stage::Waits { .. } => self.lanes.withdraw(&run.lane, &id),
            Stage::Runs(_) => self.lanes.leave(&run.lane, run.class),
        }
        Some((id, run))
    }

    /// Starts what may start now.
    fn advance<E>(&mut self, effects: &mut E)
    where
        E: Effects<Work = W, Handle = H>,
    {
        while let Some(id) = self.lanes.next() {
            let Some(run) = self.runs.get_mut(&id) else {
                continue;
            };
            let Stage::Waits {
                work,
                message,
                caller,
            } = std::mem::replace(&mut run.stage, Stage::Runs(None))
            else {
                continue;
            };
            let serial = run.serial;
            effects.start(Start {
                run: RunId { id, serial },
                lane: Arc::clone(&run.lane),
                work,
                message,
                caller,
                deadline: run.deadline,
            });
        }
    }
}

#[cfg(test)]
mod tests;
