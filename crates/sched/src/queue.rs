//! The order in which waiting jobs are taken: a plain data structure, no threads and no time.
//!
//! - Classes in strict priority, except that a class which has been passed over [`PATIENCE`] times is served next.
//! - Inside a class, owners take turns, one job a turn.
//! - Each owner's jobs are taken in the order of their submission.
//!
//! Adding, taking and removing cost O(log n): the ordered maps stand in for linked lists, so that a cancelled job can be
//! pulled out of the middle.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use crate::class::{Class, Owner, PerClass};

/// How many jobs of other classes may be taken before a class that waits, and that may run, is served.
///
/// With two classes waiting this long at once, the lower one waits one job more: a class is passed over at most
/// `PATIENCE + 1` times in a row.
pub const PATIENCE: u32 = 64;

/// Where a job waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ticket {
    pub(crate) class: Class,
    pub(crate) owner: Owner,
    /// Unique over all jobs of a queue, and rising with the time of submission.
    pub(crate) sequence: u64,
}

/// Which waiting jobs a free worker may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    Every,
    /// What a person waits for or watches.
    Foreground,
    /// The share of streaming work is in use: only what may run on the reserve.
    ReserveOnly,
    /// What nobody watches.
    Background,
}

impl Allowed {
    fn includes(self, class: Class) -> bool {
        match self {
            Self::Every => true,
            Self::Foreground => !class.is_background(),
            Self::ReserveOnly => class.may_use_reserve(),
            Self::Background => class.is_background(),
        }
    }
}

/// The waiting jobs.
#[derive(Debug)]
pub(crate) struct Queue<J> {
    classes: PerClass<ClassQueue<J>>,
    /// For each class, how many jobs of other classes were taken while it waited and was allowed.
    passed_over: PerClass<u32>,
}

impl<J> Queue<J> {
    pub(crate) fn new() -> Self {
        Self {
            classes: PerClass::new(|_| ClassQueue::new()),
            passed_over: PerClass::default(),
        }
    }

    pub(crate) fn push(&mut self, ticket: Ticket, job: J) {
        self.classes[ticket.class].push(ticket, job);
    }

    /// Takes the job whose turn it is.
    pub(crate) fn pop(&mut self, allowed: Allowed) -> Option<(Ticket, J)> {
        let class = self.choose(allowed)?;
        for other in Class::ALL {
            if other != class && self.waits(other, allowed) {
                self.passed_over[other] = self.passed_over[other].saturating_add(1);
            }
        }
        self.passed_over[class] = 0;
        let (owner, sequence, job) = self.classes[class].pop()?;
        Some((
            Ticket {
                class,
                owner,
                sequence,
            },
            job,
        ))
    }

    /// Takes a job out of turn; `None` when it does not wait here (any more).
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<J> {
        let job = self.classes[ticket.class].remove(ticket)?;
        if self.len(ticket.class) == 0 {
            self.passed_over[ticket.class] = 0;
        }
        Some(job)
    }

    /// Whether [`Queue::pop`] would find something.
    pub(crate) fn has(&self, allowed: Allowed) -> bool {
        self.choose(allowed).is_some()
    }

    /// How many jobs of a class wait.
    pub(crate) fn len(&self, class: Class) -> usize {
        self.classes[class].len
    }

    /// How many jobs of an owner wait in a class.
    pub(crate) fn len_of(&self, class: Class, owner: Owner) -> usize {
        self.classes[class]
            .owners
            .get(&owner)
            .map_or(0, |line| line.jobs.len())
    }

    fn waits(&self, class: Class, allowed: Allowed) -> bool {
        self.len(class) > 0 && allowed.includes(class)
    }

    fn choose(&self, allowed: Allowed) -> Option<Class> {
        let waiting = || Class::ALL.into_iter().filter(|&class| self.waits(class, allowed));
        waiting()
            .find(|&class| self.passed_over[class] >= PATIENCE)
            .or_else(|| waiting().next())
    }
}

/// The waiting jobs of one class.
#[derive(Debug)]
struct ClassQueue<J> {
    owners: HashMap<Owner, Line<J>>,
    /// The owners with waiting jobs, in the order of their turns.
    turns: BTreeMap<u64, Owner>,
    next_turn: u64,
    len: usize,
}

/// The waiting jobs of one owner by sequence number; never empty while it is kept.
#[derive(Debug)]
struct Line<J> {
    turn: u64,
    jobs: BTreeMap<u64, J>,
}

impl<J> ClassQueue<J> {
    fn new() -> Self {
        Self {
            owners: HashMap::new(),
            turns: BTreeMap::new(),
            next_turn: 0,
            len: 0,
        }
    }

    fn push(&mut self, ticket: Ticket, job: J) {
        let line = match self.owners.entry(ticket.owner) {
            Entry::Occupied(line) => line.into_mut(),
            Entry::Vacant(place) => {
                let turn = self.next_turn;
                self.next_turn += 1;
                self.turns.insert(turn, ticket.owner);
                place.insert(Line {
                    turn,
                    jobs: BTreeMap::new(),
                })
            }
        };
        if line.jobs.insert(ticket.sequence, job).is_none() {
            self.len += 1;
        }
    }

    fn pop(&mut self) -> Option<(Owner, u64, J)> {
        let (_, owner) = self.turns.pop_first()?;
        let Entry::Occupied(mut line) = self.owners.entry(owner) else {
            return None;
        };
        let (sequence, job) = line.get_mut().jobs.pop_first()?;
        self.len -= 1;
        if line.get().jobs.is_empty() {
            line.remove();
        } else {
            line.get_mut().turn = self.next_turn;
            self.turns.insert(self.next_turn, owner);
            self.next_turn += 1;
        }
        Some((owner, sequence, job))
    }

    fn remove(&mut self, ticket: Ticket) -> Option<J> {
        let Entry::Occupied(mut line) = self.owners.entry(ticket.owner) else {
            return None;
        };
        let job = line.get_mut().jobs.remove(&ticket.sequence)?;
        self.len -= 1;
        if line.get().jobs.is_empty() {
            self.turns.remove(&line.get().turn);
            line.remove();
        }
        Some(job)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A queue whose jobs are their own sequence numbers.
    struct Harness {
        queue: Queue<u64>,
        next: u64,
    }

    impl Harness {
        fn new() -> Self {
            Self {
                queue: Queue::new(),
                next: 0,
            }
        }

        fn push(&mut self, class: Class, owner: u64) -> Ticket {
            let ticket = Ticket {
                class,
                owner: Owner(owner),
                sequence: self.next,
            };
            self.queue.push(ticket, self.next);
            self.next += 1;
            ticket
        }

        fn take(&mut self, count: usize) -> Vec<Ticket> {
            (0..count)
                .map_while(|_| self.queue.pop(Allowed::Every))
                .map(|(ticket, _)| ticket)
                .collect()
        }
    }

    #[test]
    fn classes_are_served_in_their_order() {
        let mut harness = Harness::new();
        harness.push(Class::Batch, 1);
        harness.push(Class::Streaming, 1);
        harness.push(Class::Interactive, 1);
        let classes: Vec<Class> = harness.take(9).iter().map(|ticket| ticket.class).collect();
        assert_eq!(classes, Class::ALL);
    }

    #[test]
    fn an_owner_with_one_job_does_not_wait_behind_an_owner_with_many() {
        let mut harness = Harness::new();
        for _ in 0..1000 {
            harness.push(Class::Batch, 1);
        }
        harness.push(Class::Batch, 2);
        harness.push(Class::Batch, 3);
        harness.push(Class::Batch, 3);
        let owners: Vec<u64> = harness.take(7).iter().map(|ticket| ticket.owner.0).collect();
        assert_eq!(owners, [1, 2, 3, 1, 3, 1, 1]);
    }

    #[test]
    fn an_owner_that_submits_again_after_each_turn_does_not_overtake_the_others() {
        let mut harness = Harness::new();
        harness.push(Class::Streaming, 1);
        for owner in [2, 2, 3, 3] {
            harness.push(Class::Streaming, owner);
        }
        assert_eq!(harness.take(1)[0].owner, Owner(1));
        harness.push(Class::Streaming, 1);
        let owners: Vec<u64> = harness.take(9).iter().map(|ticket| ticket.owner.0).collect();
        assert_eq!(owners, [2, 3, 1, 2, 3]);
    }

    #[test]
    fn only_interactive_jobs_may_use_the_reserve() {
        let mut harness = Harness::new();
        harness.push(Class::Batch, 1);
        harness.push(Class::Streaming, 1);
        assert_eq!(harness.queue.pop(Allowed::ReserveOnly), None);
        assert!(!harness.queue.has(Allowed::ReserveOnly));
        let urgent = harness.push(Class::Interactive, 1);
        assert_eq!(
            harness.queue.pop(Allowed::ReserveOnly),
            Some((urgent, urgent.sequence))
        );
        assert!(harness.queue.has(Allowed::Every));
    }

    #[test]
    fn a_flood_of_interactive_jobs_passes_over_each_lower_class_for_a_bounded_time() {
        let mut harness = Harness::new();
        for _ in 0..500 {
            harness.push(Class::Interactive, 1);
            harness.push(Class::Streaming, 2);
            harness.push(Class::Batch, 3);
        }
        let patience = PATIENCE as usize;
        let taken = harness.take(2 * patience + 4);
        let lower: Vec<(usize, Class)> = taken
            .iter()
            .enumerate()
            .filter(|(_, ticket)| ticket.class != Class::Interactive)
            .map(|(at, ticket)| (at, ticket.class))
            .collect();
        assert_eq!(
            lower,
            [
                (patience, Class::Streaming),
                (patience + 1, Class::Batch),
                (2 * patience + 1, Class::Streaming),
                (2 * patience + 2, Class::Batch),
            ]
        );
    }

    #[test]
    fn a_class_that_may_not_run_gathers_no_credit() {
        let mut harness = Harness::new();
        harness.push(Class::Batch, 1);
        for _ in 0..2 * PATIENCE {
            harness.push(Class::Interactive, 1);
            assert!(harness.queue.pop(Allowed::ReserveOnly).is_some());
        }
        harness.push(Class::Interactive, 1);
        assert_eq!(harness.take(1)[0].class, Class::Interactive);
    }

    #[test]
    fn a_removed_job_is_gone_and_the_turns_of_the_others_stay() {
        let mut harness = Harness::new();
        let first = harness.push(Class::Batch, 1);
        let second = harness.push(Class::Batch, 2);
        let third = harness.push(Class::Batch, 3);
        assert_eq!(harness.queue.remove(second), Some(second.sequence));
        assert_eq!(harness.queue.remove(second), None);
        assert_eq!(harness.take(9), [first, third]);
        assert_eq!(harness.queue.remove(first), None);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(Class, u64),
        Pop(Allowed),
        Remove(prop::sample::Index),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (prop::sample::select(&Class::ALL[..]), 0_u64..4).prop_map(|(c, o)| Step::Push(c, o)),
            2 => prop_oneof![Just(Allowed::Every), Just(Allowed::ReserveOnly)].prop_map(Step::Pop),
            1 => any::<prop::sample::Index>().prop_map(Step::Remove),
        ]
    }

    proptest! {
        /// Against the plainest model: a list of what waits.
        #[test]
        fn every_job_leaves_once_in_its_owners_order(steps in prop::collection::vec(step(), 0..400)) {
            let mut harness = Harness::new();
            let mut model: Vec<Ticket> = Vec::new();
            let mut passed = PerClass::<u32>::default();
            for step in steps {
                match step {
                    Step::Push(class, owner) => model.push(harness.push(class, owner)),
                    Step::Remove(_) if model.is_empty() => {}
                    Step::Remove(index) => {
                        let ticket = model.remove(index.index(model.len()));
                        prop_assert_eq!(harness.queue.remove(ticket), Some(ticket.sequence));
                    }
                    Step::Pop(allowed) => {
                        let may = |class: Class| allowed == Allowed::Every || class == Class::Interactive;
                        let Some((ticket, job)) = harness.queue.pop(allowed) else {
                            prop_assert!(!model.iter().any(|waiting| may(waiting.class)));
                            continue;
                        };
                        prop_assert_eq!(job, ticket.sequence);
                        prop_assert!(may(ticket.class));
                        let oldest = model
                            .iter()
                            .position(|waiting| waiting.class == ticket.class && waiting.owner == ticket.owner);
                        prop_assert_eq!(oldest.map(|at| model.remove(at)), Some(ticket));
                        for class in Class::ALL {
                            let waits = may(class) && model.iter().any(|waiting| waiting.class == class);
                            if class == ticket.class {
                                passed[class] = 0;
                            } else if waits {
                                passed[class] += 1;
                                prop_assert!(passed[class] <= PATIENCE + 1);
                            }
                        }
                    }
                }
                for class in Class::ALL {
                    let waiting = model.iter().filter(|ticket| ticket.class == class).count();
                    prop_assert_eq!(harness.queue.len(class), waiting);
                    if waiting == 0 {
                        passed[class] = 0;
                        prop_assert!(harness.queue.classes[class].owners.is_empty());
                        prop_assert!(harness.queue.classes[class].turns.is_empty());
                    }
                }
            }
        }

        #[test]
        fn between_two_turns_of_an_owner_every_other_waiting_owner_has_one(
            counts in prop::collection::vec(1_usize..20, 1..8)
        ) {
            let mut harness = Harness::new();
            for (owner, &count) in counts.iter().enumerate() {
                for _ in 0..count {
                    harness.push(Class::Batch, owner as u64);
                }
            }
            let total = counts.iter().sum();
            let mut taken = vec![0_usize; counts.len()];
            for ticket in harness.take(total) {
                let owner = usize::try_from(ticket.owner.0).unwrap();
                for (other, &count) in counts.iter().enumerate() {
                    prop_assert!(taken[other] >= taken[owner] || taken[other] == count);
                }
                taken[owner] += 1;
            }
            prop_assert_eq!(taken, counts);
        }
    }
}
