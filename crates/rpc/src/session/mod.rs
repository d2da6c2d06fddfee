//! One page and its conversation: the rules in [`machine`], the tasks that follow them here and in [`driver`].

mod beginnings;
pub(crate) mod calls;
pub(crate) mod driver;
mod frame;
mod greeting;
pub(crate) mod ids;
pub(crate) mod machine;
pub(crate) mod outbox;
mod work;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use chartroom_session::transport::ChannelSender;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::beginnings::Beginnings;
use self::calls::{Calls, Told};
use self::frame::{Echo, Frame};
use self::machine::{Effects, Machine, Outcome, RunId, Start};
use self::outbox::Outbox;
use self::work::{Handle, Launched, launch};
use crate::client::{Event, PageCall};
use crate::context::Caller;
use crate::http::Visitor;
use crate::logging::Direction;
use crate::message::{Generation, Message, MessageType, Route, empty_object, parse};
use crate::meter::Meter;
use crate::registry::Work;
use crate::runtime::{Key, Shared};
use crate::views::{Standing, Tab};
use crate::{RpcError, code};

/// Under which key heartbeats replace each other.
const HEARTBEAT: Key = u64::MAX;

/// Bytes that may wait for a page that does not read; above it, nothing more is read from the page.
pub(crate) const PATIENCE: usize = 4 << 20;
/// Bytes above which a page that does not read loses its session.
pub(crate) const TOO_MUCH: usize = 64 << 20;

/// One conversation. It has the tasks of its handlers, but is not kept alive by them.
pub(crate) struct Session {
    shared: Arc<Shared>,
    visitor: Visitor,
    sender: ChannelSender<Key>,
    state: Mutex<State>,
    beginnings: Arc<Beginnings>,
    /// The driver has something to look at.
    wake: Notify,
    /// There is room for updates again, or the conversation is over.
    room: Notify,
    me: Weak<Session>,
}

struct State {
    machine: Machine<Work, Handle>,
    calls: Calls,
    outbox: Outbox,
    tab: Option<Arc<Tab>>,
    /// When the page is sent the next sign of life.
    heartbeat: Option<Instant>,
    /// When the driver looks at the time next.
    armed: Option<Instant>,
    over: bool,
}

/// What the driver waits for.
#[derive(Debug)]
pub(crate) struct Needs {
    /// Whether the page may be read.
    pub(crate) read: bool,
    /// The first message that waits for the transport, and its number.
    pub(crate) waits: Option<(u64, Bytes, Option<Key>)>,
    /// Whether the page reads so little that it has to go.
    pub(crate) hopeless: bool,
    pub(crate) wake: Option<Instant>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, visitor: Visitor, sender: ChannelSender<Key>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            state: Mutex::new(State {
                machine: Machine::new(shared.limits),
                calls: Calls::default(),
                outbox: Outbox::default(),
                tab: None,
                heartbeat: None,
                armed: None,
                over: false,
            }),
            beginnings: Arc::default(),
            shared,
            visitor,
            sender,
            wake: Notify::new(),
            room: Notify::new(),
            me: Weak::clone(me),
        })
    }

    pub(crate) fn weak(&self) -> Weak<Self> {
        Weak::clone(&self.me)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether the page has said hello.
    fn is_welcomed(&self) -> bool {
        self.lock().machine.is_welcomed()
    }

    /// A message came, of so many bytes.
    fn receive(&self, message: Message, bytes: usize) {
        let now = Instant::now();
        if let Some(hello) = self.with(|machine, effects| machine.receive(message, bytes, now, effects)) {
            self.greet(&hello);
        }
    }

    /// A frame came that is no message, or one that cannot be carried out.
    fn refuse(&self, id: Option<&str>, route: Option<&Route>, error: &RpcError) {
        self.with(|machine, effects| machine.refuse(id, route, error, effects));
    }

    /// Begins the work of a message when everything before it in its lane has begun.
    fn begin(&self, lane: &Arc<str>, meter: Arc<Meter>, task: impl Future<Output = ()> + Send + 'static) {
        self.beginnings.begin(&self.me, lane, meter, task);
    }

    /// The work of a run has ended.
    pub(crate) fn finished(&self, run: &RunId, outcome: &Outcome) {
        self.with(|machine, effects| machine.finished(run, outcome, effects));
    }

    /// Tells the page how far a request has come.
    pub(crate) fn progress(&self, run: &RunId, done: f64) {
        self.with(|machine, effects| machine.update(run, None, Some(done), true, effects));
    }

    /// Sends an update when there is room.
    pub(crate) async fn update(&self, run: &RunId, payload: Box<RawValue>) -> Result<(), RpcError> {
        loop {
            // Armed before the outbox is looked at, so that no notice is missed in between.
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            let sent = self.with(|machine, effects| {
                if !machine.is_running(run) {
                    return Err(gone());
                }
                if !effects.outbox.is_empty() {
                    return Ok(false);
                }
                Ok(machine.update(run, Some(&payload), None, false, effects))
            })?;
            if sent {
                return Ok(());
            }
            room.await;
        }
    }

    /// Sends an update in place of older ones that have not left.
    pub(crate) async fn newest_update(&self, run: &RunId, payload: Box<RawValue>) -> Result<(), RpcError> {
        // Nothing is awaited otherwise, and a handler that does nothing else must not keep its thread.
        tokio::task::coop::consume_budget().await;
        let sent = self.with(|machine, effects| machine.update(run, Some(&payload), None, true, effects));
        if sent { Ok(()) } else { Err(gone()) }
    }

    /// Sends a call to the page, if it is there.
    pub(crate) fn call_page(&self, call: PageCall) {
        let mut state = self.lock();
        if state.over || !state.machine.is_welcomed() {
            let _ = call.answers.try_send(Event::Failed(gone()));
            return;
        }
        let budget = call.budget.unwrap_or(self.shared.limits.default_budget);
        let deadline = (call.kind != MessageType::Subscribe).then(|| Instant::now() + budget);
        state.calls.sent(&call, deadline);
        let route = Route {
            capability: Some(call.capability),
            object: None,
        };
        let lane = format!("cap:{}", route.capability.as_deref().unwrap_or_default());
        let State { machine, outbox, .. } = &mut *state;
        let mut frame = Frame::new(call.kind, machine.generation(), &call.arguments.payload);
        frame.id = &call.id;
        frame.route = Echo::Of(Some(&route));
        frame.path = Some(&call.path);
        frame.op = Some(match call.kind {
            MessageType::Request => "call",
            MessageType::Emit => "event",
            _ => "none",
        });
        frame.args = call.arguments.args.as_deref();
        frame.budget_ms = Some(u64::try_from(budget.as_millis()).unwrap_or(u64::MAX));
        if call.kind != MessageType::Subscribe {
            frame.idempotency_key = Some(call.idempotency_key.as_deref().unwrap_or(&call.id));
        }
        frame.lane = &lane;
        self.send(outbox, frame, None);
        self.look(&mut state);
    }

    /// Nobody waits for a call to the page any more.
    pub(crate) fn forget_page_call(&self, id: &Arc<str>) {
        let mut state = self.lock();
        let kind = match state.calls.forget(id) {
            Some(MessageType::Request) => MessageType::Cancel,
            Some(MessageType::Subscribe) => MessageType::Unsubscribe,
            _ => return,
        };
        let State { machine, outbox, .. } = &mut *state;
        self.tell_off(machine.generation(), outbox, kind, id);
    }

    /// Tells the page that something it was asked for is not wanted any more.
    fn tell_off(&self, generation: &Generation, outbox: &mut Outbox, kind: MessageType, id: &str) {
        let nothing = empty_object();
        let mut frame = Frame::new(kind, generation, &nothing);
        frame.correlates_to = Some(id);
        frame.budget_ms = Some(u64::from(self.shared.settings.protocol.ack_wait_ms));
        self.send(outbox, frame, None);
    }

    /// Time has gone by.
    fn tick(&self) {
        let now = Instant::now();
        self.with(|machine, effects| machine.tick(now, effects));
        let mut state = self.lock();
        state.armed = None;
        let over = state.calls.tick(now);
        let beats = state.heartbeat.is_some_and(|at| at <= now);
        let State {
            machine,
            outbox,
            tab,
            heartbeat,
            ..
        } = &mut *state;
        for id in over {
            self.tell_off(machine.generation(), outbox, MessageType::Cancel, &id);
        }
        if beats {
            let nothing = empty_object();
            let frame = Frame::new(MessageType::Heartbeat, machine.generation(), &nothing);
            self.send(outbox, frame, Some(HEARTBEAT));
            *heartbeat = Some(now + self.pause());
            if let Some(tab) = tab {
                tab.touch();
            }
        }
    }

    /// The time between two signs of life.
    fn pause(&self) -> Duration {
        Duration::from_millis(u64::from(self.shared.settings.protocol.heartbeat_ms.max(1000)))
    }

    /// Keeps everything back until the next [`Session::flush`].
    fn hold(&self) {
        self.lock().outbox.hold();
    }

    /// Sends what the driver keeps back. What it does not keep back it sends itself, and it may be doing so.
    fn release(&self) {
        let mut state = self.lock();
        if state.outbox.is_held() {
            state.outbox.flush(&self.sender);
        }
    }

    /// The transport took the message of this number.
    fn sent(&self, number: u64) {
        self.lock().outbox.sent(number);
        self.flush();
    }

    /// Sends what waits for the transport.
    fn flush(&self) {
        let mut state = self.lock();
        state.outbox.flush(&self.sender);
        let has_room = state.outbox.is_empty();
        drop(state);
        if has_room {
            self.room.notify_waiters();
        }
    }

    /// What the driver has to wait for.
    /// `armed` is when it looks at the time in any case.
    fn needs(&self, armed: Option<Instant>) -> Needs {
        let mut state = self.lock();
        let wake = [
            state.machine.deadline(),
            state.calls.deadline(),
            state.heartbeat,
            armed,
        ];
        let wake = wake.into_iter().flatten().min();
        state.armed = wake;
        Needs {
            read: state.outbox.bytes() <= PATIENCE,
            waits: state.outbox.first(),
            hopeless: state.outbox.bytes() > TOO_MUCH,
            wake,
        }
    }

    /// The conversation is over. With `keep`, requests whose caller has chosen a key go on.
    pub(crate) fn end(&self, keep: bool) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.over, true) {
            return;
        }
        drop(state);
        self.with(|machine, effects| machine.end(keep, effects));
        let mut state = self.lock();
        state.calls.clear();
        state.outbox.clear();
        let tab = state.tab.take();
        drop(state);
        self.room.notify_waiters();
        if let Some(tab) = tab {
            self.shared.tabs.leave(tab.id(), &self.me);
            tab.touch();
        }
    }

    /// Another connection of the same tab took over.
    fn replaced(&self) {
        self.end(true);
        let reason = chartroom_session::CloseReason::Conflict;
        self.sender.close(reason.code(), reason.sentence());
    }

    /// Asks the machine, and does what it wants.
    fn with<R>(&self, ask: impl FnOnce(&mut Machine<Work, Handle>, &mut Doing<'_>) -> R) -> R {
        let mut state = self.lock();
        let State {
            machine,
            calls,
            outbox,
            tab,
            ..
        } = &mut *state;
        let mut doing = Doing {
            session: self,
            calls,
            outbox,
            tab: tab.as_ref(),
            starts: VecDeque::new(),
        };
        let answer = ask(machine, &mut doing);
        while let Some(start) = doing.starts.pop_front() {
            let run = start.run.clone();
            match launch(self, start) {
                Launched::Runs(handle) => machine.started(&run, handle),
                Launched::Done(outcome) => machine.finished(&run, &outcome, &mut doing),
            }
        }
        self.look(&mut state);
        answer
    }

    /// Has the driver look at what it does not wait for yet.
    fn look(&self, state: &mut State) {
        let wake = [state.machine.deadline(), state.calls.deadline()]
            .into_iter()
            .flatten()
            .min();
        let earlier = match (wake, state.armed) {
            (Some(wake), Some(armed)) => wake < armed,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if earlier || state.outbox.is_stuck() {
            self.wake.notify_one();
        }
    }

    fn send(&self, outbox: &mut Outbox, frame: Frame<'_>, newest: Option<Key>) {
        let text = frame.write();
        if self.shared.log.active().is_some()
            && let Ok(text) = std::str::from_utf8(&text)
            && let Ok(message) = parse(text)
        {
            self.shared.log.log(Direction::Out, &message, text);
        }
        outbox.send(&self.sender, text, newest);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Code of the application that may panic does not run under the lock, but for its policy; what that can leave is an
        // unanswered message.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the machine wants done, being done.
pub(crate) struct Doing<'a> {
    session: &'a Session,
    calls: &'a mut Calls,
    outbox: &'a mut Outbox,
    tab: Option<&'a Arc<Tab>>,
    starts: VecDeque<Start<Work>>,
}

impl Effects for Doing<'_> {
    type Work = Work;
    type Handle = Handle;

    fn send(&mut self, frame: Frame<'_>, newest: Option<u64>) {
        self.session.send(self.outbox, frame, newest);
    }

    fn standing(&self, generation: &Generation) -> Standing {
        self.tab.map_or(Standing::Foreign, |tab| tab.standing(generation))
    }

    fn find(&mut self, message: &Message, caller: &Arc<Caller>) -> Result<Work, RpcError> {
        self.session.shared.find(message, caller)
    }

    fn start(&mut self, start: Start<Work>) {
        self.starts.push_back(start);
    }

    fn give_up(&mut self, handle: Handle, keep: bool) {
        match handle {
            Handle::Call(running, run) => {
                self.session
                    .shared
                    .table
                    .leave(&running, &run, &self.session.me, keep);
            }
            Handle::Subscription(token) => token.cancel(),
        }
    }

    fn client_ready(&mut self, generation: &Generation, message: &Message) -> Result<(), RpcError> {
        let Some(tab) = self.tab else {
            return Ok(());
        };
        tab.client_ready(generation, message.ts, &message.payload)
            .map(|_| ())
    }

    fn answer(&mut self, generation: &Generation, message: Message) {
        if let Told::Unsubscribe(id) = self.calls.answer(message) {
            self.session
                .tell_off(generation, self.outbox, MessageType::Unsubscribe, &id);
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("visitor", &self.visitor)
            .finish_non_exhaustive()
    }
}

fn gone() -> RpcError {
    RpcError::new(code::DISCONNECTED, "The page is gone.")
}

#[cfg(test)]
mod tests;
