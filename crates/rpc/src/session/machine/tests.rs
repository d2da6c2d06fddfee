#![allow(
    clippy::needless_pass_by_value,
    reason = "messages are written where they are said"
)]

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::lanes::LaneLimits;

/// Everything that a machine wanted done.
#[derive(Default)]
struct Record {
    sent: Vec<Value>,
    newest: Vec<Option<u64>>,
    started: Vec<Start<()>>,
    given_up: Vec<(u64, bool)>,
    earlier: Vec<Generation>,
    ready: usize,
    answers: Vec<Message>,
}

impl Effects for Record {
    type Work = ();
    type Handle = u64;

    fn send(&mut self, frame: Frame<'_>, newest: Option<u64>) {
        self.sent.push(serde_json::from_slice(&frame.write()).unwrap());
        self.newest.push(newest);
    }

    fn standing(&self, generation: &Generation) -> Standing {
        if self.earlier.contains(generation) {
            Standing::Earlier
        } else {
            Standing::Foreign
        }
    }

    fn find(&mut self, message: &Message, _: &Arc<Caller>) -> Result<(), RpcError> {
        if message.path.as_deref() == Some("unknown") {
            return Err(RpcError::new(code::CAPABILITY_NOT_FOUND, ""));
        }
        Ok(())
    }

    fn start(&mut self, start: Start<()>) {
        self.started.push(start);
    }

    fn give_up(&mut self, handle: u64, keep: bool) {
        self.given_up.push((handle, keep));
    }

    fn client_ready(&mut self, _: &Generation, _: &Message) -> Result<(), RpcError> {
        self.ready += 1;
        Ok(())
    }

    fn answer(&mut self, _: &Generation, message: Message) {
        self.answers.push(message);
    }
}

/// A machine whose page was welcomed, and the time.
struct Talk {
    machine: Machine<(), u64>,
    record: Record,
    now: Instant,
    generations: i64,
    /// How many of the started runs were told to the machine.
    told: usize,
}

impl Talk {
    fn new(lane: usize) -> Self {
        let machine = Machine::new(Limits {
            lanes: LaneLimits {
                lane,
                session: 4,
                bytes: 8 << 10,
            },
            subscriptions: 3,
            default_budget: Duration::from_millis(3000),
            max_budget: Duration::from_millis(10_000),
        });
        let mut talk = Self {
            machine,
            record: Record::default(),
            now: Instant::now(),
            generations: 0,
            told: 0,
        };
        talk.hello();
        talk.record.sent.clear();
        talk
    }

    fn hello(&mut self) {
        if self.generations > 0 {
            self.record.earlier.push(self.machine.generation().clone());
        }
        self.generations += 1;
        let generation = Generation {
            num: self.generations,
            salt: "salt".to_owned(),
        };
        let caller = Arc::new(Caller {
            principal: chartroom_session::Principal("p".into()),
            client: "c".into(),
            view: "v".into(),
            tab: "t".into(),
            origin: None,
            extensions: Arc::default(),
        });
        self.machine
            .welcome(caller, generation, &empty_object(), &mut self.record);
    }

    /// Says a message, and returns what was sent.
    fn say(&mut self, mut message: Value) -> Vec<Value> {
        let fields = message.as_object_mut().unwrap();
        fields.entry("v").or_insert("0.1".into());
        fields.entry("id").or_insert("m".into());
        let current = serde_json::to_value(self.machine.generation()).unwrap();
        fields.entry("gen").or_insert(current);
        let text = message.to_string();
        let message = serde_json::from_str(&text).unwrap();
        let before = self.record.sent.len();
        let hello = self
            .machine
            .receive(message, text.len(), self.now, &mut self.record);
        if hello.is_some() {
            self.hello();
        }
        self.tell();
        self.record.sent.split_off(before)
    }

    fn request(&mut self, id: &str, more: Value) -> Vec<Value> {
        let mut message = json!({"type": "request", "id": id, "route": {"capability": "a@1"}});
        message
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.say(message)
    }

    /// Tells the machine that the work that it wanted has begun.
    fn tell(&mut self) {
        while let Some(start) = self.record.started.get(self.told) {
            self.machine.started(&start.run, start.run.serial);
            self.told += 1;
        }
    }

    fn finish(&mut self, at: usize, outcome: &Outcome) -> Vec<Value> {
        let before = self.record.sent.len();
        let run = self.record.started[at].run.clone();
        self.machine.finished(&run, outcome, &mut self.record);
        self.tell();
        self.record.sent.split_off(before)
    }

    fn pass(&mut self, milliseconds: u64) -> Vec<Value> {
        let before = self.record.sent.len();
        self.now += Duration::from_millis(milliseconds);
        self.machine.tick(self.now, &mut self.record);
        self.tell();
        self.record.sent.split_off(before)
    }

    fn started(&self) -> Vec<&str> {
        self.record.started.iter().map(|start| &*start.run.id).collect()
    }
}

fn kinds(sent: &[Value]) -> Vec<&str> {
    sent.iter().map(|frame| frame["type"].as_str().unwrap()).collect()
}

fn ok() -> Outcome {
    Ok(empty_object())
}

#[test]
fn every_message_after_the_hello_is_acknowledged_first_but_acknowledgements() {
    let mut talk = Talk::new(4);
    for kind in [
        "heartbeat",
        "clientReady",
        "request",
        "emit",
        "reply",
        "subscribe",
        "stateUpdate",
        "unsubscribe",
        "cancel",
        "error",
        "welcome",
    ] {
        let sent = talk.say(json!({"type": kind, "id": kind, "route": {"capability": "a@1"}}));
        assert_eq!(kinds(&sent), ["ack"], "{kind}");
        assert_eq!(sent[0]["correlatesTo"], kind);
        assert_eq!(sent[0]["route"], json!({"capability": "a@1"}));
    }
    assert!(talk.say(json!({"type": "ack"})).is_empty());
    assert_eq!(kinds(&talk.say(json!({"type": "hello"}))), ["welcome"]);
}

#[test]
fn a_generation_of_the_same_tab_may_only_finish_what_it_began() {
    let mut talk = Talk::new(4);
    let old = talk.machine.generation().clone();
    talk.say(json!({"type": "hello"}));
    for (kind, answers) in [
        ("request", vec!["ack"]),
        ("emit", vec!["ack"]),
        ("cancel", vec!["ack"]),
        ("unsubscribe", vec!["ack"]),
        ("heartbeat", vec!["ack"]),
        ("clientReady", vec!["ack"]),
        ("subscribe", vec!["ack", "error"]),
        ("reply", vec!["ack", "error"]),
        ("stateUpdate", vec!["ack", "error"]),
    ] {
        let sent = talk.say(json!({"type": kind, "id": kind, "gen": old, "route": {"capability": "a@1"}}));
        assert_eq!(kinds(&sent), answers, "{kind}");
        if let Some(error) = sent.get(1) {
            assert_eq!(error["payload"]["code"], code::STALE_GENERATION);
            assert_eq!(error["correlatesTo"], kind);
        }
    }
    assert_eq!(talk.started(), ["request", "emit"]);
    assert_eq!(talk.record.ready, 0);
}

#[test]
fn what_waits_in_a_lane_can_be_cancelled_and_can_time_out() {
    let mut talk = Talk::new(1);
    talk.request("1", json!({"budgetMs": 5000}));
    talk.request("2", json!({}));
    talk.request("3", json!({"budgetMs": 100}));
    assert_eq!(talk.started(), ["1"]);
    let sent = talk.say(json!({"type": "cancel", "id": "c", "correlatesTo": "2"}));
    assert_eq!(kinds(&sent), ["ack", "error"]);
    let sent = talk.pass(100);
    assert_eq!(sent[0]["payload"]["code"], code::REQUEST_TIMEOUT);
    assert_eq!(sent[0]["correlatesTo"], "3");
    assert!(talk.record.given_up.is_empty(), "nothing had begun");
    assert_eq!(kinds(&talk.finish(0, &ok())), ["reply"]);
    assert!(talk.machine.is_idle());
}

#[test]
fn budgets_are_those_of_the_message_within_bounds() {
    let mut talk = Talk::new(4);
    for (id, budget, deadline) in [
        ("1", 1, 1),
        ("2", 0, 3000),
        ("3", -5, 3000),
        ("4", i64::MAX, 10_000),
    ] {
        talk.request(id, json!({"budgetMs": budget}));
        let start = talk.record.started.last().unwrap();
        assert_eq!(
            start.deadline,
            Some(talk.now + Duration::from_millis(deadline)),
            "{budget}"
        );
    }
    talk.say(json!({"type": "subscribe", "id": "s", "route": {"capability": "a@1"}}));
    assert_eq!(talk.record.started.last().unwrap().deadline, None);
}

#[test]
fn too_many_subscriptions_are_an_overload_that_says_when_to_come_again() {
    let mut talk = Talk::new(4);
    let subscribe = |id: &str| json!({"type": "subscribe", "id": id, "route": {"capability": "a@1"}});
    for id in ["1", "2", "3"] {
        assert_eq!(kinds(&talk.say(subscribe(id))), ["ack"]);
    }
    let sent = talk.say(subscribe("4"));
    assert_eq!(sent[1]["payload"]["code"], code::OVERLOADED);
    assert!(sent[1]["payload"]["retryAfterMs"].is_u64());
    talk.say(json!({"type": "unsubscribe", "correlatesTo": "1"}));
    assert_eq!(kinds(&talk.say(subscribe("4"))), ["ack"]);
}

#[test]
fn a_lane_that_is_full_is_an_overload() {
    let mut talk = Talk::new(1);
    let codes: Vec<_> = (0..40)
        .filter_map(|n| {
            let sent = talk.request(&n.to_string(), json!({}));
            Some(sent.get(1)?["payload"]["code"].as_str()?.to_owned())
        })
        .collect();
    assert!(!codes.is_empty() && codes.iter().all(|code| code == code::OVERLOADED));
}

#[test]
fn an_outcome_that_comes_too_late_is_nothing() {
    let mut talk = Talk::new(4);
    talk.request("1", json!({}));
    talk.say(json!({"type": "cancel", "id": "c", "correlatesTo": "1"}));
    assert_eq!(talk.record.given_up, [(0, false)]);
    // The id is free again, and the late outcome of the first run is not that of the second.
    talk.request("1", json!({}));
    assert!(talk.finish(0, &ok()).is_empty());
    assert_eq!(kinds(&talk.finish(1, &ok())), ["reply"]);
}

#[test]
fn updates_go_to_those_who_wait_and_the_newest_replace_those_of_the_same_run() {
    let mut talk = Talk::new(4);
    talk.say(json!({"type": "subscribe", "id": "s", "lane": "mine", "route": {"capability": "a@1"}}));
    let run = talk.record.started[0].run.clone();
    let payload = RawValue::from_string(r#"{"n":1}"#.to_owned()).unwrap();
    assert!(
        talk.machine
            .update(&run, Some(&payload), None, true, &mut talk.record)
    );
    let update = talk.record.sent.last().unwrap();
    assert_eq!(
        [&update["lane"], &update["payload"]],
        [&json!("mine"), &json!({"n": 1})]
    );
    assert_eq!(talk.record.newest.last(), Some(&Some(run.serial)));
    talk.say(json!({"type": "unsubscribe", "correlatesTo": "s"}));
    assert!(
        !talk
            .machine
            .update(&run, Some(&payload), None, true, &mut talk.record)
    );
}

#[test]
fn at_the_end_only_requests_whose_key_was_chosen_are_kept() {
    let mut talk = Talk::new(4);
    talk.request("1", json!({}));
    talk.request("2", json!({"idempotencyKey": "k"}));
    talk.request("3", json!({"idempotencyKey": "3"}));
    talk.say(json!({"type": "subscribe", "id": "4", "route": {"capability": "a@1"}}));
    talk.machine.end(true, &mut talk.record);
    talk.record.given_up.sort_unstable();
    assert_eq!(
        talk.record.given_up,
        [(0, false), (1, true), (2, false), (3, false)]
    );
    assert!(talk.machine.is_idle());
}

#[test]
fn a_message_can_speak_for_a_module_of_its_page_but_not_for_somebody_else() {
    let mut talk = Talk::new(4);
    talk.request("1", json!({"origin": {"modId": "m", "principal": "root"}}));
    let caller = &talk.record.started[0].caller;
    assert_eq!(&*caller.principal.0, "p");
    assert_eq!(caller.origin.as_ref().unwrap().mod_id.as_deref(), Some("m"));
}

/// What can happen.
#[derive(Debug, Clone)]
enum Step {
    Say {
        kind: &'static str,
        id: usize,
        path: &'static str,
        lane: usize,
        generation: usize,
        key: Option<usize>,
        budget: i64,
    },
    Cancel(usize, bool),
    Finish(prop::sample::Index, bool),
    Update(prop::sample::Index),
    Pass(u64),
    Hello,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let say = (
        prop::sample::select(vec!["request", "request", "request", "emit", "subscribe"]),
        0..8_usize,
        prop::sample::select(vec!["p", "p", "p", "q", "unknown"]),
        0..3_usize,
        0..6_usize,
        prop::option::of(0..3_usize),
        prop::sample::select(vec![-1, 0, 5, 50, 500]),
    )
        .prop_map(|(kind, id, path, lane, generation, key, budget)| Step::Say {
            kind,
            id,
            path,
            lane,
            generation,
            key,
            budget,
        });
    let step = prop_oneof![
        8 => say,
        2 => (0..8_usize, any::<bool>()).prop_map(|(id, cancel)| Step::Cancel(id, cancel)),
        6 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(at, ok)| Step::Finish(at, ok)),
        2 => any::<prop::sample::Index>().prop_map(Step::Update),
        2 => (0..200_u64).prop_map(Step::Pass),
        1 => Just(Step::Hello),
    ];
    prop::collection::vec(step, 0..120)
}

/// What the messages of one step have to be, seen from the page.
#[derive(Default)]
struct Page {
    /// Requests that wait for their end.
    open: HashSet<String>,
    /// Runs that the server has begun and that are not over.
    running: HashMap<u64, String>,
}

impl Page {
    fn look(&mut self, sent: &[Value], said: Option<(&str, &str)>) -> Result<(), TestCaseError> {
        let acks = sent.iter().filter(|frame| frame["type"] == "ack").count();
        prop_assert_eq!(acks, usize::from(said.is_some()));
        let mut new = None;
        if let Some((kind, id)) = said {
            prop_assert_eq!(&sent[0]["type"], "ack");
            prop_assert_eq!(&sent[0]["correlatesTo"], id);
            // A repeated id has the end of the first one.
            if kind == "request" && self.open.insert(id.to_owned()) {
                new = Some(id);
            }
        }
        for frame in sent
            .iter()
            .filter(|frame| ["reply", "error"].contains(&frame["type"].as_str().unwrap()))
        {
            let id = frame["correlatesTo"].as_str().unwrap();
            let code = &frame["payload"]["code"];
            let refused = said.is_some_and(|(_, said)| said == id) && new.is_none();
            // What refuses a message that has the id of another does not end that one.
            if refused && (code == code::DUPLICATE_ID || code == code::STALE_GENERATION) {
                continue;
            }
            let open = self.open.remove(id);
            prop_assert!(
                open || frame["type"] == "error",
                "a second end of {}: {}",
                id,
                frame
            );
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_request_has_one_end_and_nothing_is_left_behind(steps in steps()) {
        let mut talk = Talk::new(2);
        let mut page = Page::default();
        let mut ended = HashSet::new();
        for step in steps {
            let given_up = talk.record.given_up.len();
            let begun = talk.record.started.len();
            match step {
                Step::Say { kind, id, path, lane, generation, key, budget } => {
                    let id = format!("{}{id}", &kind[..1]);
                    let mut message = json!({"type": kind, "id": id, "path": path, "budgetMs": budget,
                        "lane": format!("l{lane}"), "route": {"capability": "a@1"}});
                    if let Some(key) = key {
                        message["idempotencyKey"] = format!("k{key}").into();
                    }
                    match generation {
                        0 => message["gen"] = Value::Null,
                        1 => message["gen"] = json!({"num": 1, "salt": "salt"}),
                        2 => message["gen"] = json!({"num": 1, "salt": "other"}),
                        _ => {}
                    }
                    let sent = talk.say(message);
                    page.look(&sent, Some((kind, &id)))?;
                }
                Step::Cancel(id, cancel) => {
                    let kind = if cancel { "cancel" } else { "unsubscribe" };
                    let sent = talk.say(json!({"type": kind, "id": "c", "correlatesTo": format!("r{id}")}));
                    page.look(&sent, Some((kind, "c")))?;
                    let is_open = page.open.contains(&format!("r{id}"));
                    prop_assert!(!is_open);
                }
                Step::Finish(at, well) => {
                    if talk.record.started.is_empty() {
                        continue;
                    }
                    let at = at.index(talk.record.started.len());
                    let serial = talk.record.started[at].run.serial;
                    let outcome = if well { ok() } else { Err(RpcError::new("FAILED", "")) };
                    let is_over = ended.contains(&serial);
                    let sent = talk.finish(at, &outcome);
                    if is_over {
                        prop_assert!(sent.is_empty(), "{:?}", sent);
                    }
                    ended.insert(serial);
                    page.running.remove(&serial);
                    page.look(&sent, None)?;
                }
                Step::Update(at) => {
                    if talk.record.started.is_empty() {
                        continue;
                    }
                    let run = talk.record.started[at.index(talk.record.started.len())].run.clone();
                    let is_there = talk.machine.update(&run, None, None, false, &mut talk.record);
                    talk.record.sent.clear();
                    prop_assert_eq!(is_there, !ended.contains(&run.serial));
                }
                Step::Pass(milliseconds) => {
                    let sent = talk.pass(milliseconds);
                    page.look(&sent, None)?;
                    prop_assert!(talk.machine.deadline().is_none_or(|deadline| deadline > talk.now));
                }
                Step::Hello => {
                    let sent = talk.say(json!({"type": "hello"}));
                    prop_assert_eq!(kinds(&sent), ["welcome"]);
                }
            }
            for (serial, keep) in &talk.record.given_up[given_up..] {
                prop_assert!(!keep);
                prop_assert!(ended.insert(*serial), "{} was given up, or had ended, before", serial);
                page.running.remove(serial);
            }
            for start in &talk.record.started[begun..] {
                // It can have begun and been given up in one step only if it was begun by what others left.
                if !ended.contains(&start.run.serial) {
                    let twice = page.running.insert(start.run.serial, start.run.id.to_string());
                    prop_assert!(twice.is_none());
                }
            }
            // No more run at once than are allowed.
            let holding = talk.record.started.iter().filter(|start| page.running.contains_key(&start.run.serial));
            let holding = holding.filter(|start| start.message.kind != MessageType::Subscribe).count();
            prop_assert!(holding <= 4);
        }
        let before = talk.record.given_up.len();
        talk.machine.end(true, &mut talk.record);
        for (serial, _) in &talk.record.given_up[before..] {
            prop_assert!(page.running.remove(serial).is_some());
        }
        prop_assert!(page.running.is_empty(), "{:?}", page.running);
        prop_assert!(talk.machine.is_idle() && talk.machine.lanes.is_empty());
        prop_assert!(talk.machine.deadlines.is_empty());
        prop_assert_eq!(talk.machine.subscriptions, 0);
    }

    #[test]
    fn without_an_end_everything_ends_by_itself_in_time(steps in steps()) {
        let mut talk = Talk::new(2);
        let mut page = Page::default();
        for step in steps {
            if let Step::Say { kind: kind @ ("request" | "emit"), id, lane, budget, .. } = step {
                let id = format!("{}{id}", &kind[..1]);
                let sent = talk.say(json!({"type": kind, "id": id, "budgetMs": budget, "lane": format!("l{lane}"),
                    "route": {"capability": "a@1"}}));
                page.look(&sent, Some((kind, &id)))?;
            }
        }
        for _ in 0..200 {
            let sent = talk.pass(100);
            page.look(&sent, None)?;
        }
        prop_assert!(page.open.is_empty(), "{:?}", page.open);
        prop_assert!(talk.machine.is_idle() && talk.machine.lanes.is_empty() && talk.machine.deadlines.is_empty());
        prop_assert_eq!(talk.record.given_up.len(), talk.record.started.len());
    }
}
