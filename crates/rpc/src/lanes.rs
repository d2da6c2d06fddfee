//! Lanes: order among the messages of a lane, and turns among lanes.
//!
//! What comes in a lane starts in order. At most so many requests of a lane are carried out at once, and so many of a
//! session; the rest waits, bounded in bytes. When a place of the session becomes free, the lanes take turns, so that none
//! can starve another. Events of a lane are carried out one after the other. Subscriptions hold no place: they last.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// What a waiting message is counted for besides its bytes: the memory of the entry itself.
const ENTRY: usize = 512;

/// Limits of one session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneLimits {
    /// Requests and events of one lane that are carried out at once.
    pub(crate) lane: usize,
    /// Requests and events of all lanes that are carried out at once.
    pub(crate) session: usize,
    /// Bytes of messages that wait.
    pub(crate) bytes: usize,
}

/// What a message asks for, as far as lanes care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Request,
    Event,
    Subscription,
}

/// What becomes of a message that enters a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entered {
    /// It starts at once.
    Starts,
    /// It waits for its turn.
    Waits,
    /// There is no room for it.
    Full,
}

#[derive(Debug)]
pub(crate) struct Lanes {
    limits: LaneLimits,
    lanes: HashMap<Arc<str>, Lane>,
    /// Lanes in which something waits, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    running: usize,
    waiting_bytes: usize,
}

#[derive(Debug, Default)]
struct Lane {
    running: usize,
    event_runs: bool,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    id: Arc<str>,
    class: Class,
    bytes: usize,
}

impl Lanes {
    pub(crate) fn new(limits: LaneLimits) -> Self {
        Self {
            limits,
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            running: 0,
            waiting_bytes: 0,
        }
    }

    /// The message `id` of `bytes` bytes enters a lane.
    pub(crate) fn enter(&mut self, name: &Arc<str>, id: &Arc<str>, class: Class, bytes: usize) -> Entered {
        let bytes = bytes + ENTRY;
        let has_room = self.waiting_bytes + bytes <= self.limits.bytes;
        let lane = self.lanes.entry(Arc::clone(name)).or_default();
        if lane.waiting.is_empty() && lane.may_start(class, self.running, &self.limits) {
            lane.start(class, &mut self.running);
            self.forget_idle(name);
            return Entered::Starts;
        }
        if !has_room {
            return Entered::Full;
        }
        if lane.waiting.is_empty() {
            self.turns.push_back(Arc::clone(name));
        }
        self.waiting_bytes += bytes;
        lane.waiting.push_back(Waiting {
            id: Arc::clone(id),
            class,
            bytes,
        });
        Entered::Waits
    }

    /// What had started is over.
    pub(crate) fn leave(&mut self, name: &Arc<str>, class: Class) {
        let Some(lane) = self.lanes.get_mut(name) else {
            return;
        };
        lane.event_runs &= class != Class::Event;
        if class != Class::Subscription {
            lane.running = lane.running.saturating_sub(1);
            self.running = self.running.saturating_sub(1);
        }
        self.forget_idle(name);
    }

    /// A message that waits does not want to start any more.
    pub(crate) fn withdraw(&mut self, name: &Arc<str>, id: &str) {
        let Some(lane) = self.lanes.get_mut(name) else {
            return;
        };
        let Some(at) = lane.waiting.iter().position(|waiting| *waiting.id == *id) else {
            return;
        };
        if let Some(waiting) = lane.waiting.remove(at) {
            self.waiting_bytes -= waiting.bytes;
        }
        if lane.waiting.is_empty() {
            self.turns.retain(|turn| turn != name);
        }
        self.forget_idle(name);
    }

    /// The next message that starts, if one can.
    pub(crate) fn next(&mut self) -> Option<Arc<str>> {
        for _ in 0..self.turns.len() {
            let name = self.turns.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&name) else {
                continue;
            };
            let may_start = lane
                .waiting
                .front()
                .is_some_and(|head| lane.may_start(head.class, self.running, &self.limits));
            let started = if may_start { lane.waiting.pop_front() } else { None };
            if let Some(started) = &started {
                self.waiting_bytes -= started.bytes;
                lane.start(started.class, &mut self.running);
            }
            if !lane.waiting.is_empty() {
                self.turns.push_back(Arc::clone(&name));
            }
            self.forget_idle(&name);
            if let Some(started) = started {
                return Some(started.id);
            }
        }
        None
    }

    /// Whether nothing runs and nothing waits.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.turns.is_empty() && self.running == 0 && self.waiting_bytes == 0
    }

    fn forget_idle(&mut self, name: &Arc<str>) {
        if self
            .lanes
            .get(name)
            .is_some_and(|lane| lane.running == 0 && lane.waiting.is_empty())
        {
            self.lanes.remove(name);
        }
    }
}

impl Lane {
    fn may_start(&self, class: Class, running: usize, limits: &LaneLimits) -> bool {
        match class {
            Class::Subscription => true,
            Class::Request => self.running < limits.lane && running < limits.session,
            Class::Event => !self.event_runs && self.running < limits.lane && running < limits.session,
        }
    }

    fn start(&mut self, class: Class, running: &mut usize) {
        if class != Class::Subscription {
            self.running += 1;
            *running += 1;
        }
        self.event_runs |= class == Class::Event;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(lane: usize, session: usize) -> Lanes {
        Lanes::new(LaneLimits {
            lane,
            session,
            bytes: 10 * ENTRY,
        })
    }

    fn name(text: &str) -> Arc<str> {
        text.into()
    }

    #[test]
    fn what_is_over_the_limit_of_a_lane_waits_and_starts_in_order() {
        let mut lanes = lanes(1, 10);
        let lane = name("a");
        assert_eq!(lanes.enter(&lane, &name("1"), Class::Request, 0), Entered::Starts);
        assert_eq!(lanes.enter(&lane, &name("2"), Class::Request, 0), Entered::Waits);
        assert_eq!(lanes.enter(&lane, &name("3"), Class::Request, 0), Entered::Waits);
        assert_eq!(lanes.next(), None);
        lanes.leave(&lane, Class::Request);
        assert_eq!(lanes.next(), Some(name("2")));
        assert_eq!(lanes.next(), None);
        lanes.leave(&lane, Class::Request);
        assert_eq!(lanes.next(), Some(name("3")));
        lanes.leave(&lane, Class::Request);
        assert!(lanes.is_empty());
    }

    #[test]
    fn lanes_take_turns_for_the_places_of_a_session() {
        let mut lanes = lanes(10, 1);
        let [a, b] = [name("a"), name("b")];
        assert_eq!(lanes.enter(&a, &name("a1"), Class::Request, 0), Entered::Starts);
        for id in ["a2", "a3"] {
            lanes.enter(&a, &name(id), Class::Request, 0);
        }
        lanes.enter(&b, &name("b1"), Class::Request, 0);
        let mut order = Vec::new();
        let mut running = a.clone();
        for _ in 0..3 {
            lanes.leave(&running, Class::Request);
            let next = lanes.next().unwrap();
            running = if next.starts_with('a') {
                a.clone()
            } else {
                b.clone()
            };
            order.push(next);
        }
        assert_eq!(order, [name("a2"), name("b1"), name("a3")]);
    }

    #[test]
    fn events_of_a_lane_are_carried_out_one_after_the_other() {
        let mut lanes = lanes(10, 10);
        let lane = name("a");
        assert_eq!(lanes.enter(&lane, &name("1"), Class::Event, 0), Entered::Starts);
        assert_eq!(lanes.enter(&lane, &name("2"), Class::Event, 0), Entered::Waits);
        assert_eq!(
            lanes.enter(&lane, &name("3"), Class::Request, 0),
            Entered::Waits,
            "order"
        );
        lanes.leave(&lane, Class::Event);
        assert_eq!(lanes.next(), Some(name("2")));
        assert_eq!(lanes.next(), Some(name("3")));
    }

    #[test]
    fn subscriptions_hold_no_place() {
        let mut lanes = lanes(1, 1);
        let lane = name("a");
        for id in ["1", "2", "3"] {
            assert_eq!(
                lanes.enter(&lane, &name(id), Class::Subscription, 0),
                Entered::Starts
            );
        }
        assert!(lanes.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_refused_and_what_withdraws_makes_room() {
        let mut lanes = lanes(1, 1);
        let lane = name("a");
        lanes.enter(&lane, &name("0"), Class::Request, 0);
        for id in 1..=10 {
            let id = name(&id.to_string());
            assert_eq!(lanes.enter(&lane, &id, Class::Request, 0), Entered::Waits);
        }
        assert_eq!(lanes.enter(&lane, &name("11"), Class::Request, 0), Entered::Full);
        lanes.withdraw(&lane, "5");
        assert_eq!(lanes.enter(&lane, &name("11"), Class::Request, 0), Entered::Waits);
        for id in [1, 2, 3, 4, 6, 7, 8, 9, 10, 11] {
            lanes.withdraw(&lane, &id.to_string());
        }
        lanes.leave(&lane, Class::Request);
        assert!(lanes.is_empty());
    }
}
