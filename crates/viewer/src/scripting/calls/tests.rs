use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::scripting::record::Remembered;

fn request(action: &str) -> ScriptingRequest {
    ScriptingRequest {
        action: action.to_owned(),
        ..Default::default()
    }
}

fn answer(text: &str) -> ScriptAnswer {
    ScriptAnswer {
        success: true,
        message: String::new(),
        response: text.to_owned(),
    }
}

/// Begins and releases a call that is new.
fn call(calls: &mut Calls<u32>, waiter: u32, name: Option<&str>) -> (Place, Option<Errand>) {
    match calls.begin(request("open"), name.map(str::to_owned), waiter, 0) {
        Begun::New(place) => {
            let errand = calls.release(place.call);
            (place, errand)
        }
        other => panic!("{other:?}"),
    }
}

fn over(begun: Begun<u32>) -> Outcome {
    match begun {
        Begun::Over(_, outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

fn connected() -> Calls<u32> {
    let mut calls = Calls::default();
    assert!(calls.attach().is_empty());
    calls
}

#[test]
fn a_call_is_answered_once_and_forgotten() {
    let mut calls = connected();
    let (place, errand) = call(&mut calls, 1, None);
    let errand = errand.unwrap();
    assert_eq!(errand.request.scripting_request_id, place.call);
    errand.ticket.take();
    assert_eq!(
        calls.answer(place.call, answer("3")),
        Some(vec![(1, Ok(answer("3")))])
    );
    assert_eq!(calls.answer(place.call, answer("4")), None);
    assert!(calls.calls.is_empty());
}

#[test]
fn an_answer_to_what_was_not_sent_is_passed_over() {
    let mut calls = Calls::default();
    let (place, errand) = call(&mut calls, 1, None);
    assert_eq!(errand, None);
    assert_eq!(calls.answer(place.call, answer("3")), None);
    assert_eq!(calls.waiters(), 1);
}

#[test]
fn what_no_link_has_taken_goes_to_the_next_one_and_what_one_has_is_still_waited_for() {
    let mut calls = connected();
    let (taken, errand) = call(&mut calls, 1, None);
    errand.unwrap().ticket.take();
    let (waiting, _) = call(&mut calls, 2, None);
    let (given_up, errand) = call(&mut calls, 3, None);
    errand.unwrap().ticket.take();
    calls.detach();
    let time_is_up = calls.leave(given_up, Cause::TimeLimit);
    let unknown = Err(ScriptError::Unknown(Cause::TimeLimit));
    assert_eq!(time_is_up, Some((3, unknown)));
    let again = calls.attach();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].request.scripting_request_id, waiting.call);
    again[0].ticket.take();
    assert_eq!(calls.answer(given_up.call, answer("late")), None);
    let late = calls.answer(taken.call, answer("late"));
    assert_eq!(late, Some(vec![(1, Ok(answer("late")))]));
    assert_eq!(calls.answer(waiting.call, answer("3")).unwrap().len(), 1);
    assert!(calls.calls.is_empty());
}

#[test]
fn a_session_that_ends_says_what_it_knows() {
    let mut calls = connected();
    let (_, errand) = call(&mut calls, 1, None);
    errand.unwrap().ticket.take();
    call(&mut calls, 2, None);
    calls.detach();
    assert_eq!(
        calls.end(),
        [
            (1, Err(ScriptError::Unknown(Cause::Ended))),
            (2, Err(ScriptError::NotRun(Cause::Ended))),
        ]
    );
    assert!(calls.calls.is_empty());
    let late = calls.begin(request("open"), None, 3, 0);
    assert_eq!(over(late), Err(ScriptError::NotRun(Cause::Ended)));
}

#[test]
fn whose_time_is_up_learns_whether_the_page_was_asked() {
    let mut calls = connected();
    let (asked, errand) = call(&mut calls, 1, None);
    errand.unwrap().ticket.take();
    let (waiting, _) = call(&mut calls, 2, None);
    let told = |calls: &mut Calls<u32>, place| calls.leave(place, Cause::TimeLimit).unwrap().1;
    assert_eq!(
        told(&mut calls, asked),
        Err(ScriptError::Unknown(Cause::TimeLimit))
    );
    assert_eq!(
        told(&mut calls, waiting),
        Err(ScriptError::NotRun(Cause::TimeLimit))
    );
    assert!(calls.calls.is_empty());
    assert_eq!(calls.leave(asked, Cause::TimeLimit), None);
}

#[test]
fn a_call_of_the_same_name_waits_with_the_first_and_gets_its_answer_afterwards() {
    let mut calls = connected();
    let (first, errand) = call(&mut calls, 1, Some("a"));
    errand.unwrap().ticket.take();
    let again =
        |calls: &mut Calls<u32>, waiter| calls.begin(request("open"), Some("a".to_owned()), waiter, 0);
    assert!(matches!(again(&mut calls, 2), Begun::Joined(place) if place.call == first.call));
    let told = calls.answer(first.call, answer("3")).unwrap();
    assert_eq!(told, [(1, Ok(answer("3"))), (2, Ok(answer("3")))]);
    assert_eq!(over(again(&mut calls, 3)), Ok(answer("3")));
    let other = calls.begin(request("close"), Some("a".to_owned()), 4, 0);
    assert_eq!(over(other), Err(ScriptError::NameReused));
}

#[test]
fn a_call_that_is_repeated_because_its_caller_has_gone_is_not_carried_out_twice() {
    let mut calls = connected();
    let (first, errand) = call(&mut calls, 1, Some("a"));
    errand.unwrap().ticket.take();
    let _ = calls.leave(first, Cause::TimeLimit).unwrap();
    let again = calls.begin(request("open"), Some("a".to_owned()), 2, 1);
    assert!(matches!(again, Begun::Joined(_)));
    assert_eq!(calls.release(first.call), None);
    assert_eq!(
        calls.answer(first.call, answer("3")).unwrap(),
        [(2, Ok(answer("3")))]
    );
}

#[test]
fn whoever_does_not_wait_is_told_what_is_known_of_a_name() {
    let mut calls = connected();
    let known = |calls: &Calls<u32>, action: &str| calls.recall(request(action), "a");
    assert_eq!(known(&calls, "open"), None);
    let (place, errand) = call(&mut calls, 1, Some("a"));
    let unknown = Some(Err(ScriptError::Unknown(Cause::LinkLost)));
    assert_eq!(known(&calls, "open"), unknown);
    errand.unwrap().ticket.take();
    assert_eq!(known(&calls, "open"), unknown);
    calls.answer(place.call, answer("3")).unwrap();
    assert_eq!(known(&calls, "open"), Some(Ok(answer("3"))));
    assert_eq!(known(&calls, "close"), Some(Err(ScriptError::NameReused)));
}

#[test]
fn names_are_forgotten_after_a_while() {
    let mut calls = connected();
    let (first, errand) = call(&mut calls, 1, Some("a"));
    errand.unwrap().ticket.take();
    calls.answer(first.call, answer("3")).unwrap();
    let later = calls.begin(request("open"), Some("a".to_owned()), 2, REMEMBERED_FOR);
    assert!(matches!(later, Begun::New(_)));
}

#[test]
fn in_the_next_life_answers_are_known_and_what_was_under_way_is_not_carried_out_again() {
    let mut calls = connected();
    let (known, errand) = call(&mut calls, 1, Some("known"));
    errand.unwrap().ticket.take();
    calls.answer(known.call, answer("3")).unwrap();
    let (asked, errand) = call(&mut calls, 2, Some("asked"));
    errand.unwrap().ticket.take();
    call(&mut calls, 3, Some("never sent"));
    assert_eq!(calls.suspend().len(), 1);
    let remembered = calls.remember();
    assert_eq!(calls.end().len(), 1);

    let begin =
        |calls: &mut Calls<u32>, name: &str| calls.begin(request("open"), Some(name.to_owned()), 4, 1);
    let mut next = Calls::default();
    next.restore(remembered);
    assert_eq!(over(begin(&mut next, "known")), Ok(answer("3")));
    assert!(matches!(begin(&mut next, "asked"), Begun::Joined(_)));
    // The page answers all the same.
    assert_eq!(
        next.answer(asked.call, answer("4")),
        Some(vec![(4, Ok(answer("4")))])
    );
    assert_eq!(over(begin(&mut next, "asked")), Ok(answer("4")));
    let Begun::New(place) = begin(&mut next, "never sent") else {
        panic!("it was never sent")
    };
    assert!(place.call > asked.call + 1000, "no id comes again");
}

#[test]
fn the_first_id_of_each_life_and_of_each_step_is_to_be_written_down_before_it_goes_out() {
    let mut calls = connected();
    let mut stored = calls.remember();
    let mut given = BTreeSet::new();
    for life in 0..3 {
        for _ in 0..STEP + STEP / 2 {
            let (place, errand) = call(&mut calls, 1, None);
            if place.begins_step() {
                stored = calls.remember();
            }
            assert!(place.call < stored.next_id, "it is not given again");
            assert!(
                given.insert(place.call),
                "{} comes again in life {life}",
                place.call
            );
            errand.unwrap().ticket.take();
            calls.answer(place.call, answer("3")).unwrap();
        }
        // The process is killed.
        calls = connected();
        calls.restore(stored.clone());
    }
    // What an older release wrote knows nothing of ids.
    calls = connected();
    calls.restore(Remembered::default());
    assert!(call(&mut calls, 1, None).0.begins_step());
}

/// Has a call of this name answered.
fn answered(calls: &mut Calls<u32>, name: &str, text: &str) {
    let (place, errand) = call(calls, 1, Some(name));
    errand.unwrap().ticket.take();
    assert_eq!(
        calls.answer(place.call, answer(text)).unwrap(),
        [(1, Ok(answer(text)))]
    );
}

/// What a call of this name is told that comes again.
fn repeated(calls: &mut Calls<u32>, name: &str) -> Outcome {
    over(calls.begin(request("open"), Some(name.to_owned()), 2, 0))
}

#[test]
fn a_large_answer_is_repeated_while_the_process_lives_and_its_call_is_not_repeated_afterwards() {
    let mut calls = connected();
    let large = "x".repeat(WRITTEN_ANSWER + 1);
    answered(&mut calls, "large", &large);
    answered(&mut calls, "small", "3");
    assert_eq!(repeated(&mut calls, "large"), Ok(answer(&large)));
    let mut next = Calls::<u32>::default();
    next.restore(calls.remember());
    assert_eq!(repeated(&mut next, "large"), Err(ScriptError::AnswerNotKept));
    assert_eq!(repeated(&mut next, "small"), Ok(answer("3")));
    calls.relieve();
    assert_eq!(repeated(&mut calls, "large"), Err(ScriptError::AnswerNotKept));
    assert_eq!(repeated(&mut calls, "small"), Ok(answer("3")));
}

#[test]
fn answers_are_kept_within_their_bytes_the_newest_first_and_no_call_is_repeated_for_it() {
    let mut calls = connected();
    answered(&mut calls, "too large", &"x".repeat(ANSWER_BYTES + 1));
    assert_eq!(repeated(&mut calls, "too large"), Err(ScriptError::AnswerNotKept));
    let text = "x".repeat(ANSWER_BYTES / 4);
    for number in 0..10 {
        answered(&mut calls, &number.to_string(), &text);
        assert!(calls.answer_bytes() <= ANSWER_BYTES);
    }
    for number in 0..10 {
        let expected = match number {
            6.. => Ok(answer(&text)),
            _ => Err(ScriptError::AnswerNotKept),
        };
        assert_eq!(repeated(&mut calls, &number.to_string()), expected);
    }
}

#[test]
fn what_is_written_down_is_bounded_and_no_call_is_repeated_for_it() {
    let mut calls = connected();
    let text = "x".repeat(WRITTEN_ANSWER);
    for number in 0..100 {
        answered(&mut calls, &number.to_string(), &text);
    }
    let remembered = calls.remember();
    let mut bytes = Vec::new();
    remembered.write(&mut bytes);
    assert!(bytes.len() <= WRITTEN_BYTES + NAMED_BYTES, "{}", bytes.len());
    let mut next = Calls::<u32>::default();
    next.restore(remembered);
    for number in 0..100 {
        assert_eq!(repeated(&mut calls, &number.to_string()), Ok(answer(&text)));
        let expected = match number {
            96.. => Ok(answer(&text)),
            _ => Err(ScriptError::AnswerNotKept),
        };
        assert_eq!(repeated(&mut next, &number.to_string()), expected);
    }
}

#[test]
fn too_many_are_refused() {
    let mut calls = Calls::default();
    for waiter in 0..ScriptCall::WAITING as u32 {
        call(&mut calls, waiter, None);
    }
    let more = calls.begin(request("open"), None, 9999, 0);
    assert_eq!(over(more), Err(ScriptError::TooMany));
    let mut calls = connected();
    let (first, errand) = call(&mut calls, 0, Some("a"));
    errand.unwrap().ticket.take();
    for waiter in 1..ScriptCall::WAITING as u32 {
        call(&mut calls, waiter, None);
    }
    let again = calls.begin(request("open"), Some("a".to_owned()), 9999, 0);
    assert_eq!(
        over(again),
        Err(ScriptError::Unknown(Cause::TooMany)),
        "its action may have run"
    );
    calls.answer(first.call, answer("3")).unwrap();
    let again = calls.begin(request("open"), Some("a".to_owned()), 9999, 0);
    assert_eq!(
        over(again),
        Ok(answer("3")),
        "whoever needs not wait needs no room"
    );
    let mut calls = Calls::default();
    for waiter in 0..2 {
        let big = request(&"x".repeat(ScriptCall::WAITING_BYTES * 2 / 3));
        let begun = calls.begin(big, None, waiter, 0);
        assert_eq!(matches!(begun, Begun::New(_)), waiter == 0);
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Begin { name: Option<u8>, other: bool },
    Release(usize),
    Take,
    Answer(usize),
    Leave(usize),
    Attach,
    Detach,
    Pass(u64),
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (proptest::option::of(0u8..3), any::<bool>())
            .prop_map(|(name, other)| Act::Begin { name, other }),
        6 => (0usize..8).prop_map(Act::Release),
        6 => Just(Act::Take),
        6 => (0usize..12).prop_map(Act::Answer),
        3 => (0usize..8).prop_map(Act::Leave),
        2 => Just(Act::Attach),
        1 => Just(Act::Detach),
        1 => (0u64..700).prop_map(Act::Pass),
        1 => Just(Act::Restart),
    ]
}

/// Those who wait, and an outbox.
#[derive(Default)]
struct World {
    calls: Calls<u32>,
    outbox: Vec<Errand>,
    now: u64,
    begun: u32,
    /// Who waits, and for what.
    waiting: BTreeMap<u32, (Place, Option<u8>)>,
    ids: BTreeSet<i32>,
    /// Ids that went to a page.
    taken: BTreeSet<i32>,
    /// Ids of which somebody was told that they did not run.
    unsent: BTreeSet<i32>,
    /// When the call of a name began that was last taken.
    named: BTreeMap<u8, u64>,
    names: BTreeMap<i32, u8>,
    begun_at: BTreeMap<i32, u64>,
}

impl World {
    fn told(&mut self, told: Told<u32>) {
        for (waiter, outcome) in told {
            let (place, _) = self
                .waiting
                .remove(&waiter)
                .expect("nobody is told twice, nor after giving up");
            self.note(place.call, &outcome);
        }
    }

    fn note(&mut self, id: i32, outcome: &Outcome) {
        match outcome {
            Err(ScriptError::NotRun(_)) => {
                self.unsent.insert(id);
            }
            Ok(answer) => assert_eq!(answer.response, id.to_string(), "each gets its own answer"),
            Err(_) => {}
        }
    }

    fn begin(&mut self, name: Option<u8>, other: bool) {
        self.begun += 1;
        let waiter = self.begun;
        let action = if other && name.is_none() { "b" } else { "a" };
        let begun = self.calls.begin(
            request(action),
            name.map(|name| name.to_string()),
            waiter,
            self.now,
        );
        match begun {
            Begun::New(place) => {
                assert!(self.ids.insert(place.call), "ids are never given twice");
                self.begun_at.insert(place.call, self.now);
                if let Some(name) = name {
                    self.names.insert(place.call, name);
                }
                self.waiting.insert(waiter, (place, name));
            }
            Begun::Joined(place) => {
                assert!(name.is_some());
                self.waiting.insert(waiter, (place, name));
            }
            Begun::Over(same, outcome) => {
                assert_eq!(same, waiter);
                assert!(!matches!(outcome, Err(ScriptError::TooMany)));
            }
        }
    }

    fn run(&mut self, act: Act) {
        match act {
            Act::Begin { name, other } => self.begin(name, other),
            Act::Release(nth) => {
                if let Some((place, _)) = self.waiting.values().nth(nth).copied() {
                    self.outbox.extend(self.calls.release(place.call));
                }
            }
            Act::Take if self.outbox.is_empty() => {}
            Act::Take => {
                let errand = self.outbox.remove(0);
                errand.ticket.take();
                let id = errand.request.scripting_request_id;
                assert!(!self.unsent.contains(&id), "what did not run never runs");
                assert!(self.taken.insert(id), "a page is asked once");
                if let Some(name) = self.names.get(&id) {
                    let begun = self.begun_at[&id];
                    let before = self.named.insert(*name, begun);
                    let forgotten = before.is_none_or(|before| begun >= before + REMEMBERED_FOR);
                    assert!(forgotten, "the same name runs again only when it was forgotten");
                }
            }
            Act::Answer(nth) => {
                let id = self.ids.iter().rev().nth(nth).copied().unwrap_or(77);
                if let Some(told) = self.calls.answer(id, answer(&id.to_string())) {
                    assert!(self.taken.contains(&id));
                    self.told(told);
                }
            }
            Act::Leave(nth) => {
                let Some((&waiter, &(place, _))) = self.waiting.iter().nth(nth) else {
                    return;
                };
                if self.calls.is_last(place) {
                    self.outbox
                        .retain(|errand| errand.request.scripting_request_id != place.call);
                }
                let left = self.calls.leave(place, Cause::TimeLimit);
                assert_eq!(left.as_ref().map(|(same, _)| *same), Some(waiter));
                self.told(left.into_iter().collect());
            }
            Act::Attach => self.outbox.extend(self.calls.attach()),
            Act::Detach => {
                self.outbox.clear();
                self.calls.detach();
            }
            Act::Pass(seconds) => self.now += seconds,
            Act::Restart => {
                self.outbox.clear();
                let told = self.calls.suspend();
                self.told(told);
                let remembered = self.calls.remember();
                let mut bytes = Vec::new();
                remembered.write(&mut bytes);
                let read = Remembered::read(&mut bytes.into()).ok();
                assert_eq!(read.as_ref(), Some(&remembered));
                let told = self.calls.end();
                self.told(told);
                assert!(self.calls.calls.is_empty());
                self.calls = Calls::default();
                self.calls.restore(remembered);
            }
        }
        let live: BTreeSet<i32> = self.waiting.values().map(|(place, _)| place.call).collect();
        for (id, call) in &self.calls.calls {
            assert!(live.contains(id) || call.name.is_some(), "nothing is left behind");
        }
        assert_eq!(self.calls.waiters(), self.waiting.len());
        let mut sum = Sum::default();
        self.calls.calls.values().for_each(|call| sum += call.sum());
        assert_eq!(self.calls.sum, sum, "what they cost is known");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_call_has_one_outcome_and_leaves_nothing_behind(acts in prop::collection::vec(act(), 0..120)) {
        let mut world = World::default();
        for act in acts {
            world.run(act);
        }
        world.outbox.clear();
        let told = world.calls.end();
        world.told(told);
        prop_assert!(world.waiting.is_empty(), "everybody was told");
        prop_assert!(world.calls.calls.is_empty());
    }
}
