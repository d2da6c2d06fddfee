//! The machine against a model that remembers what happened instead of a state.

use proptest::prelude::*;

use super::*;
use crate::Link;

const PARKED: Duration = Duration::from_secs(60);
const LEAVING: Duration = Duration::from_secs(2);
const RETENTION: Retention = Retention {
    parked: PARKED,
    leaving: LEAVING,
};

/// What happens, as numbers: links and principals are picked from a few.
#[derive(Debug, Clone)]
enum Step {
    Register {
        link: usize,
        wanted: u32,
    },
    Silent {
        link: usize,
    },
    Heard {
        link: usize,
    },
    Lost {
        link: usize,
    },
    Closed {
        link: usize,
    },
    MemoryShort,
    Wait {
        seconds: u64,
    },
    /// The process ends and begins again: what was in memory or stored is stored, links are gone.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let link = 0..LINKS;
    prop_oneof![
        4 => (link.clone(), 0u32..6).prop_map(|(link, wanted)| Step::Register { link, wanted }),
        2 => link.clone().prop_map(|link| Step::Silent { link }),
        2 => link.clone().prop_map(|link| Step::Heard { link }),
        2 => link.clone().prop_map(|link| Step::Lost { link }),
        1 => link.prop_map(|link| Step::Closed { link }),
        1 => Just(Step::MemoryShort),
        2 => (0u64..70).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Restart),
    ]
}

const LINKS: usize = 6;

/// What is remembered of one session.
#[derive(Debug, Clone)]
struct Memory {
    owner: usize,
    /// The link that registered last, unless it has ended.
    link: Option<LinkId>,
    /// Since when nothing is heard of it.
    quiet_since: Option<Instant>,
    closed_at: Option<Instant>,
    in_memory: bool,
}

impl Memory {
    fn expected(&self) -> SessionState {
        match (self.closed_at, self.quiet_since) {
            (Some(at), _) => SessionState::Leaving { until: at + LEAVING },
            (None, None) => SessionState::Live,
            (None, Some(since)) if self.in_memory => SessionState::Parked {
                until: since + PARKED,
            },
            (None, Some(since)) => SessionState::Stored {
                until: since + PARKED,
            },
        }
    }

    fn over(&self, now: Instant) -> bool {
        self.expected().deadline().is_some_and(|until| until <= now)
    }
}

/// Links 0, 2, 4 are of one principal, the others of another.
fn principal_of(link: usize) -> usize {
    link % 2
}

struct World {
    machine: Machine,
    model: HashMap<SessionId, Memory>,
    principals: [Principal; 2],
    links: Vec<Link>,
    /// The session that each link registered for last.
    registered: Vec<Option<SessionId>>,
    now: Instant,
    next_id: u32,
}

impl World {
    fn new() -> Self {
        let principals = ["a", "b"].map(|name| Principal(name.into()));
        let links: Vec<_> = (0..LINKS)
            .map(|n| Link::new(principals[principal_of(n)].clone()))
            .collect();
        Self {
            machine: Machine::new(RETENTION),
            model: HashMap::new(),
            registered: vec![None; LINKS],
            principals,
            links,
            now: Instant::now(),
            next_id: 100,
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Register { link, wanted } => self.register(link, wanted),
            Step::Silent { link } => {
                if let Some((id, number)) = self.of(link) {
                    self.machine.silent(id, number, self.now);
                    let now = self.now;
                    if let Some(memory) = self.held(id, number) {
                        memory.quiet_since.get_or_insert(now);
                    }
                }
            }
            Step::Heard { link } => {
                if let Some((id, number)) = self.of(link) {
                    let has = self.machine.heard(id, number);
                    let held = self.held(id, number);
                    assert_eq!(
                        has,
                        held.is_some(),
                        "a link is told whether it still has the session"
                    );
                    if let Some(memory) = held {
                        memory.quiet_since = None;
                    }
                }
            }
            Step::Lost { link } => self.end(link, LinkEnd::Lost),
            Step::Closed { link } => self.end(link, LinkEnd::Closed),
            Step::MemoryShort => {
                if let Some(oldest) = self.machine.parked().first().copied() {
                    assert!(self.machine.store(oldest));
                    let memory = self.model.get_mut(&oldest).unwrap();
                    let longest = memory.quiet_since.unwrap();
                    memory.in_memory = false;
                    memory.link = None;
                    assert!(
                        self.model.values().all(|m| !m.in_memory
                            || m.closed_at.is_some()
                            || m.quiet_since.is_none_or(|since| since >= longest)),
                        "the oldest gives way first"
                    );
                }
            }
            Step::Wait { seconds } => {
                self.now += Duration::from_secs(seconds);
                let over = self.machine.expire(self.now);
                for id in &over {
                    assert!(self.model[id].over(self.now), "no session ends before its time");
                }
                let now = self.now;
                self.model.retain(|_, memory| !memory.over(now));
            }
            Step::Restart => self.restart(),
        }
        self.check();
    }

    fn of(&self, link: usize) -> Option<(SessionId, LinkId)> {
        self.registered[link].map(|id| (id, self.links[link].id()))
    }

    /// The session, if the link has it.
    fn held(&mut self, id: SessionId, link: LinkId) -> Option<&mut Memory> {
        self.model.get_mut(&id).filter(|m| m.link == Some(link))
    }

    fn register(&mut self, link: usize, wanted: u32) {
        let number = self.links[link].id();
        // As the connection does: a link that asks for another session leaves the one that it has.
        if let Some(own) = self.registered[link].filter(|own| own.number() != wanted) {
            self.machine.unlink(own, number, LinkEnd::Closed, self.now);
            let now = self.now;
            if let Some(memory) = self.held(own, number) {
                memory.link = None;
                memory.closed_at = Some(now);
            }
        }
        let owner = principal_of(link);
        let before = SessionId::new(wanted).and_then(|id| self.model.get(&id).cloned());
        let candidates: Vec<_> = (0..3).filter_map(|n| SessionId::new(self.next_id + n)).collect();
        self.next_id += 1;
        let registration = self
            .machine
            .register(
                SessionId::new(wanted),
                number,
                &self.principals[owner],
                candidates,
            )
            .unwrap();
        let foreign = before.as_ref().is_some_and(|m| m.owner != owner);
        let expected = match &before {
            _ if wanted == 0 || foreign => Arrival::New,
            None => Arrival::Adopted,
            Some(m) if !m.in_memory => Arrival::Cold,
            Some(_) => Arrival::Warm,
        };
        assert_eq!(registration.arrival, expected);
        if expected == Arrival::New {
            assert!(
                !self.model.contains_key(&registration.id),
                "a new identity is nobody's"
            );
        } else {
            assert_eq!(
                registration.id.number(),
                wanted,
                "identity never depends on a link"
            );
        }
        let old = before.filter(|_| !foreign).and_then(|m| m.link);
        assert_eq!(registration.replaced, old.filter(|&old| old != number));
        self.model.insert(
            registration.id,
            Memory {
                owner,
                link: Some(number),
                quiet_since: None,
                closed_at: None,
                in_memory: true,
            },
        );
        self.registered[link] = Some(registration.id);
    }

    fn end(&mut self, link: usize, end: LinkEnd) {
        if let Some((id, number)) = self.of(link) {
            let changed = self.machine.unlink(id, number, end, self.now);
            let now = self.now;
            let held = self.held(id, number);
            assert_eq!(changed, held.is_some());
            if let Some(memory) = held {
                memory.link = None;
                match end {
                    LinkEnd::Closed => memory.closed_at = Some(now),
                    LinkEnd::Lost => {
                        memory.quiet_since.get_or_insert(now);
                    }
                }
            }
        }
        // The connection is gone; another one takes its place in the test.
        self.registered[link] = None;
        self.links[link] = Link::new(self.principals[principal_of(link)].clone());
    }

    fn restart(&mut self) {
        let mut machine = Machine::new(RETENTION);
        // Those whose page was closed are not stored.
        self.model.retain(|_, memory| memory.closed_at.is_none());
        for (&id, memory) in &mut self.model {
            let since = *memory.quiet_since.get_or_insert(self.now);
            memory.link = None;
            memory.in_memory = false;
            machine.recover(id, self.principals[memory.owner].clone(), since + PARKED);
        }
        self.machine = machine;
        for (n, link) in self.links.iter_mut().enumerate() {
            *link = Link::new(self.principals[principal_of(n)].clone());
        }
        self.registered.fill(None);
    }

    fn check(&self) {
        let states: HashMap<_, _> = self.machine.iter().collect();
        let expected: HashMap<_, _> = self.model.iter().map(|(&id, m)| (id, m.expected())).collect();
        assert_eq!(states, expected);
        let count = |which: fn(&SessionState) -> bool| expected.values().filter(|state| which(state)).count();
        let census = Census {
            live: count(|state| *state == SessionState::Live),
            parked: count(|state| matches!(state, SessionState::Parked { .. })),
            stored: count(|state| matches!(state, SessionState::Stored { .. })),
            leaving: count(|state| matches!(state, SessionState::Leaving { .. })),
        };
        assert_eq!(self.machine.census(), census);
        let next = expected.values().filter_map(|state| state.deadline()).min();
        assert_eq!(self.machine.next_deadline(), next);
        for (id, memory) in &self.model {
            assert_eq!(self.machine.owner(*id), Some(&self.principals[memory.owner]));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn sessions_do_what_their_history_says(steps in proptest::collection::vec(step(), 0..60)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
    }
}

#[test]
fn without_a_free_identity_nobody_is_registered() {
    let mut machine = Machine::new(RETENTION);
    let link = Link::new(Principal("a".into()));
    let none = machine.register(None, link.id(), link.principal(), []);
    assert_eq!(none, None);
    assert_eq!(machine.iter().count(), 0);
}
