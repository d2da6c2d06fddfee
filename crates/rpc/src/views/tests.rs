//! What pages can rely on, whatever happens in which order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chartroom_session::store::{Clock, MemoryStore, SessionStore, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::archive::Archive;
use crate::message::Generation;
use crate::settings::CookieSettings;

const HOUR: u64 = 3_600_000;
const TAB_LIFETIME: u64 = 24 * HOUR;

/// A store that outlives servers, and a clock that goes when it is told to.
struct World {
    store: Arc<dyn SessionStore>,
    now: Arc<AtomicU64>,
    limits: ViewLimits,
}

/// One life of a server.
struct Server {
    archive: Arc<Archive>,
    life: Life,
    views: Views,
}

impl World {
    fn new(limits: ViewLimits) -> Self {
        let now = Arc::new(AtomicU64::new(1_000_000));
        let clock = Arc::clone(&now);
        let clock = Clock::from_fn(move || Timestamp(clock.load(Ordering::Relaxed)));
        Self {
            store: Arc::new(MemoryStore::new(clock)),
            now,
            limits,
        }
    }

    async fn start(&self) -> Server {
        let (archive, kept) = Archive::open(Arc::clone(&self.store), "node").await.unwrap();
        let (lives, views) = kept
            .into_iter()
            .partition(|kept| kept.kind == crate::archive::Kind::Server);
        Server {
            life: Life::begin(CookieSettings::default(), Arc::clone(&archive), lives).unwrap(),
            views: Views::open(self.limits.clone(), Arc::clone(&archive), views),
            archive,
        }
    }

    async fn restart(&self, server: Server) -> Server {
        server.archive.close().await;
        drop(server);
        self.start().await
    }

    fn advance(&self, milliseconds: u64) {
        self.now.fetch_add(milliseconds, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }
}

fn principal(name: &str) -> chartroom_session::Principal {
    chartroom_session::Principal(name.into())
}

fn hello(view: &str, token: &str) -> HelloPayload {
    HelloPayload {
        view_id: Some(view.to_owned()),
        view_token: Some(token.to_owned()),
        client_instance_id: Some("page".to_owned()),
        ..HelloPayload::default()
    }
}

fn raw(json: &serde_json::Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(json).unwrap()
}

#[tokio::test]
async fn tabs_of_a_client_share_a_view_and_each_has_a_token_of_its_own() {
    let server = World::new(ViewLimits::default()).start().await;
    let (client, ann) = (ClientId::random().unwrap(), principal("ann"));
    let kind = ViewKind::default();
    let first = server.views.bootstrap(&client, &ann, &kind).unwrap();
    let second = server.views.bootstrap(&client, &ann, &kind).unwrap();
    assert_eq!(first.view, second.view);
    assert_ne!(first.token, second.token);
    let greet = |token: &str| {
        server
            .views
            .hello(&client, &ann, &hello(first.view.as_str(), token), None)
            .unwrap()
    };
    let (one, two) = (greet(first.token.as_str()), greet(second.token.as_str()));
    assert_ne!(one.tab.id(), two.tab.id());
    assert!(one.resumed && two.resumed);
    assert_eq!(
        (one.generation.num, two.generation.num),
        (1, 1),
        "generations are the tab's"
    );
    // The first token is as valid as before.
    let again = greet(first.token.as_str());
    assert_eq!(again.tab.id(), one.tab.id());
    assert_eq!(again.generation.num, 2);
    assert_eq!(two.tab.standing(&two.generation), Standing::Current);
    assert_eq!(one.tab.standing(&one.generation), Standing::Earlier);
    assert_eq!(one.tab.standing(&two.generation), Standing::Foreign);
}

#[tokio::test]
async fn kinds_and_principals_and_clients_have_views_of_their_own() {
    let server = World::new(ViewLimits::default()).start().await;
    let [first, second] = [(); 2].map(|()| ClientId::random().unwrap());
    let view = |client, name, kind| {
        let kind = ViewKind::parse(kind).unwrap();
        server
            .views
            .bootstrap(client, &principal(name), &kind)
            .unwrap()
            .view
    };
    let views = [
        view(&first, "ann", "main"),
        view(&first, "ann", "map"),
        view(&first, "ben", "main"),
        view(&second, "ann", "main"),
    ];
    assert_eq!(HashSet::from(views.clone()).len(), 4);
    assert_eq!(view(&first, "ann", "main"), views[0]);
}

#[tokio::test]
async fn a_wrong_token_is_a_new_tab_of_the_same_view_and_the_same_one_when_it_comes_again() {
    let server = World::new(ViewLimits::default()).start().await;
    let (client, ann) = (ClientId::random().unwrap(), principal("ann"));
    let given = server
        .views
        .bootstrap(&client, &ann, &ViewKind::default())
        .unwrap();
    let own = server
        .views
        .hello(
            &client,
            &ann,
            &hello(given.view.as_str(), given.token.as_str()),
            None,
        )
        .unwrap();
    let mut wrong = hello(given.view.as_str(), "wrong");
    wrong.client_instance_id = Some("instance".to_owned());
    let first = server.views.hello(&client, &ann, &wrong, None).unwrap();
    assert!(first.resumed, "it is the view that was asked for");
    assert_ne!(first.tab.id(), own.tab.id());
    let second = server.views.hello(&client, &ann, &wrong, None).unwrap();
    assert_eq!(second.tab.id(), first.tab.id());
    assert_eq!(second.tab.standing(&first.generation), Standing::Earlier);
    wrong.client_instance_id = Some("another instance".to_owned());
    let third = server.views.hello(&client, &ann, &wrong, None).unwrap();
    assert_ne!(third.tab.id(), first.tab.id());
}

#[tokio::test]
async fn the_right_token_of_another_client_or_principal_opens_nothing() {
    let server = World::new(ViewLimits::default()).start().await;
    let (client, ann) = (ClientId::random().unwrap(), principal("ann"));
    let given = server
        .views
        .bootstrap(&client, &ann, &ViewKind::default())
        .unwrap();
    let stolen = hello(given.view.as_str(), given.token.as_str());
    for (client, principal) in [(ClientId::random().unwrap(), ann), (client, principal("eve"))] {
        let greeting = server.views.hello(&client, &principal, &stolen, None).unwrap();
        assert!(!greeting.resumed);
        assert_ne!(greeting.tab.view(), &given.view);
        assert_eq!(
            (greeting.tab.client(), greeting.tab.principal()),
            (&client, &principal)
        );
    }
}

#[tokio::test]
async fn a_hello_without_anything_is_a_new_tab_of_the_clients_main_view() {
    let server = World::new(ViewLimits::default()).start().await;
    let (client, ann) = (ClientId::random().unwrap(), principal("ann"));
    let nothing = HelloPayload::default();
    let [first, second] = [(); 2].map(|()| server.views.hello(&client, &ann, &nothing, None).unwrap());
    assert!(!first.resumed);
    assert_eq!(first.tab.view(), second.tab.view());
    assert_ne!(first.tab.id(), second.tab.id());
    assert_eq!(first.tab.kind().as_str(), "main");
}

#[tokio::test]
async fn a_hello_without_anything_on_the_connection_of_a_tab_is_that_tabs() {
    let server = World::new(ViewLimits::default()).start().await;
    let (client, ann) = (ClientId::random().unwrap(), principal("ann"));
    let kind = ViewKind::parse("map").unwrap();
    let given = server.views.bootstrap(&client, &ann, &kind).unwrap();
    let asked = hello(given.view.as_str(), given.token.as_str());
    let first = server.views.hello(&client, &ann, &asked, None).unwrap();
    let nothing = HelloPayload::default();
    let again = server
        .views
        .hello(&client, &ann, &nothing, Some(&first.tab))
        .unwrap();
    assert_eq!(again.tab.id(), first.tab.id());
    assert_eq!(again.generation.num, 2);
    assert_eq!(again.tab.standing(&first.generation), Standing::Earlier);
}

#[tokio::test]
async fn pages_with_one_token_that_do_not_say_which_is_which_are_tabs_of_their_own() {
    let server = World::new(ViewLimits::default()).start().await;
    let (client, ann) = (ClientId::random().unwrap(), principal("ann"));
    let given = server
        .views
        .bootstrap(&client, &ann, &ViewKind::default())
        .unwrap();
    let asked = HelloPayload {
        client_instance_id: None,
        ..hello(given.view.as_str(), given.token.as_str())
    };
    let greet = |here: Option<&Tab>| server.views.hello(&client, &ann, &asked, here).unwrap();
    let [first, second, third] = [(); 3].map(|()| greet(None));
    assert_ne!(first.tab.id(), second.tab.id());
    assert_ne!(second.tab.id(), third.tab.id());
    // Whoever comes back before the server has noticed that it was gone may repeat what it said.
    assert_eq!(second.tab.standing(&first.generation), Standing::Earlier);
    assert_eq!(second.generation.num, 2);
    // On the same connection it is the same tab, and also when nobody has it any more.
    assert_eq!(greet(Some(&first.tab)).tab.id(), first.tab.id());
    let id = first.tab.id().clone();
    drop(first);
    assert_eq!(greet(None).tab.id(), &id);
}

#[tokio::test]
async fn the_client_reports_once_in_each_generation_and_the_state_of_the_view_says_so() {
    let server = World::new(ViewLimits::default()).start().await;
    let (client, ann) = (ClientId::random().unwrap(), principal("ann"));
    let given = server
        .views
        .bootstrap(&client, &ann, &ViewKind::default())
        .unwrap();
    let asked = hello(given.view.as_str(), given.token.as_str());
    let Greeting { tab, generation, .. } = server.views.hello(&client, &ann, &asked, None).unwrap();
    assert_eq!(tab.snapshot().version, 1);
    let loaded =
        raw(&json!({"loaded": [{"id": "a", "version": "1", "hash": "00"}], "failed": [], "modsHash": null}));
    assert_eq!(tab.client_ready(&generation, Some(900), &loaded), Ok(true));
    assert_eq!(tab.client_ready(&generation, Some(901), &loaded), Ok(false));
    let snapshot = tab.snapshot();
    assert_eq!(snapshot.version, 2);
    assert_eq!(snapshot.state["clientReady"]["gen"], 1);
    assert_eq!(snapshot.state["clientReady"]["ts"], 900);
    let next = server.views.hello(&client, &ann, &asked, None).unwrap();
    assert_eq!(
        tab.client_ready(&generation, None, &loaded),
        Ok(false),
        "that generation is over"
    );
    let wrong = raw(&json!({"loaded": 7}));
    assert_eq!(
        tab.client_ready(&next.generation, None, &wrong).unwrap_err().err["field"],
        "payload.loaded"
    );
    assert_eq!(
        tab.client_ready(&next.generation, None, &loaded),
        Ok(true),
        "a report that is wrong does not count"
    );
    assert_eq!(tab.snapshot().state["clientReady"]["gen"], 2);
}

#[tokio::test]
async fn the_state_of_a_view_has_a_version_and_a_bound() {
    let limits = ViewLimits {
        state_bytes: 100,
        ..ViewLimits::default()
    };
    let server = World::new(limits).start().await;
    let client = ClientId::random().unwrap();
    let greeting = server
        .views
        .hello(&client, &principal("ann"), &HelloPayload::default(), None)
        .unwrap();
    let patch = |value| {
        greeting
            .tab
            .patch(serde_json::Map::from_iter([("a".to_owned(), value)]))
    };
    assert_eq!(patch(json!(1)), Ok(2));
    assert_eq!(patch(json!(1)), Ok(2), "nothing has changed");
    assert_eq!(
        patch(json!("x".repeat(100))).unwrap_err().code,
        crate::code::BAD_REQUEST
    );
    assert_eq!(greeting.tab.snapshot().state["a"], 1);
    assert_eq!(patch(json!(null)), Ok(3));
    assert!(greeting.tab.snapshot().state.is_empty());
}

#[tokio::test]
async fn views_tabs_generations_state_and_cookies_outlive_the_server() {
    let world = World::new(ViewLimits::default());
    let server = world.start().await;
    assert_eq!(server.life.generation(), 1);
    let (client, ann) = (ClientId::random().unwrap(), principal("ann"));
    let cookie = server.life.sign(&client).unwrap();
    let kind = ViewKind::parse("map").unwrap();
    let given = server.views.bootstrap(&client, &ann, &kind).unwrap();
    let asked = hello(given.view.as_str(), given.token.as_str());
    let before = server.views.hello(&client, &ann, &asked, None).unwrap();
    assert_eq!(
        before
            .tab
            .client_ready(&before.generation, None, &raw(&json!({}))),
        Ok(true)
    );
    let snapshot = before.tab.snapshot();
    let id = before.tab.id().clone();
    drop(before.tab);

    let server = world.restart(server).await;
    assert_eq!(server.life.generation(), 2);
    assert_eq!(server.life.verify(&cookie), Some(client.clone()));
    assert_eq!(
        server.views.bootstrap(&client, &ann, &kind).unwrap().view,
        given.view
    );
    let after = server.views.hello(&client, &ann, &asked, None).unwrap();
    assert!(after.resumed);
    assert_eq!(after.tab.id(), &id);
    assert_eq!(after.tab.kind(), &kind);
    assert_eq!(after.generation.num, 2);
    assert_eq!(after.tab.standing(&before.generation), Standing::Earlier);
    assert_eq!(after.tab.snapshot(), snapshot);
}

#[tokio::test]
async fn the_store_has_no_token() {
    let world = World::new(ViewLimits::default());
    let server = world.start().await;
    let client = ClientId::random().unwrap();
    let given = server
        .views
        .bootstrap(&client, &principal("ann"), &ViewKind::default())
        .unwrap();
    server.archive.close().await;
    let records = world.store.list().await.unwrap();
    assert_eq!(
        records.len(),
        2,
        "the view, and what the server remembers of itself"
    );
    let mut found = false;
    for stored in records {
        let body = stored.decode().unwrap().body;
        let body = std::str::from_utf8(&body).unwrap();
        assert!(!body.contains(given.token.as_str()));
        found |= body.contains(given.view.as_str());
    }
    assert!(found);
}

#[tokio::test]
async fn keys_of_cookies_change_and_cookies_of_the_one_before_stay_valid() {
    let world = World::new(ViewLimits::default());
    let server = world.start().await;
    let CookieSettings {
        lifetime,
        key_lifetime,
        ..
    } = CookieSettings::default();
    let client = ClientId::random().unwrap();
    let day = 24 * HOUR;
    world.advance(key_lifetime.as_millis() as u64 - day);
    let cookie = server.life.sign(&client).unwrap();
    world.advance(2 * day);
    let with_new_key = server.life.sign(&client).unwrap();
    assert_eq!(server.life.verify(&cookie), Some(client.clone()));
    let server = world.restart(server).await;
    assert_eq!(server.life.verify(&cookie), Some(client.clone()));
    assert_eq!(server.life.verify(&with_new_key), Some(client));
    world.advance(lifetime.as_millis() as u64 - 2 * day);
    assert_eq!(server.life.verify(&cookie), None, "its own time is over");
}

#[tokio::test]
async fn a_tab_that_is_connected_keeps_its_token_and_one_that_is_not_loses_it_in_time() {
    let world = World::new(ViewLimits::default());
    let server = world.start().await;
    let (client, ann) = (ClientId::random().unwrap(), principal("ann"));
    let given = server
        .views
        .bootstrap(&client, &ann, &ViewKind::default())
        .unwrap();
    let asked = hello(given.view.as_str(), given.token.as_str());
    let first = server.views.hello(&client, &ann, &asked, None).unwrap();
    world.advance(10 * TAB_LIFETIME);
    let second = server.views.hello(&client, &ann, &asked, None).unwrap();
    assert_eq!(second.tab.id(), first.tab.id());
    second.tab.touch();
    let id = second.tab.id().clone();
    drop((first, second));
    world.advance(TAB_LIFETIME - 1);
    let third = server.views.hello(&client, &ann, &asked, None).unwrap();
    assert_eq!(third.tab.id(), &id, "its time slides");
    drop(third);
    world.advance(TAB_LIFETIME);
    let late = server.views.hello(&client, &ann, &asked, None).unwrap();
    assert_ne!(late.tab.id(), &id);
    assert_eq!(late.tab.view(), &given.view, "the view is kept for longer");
}

#[tokio::test]
async fn pages_that_never_connected_go_first_when_there_are_too_many() {
    let limits = ViewLimits {
        views: 8,
        tabs: 4,
        ..ViewLimits::default()
    };
    let world = World::new(limits);
    let server = world.start().await;
    let (client, ann) = (ClientId::random().unwrap(), principal("ann"));
    let kind = ViewKind::default();
    let given = server.views.bootstrap(&client, &ann, &kind).unwrap();
    let asked = hello(given.view.as_str(), given.token.as_str());
    let id = server
        .views
        .hello(&client, &ann, &asked, None)
        .unwrap()
        .tab
        .id()
        .clone();
    for _ in 0..100 {
        world.advance(1);
        server.views.bootstrap(&client, &ann, &kind).unwrap();
        server
            .views
            .bootstrap(&ClientId::random().unwrap(), &ann, &kind)
            .unwrap();
    }
    assert_eq!(
        server.views.hello(&client, &ann, &asked, None).unwrap().tab.id(),
        &id
    );
}

#[derive(Debug, Clone)]
enum Step {
    Bootstrap {
        client: usize,
        principal: usize,
        kind: usize,
    },
    /// With a token that was given to anybody, in the name of the client and principal of that token or of others.
    Hello {
        token: proptest::sample::Index,
        by: Option<(usize, usize)>,
    },
    Stranger {
        client: usize,
        principal: usize,
        instance: bool,
    },
    Disconnect {
        tab: proptest::sample::Index,
    },
    Touch {
        tab: proptest::sample::Index,
    },
    Advance {
        milliseconds: u64,
    },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3_usize, 0..2_usize, 0..2_usize)
            .prop_map(|(client, principal, kind)| Step::Bootstrap { client, principal, kind }),
        6 => (any::<proptest::sample::Index>(), proptest::option::weighted(0.3, (0..3_usize, 0..2_usize)))
            .prop_map(|(token, by)| Step::Hello { token, by }),
        1 => (0..3_usize, 0..2_usize, any::<bool>())
            .prop_map(|(client, principal, instance)| Step::Stranger { client, principal, instance }),
        3 => any::<proptest::sample::Index>().prop_map(|tab| Step::Disconnect { tab }),
        1 => any::<proptest::sample::Index>().prop_map(|tab| Step::Touch { tab }),
        3 => (0..2 * TAB_LIFETIME).prop_map(|milliseconds| Step::Advance { milliseconds }),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..60)
}

/// What the test knows of a token.
struct Known {
    client: usize,
    principal: usize,
    view: ViewId,
    token: String,
    /// Until then it is valid in any case.
    lower: u64,
    /// What `lower` is after a restart.
    stored: u64,
    /// From then on it is not, unless the tab is connected.
    upper: u64,
    tab: Option<TabId>,
    generations: Vec<Generation>,
}

/// Runs the steps and checks what can be relied on; with `roomy` limits also that nothing is evicted.
async fn run(steps: Vec<Step>, limits: ViewLimits, roomy: bool) {
    let world = World::new(limits.clone());
    let mut server = world.start().await;
    let clients: [ClientId; 3] = std::array::from_fn(|_| ClientId::random().unwrap());
    let principals = ["ann", "ben"].map(principal);
    let kinds = ["main", "map"].map(|kind| ViewKind::parse(kind).unwrap());
    let mut tokens: Vec<Known> = Vec::new();
    let mut connected: Vec<Arc<Tab>> = Vec::new();
    let mut owners: HashMap<ViewId, (ClientId, chartroom_session::Principal)> = HashMap::new();
    for step in steps {
        let now = world.now();
        match step {
            Step::Bootstrap {
                client,
                principal,
                kind,
            } => {
                let (name, who) = (&clients[client], &principals[principal]);
                let given = server.views.bootstrap(name, who, &kinds[kind]).unwrap();
                let owner = (name.clone(), who.clone());
                assert_eq!(
                    owners.entry(given.view.clone()).or_insert_with(|| owner.clone()),
                    &owner
                );
                assert!(tokens.iter().all(|known| known.token != given.token.as_str()));
                tokens.push(Known {
                    client,
                    principal,
                    view: given.view,
                    token: given.token.as_str().to_owned(),
                    lower: now + TAB_LIFETIME,
                    stored: now + TAB_LIFETIME,
                    upper: now + TAB_LIFETIME,
                    tab: None,
                    generations: Vec::new(),
                });
            }
            Step::Hello { token, by } => {
                if tokens.is_empty() {
                    continue;
                }
                let known = token.get_mut(&mut tokens);
                let (client, principal) = by.unwrap_or((known.client, known.principal));
                let (name, who) = (&clients[client], &principals[principal]);
                let asked = hello(known.view.as_str(), &known.token);
                let greeting = server.views.hello(name, who, &asked, None).unwrap();
                let tab = &greeting.tab;
                assert_eq!((tab.client(), tab.principal()), (name, who));
                let owner = (name.clone(), who.clone());
                assert_eq!(
                    owners.entry(tab.view().clone()).or_insert_with(|| owner.clone()),
                    &owner
                );
                assert_eq!(greeting.resumed, *tab.view() == known.view);
                assert_eq!(tab.standing(&greeting.generation), Standing::Current);
                if (client, principal) != (known.client, known.principal) {
                    assert!(!greeting.resumed);
                    assert!(known.tab.as_ref() != Some(tab.id()));
                    continue;
                }
                let was_connected = connected
                    .iter()
                    .any(|other| Some(other.id()) == known.tab.as_ref());
                let is_valid = now < known.lower || was_connected;
                let is_over = now >= known.upper && !was_connected;
                if roomy && is_valid {
                    assert!(greeting.resumed);
                    assert!(known.tab.as_ref().is_none_or(|id| id == tab.id()));
                    let earlier = known.generations.last();
                    assert!(earlier.is_none_or(|earlier| tab.standing(earlier) == Standing::Earlier));
                    assert_eq!(greeting.generation.num, known.generations.len() as i64 + 1);
                }
                if is_over {
                    // A tab that comes with a token that is over is another one, under the same name from now on.
                    assert!(known.tab.as_ref() != Some(tab.id()));
                }
                if known.tab.as_ref() != Some(tab.id()) {
                    known.generations.clear();
                }
                known.view = tab.view().clone();
                known.tab = Some(tab.id().clone());
                known.generations.push(greeting.generation.clone());
                (known.lower, known.stored, known.upper) =
                    (now + TAB_LIFETIME, now + TAB_LIFETIME, now + TAB_LIFETIME);
                connected.push(greeting.tab);
            }
            Step::Stranger {
                client,
                principal,
                instance,
            } => {
                let (name, who) = (&clients[client], &principals[principal]);
                let asked = HelloPayload {
                    client_instance_id: instance.then(|| "instance".to_owned()),
                    ..HelloPayload::default()
                };
                let greeting = server.views.hello(name, who, &asked, None).unwrap();
                assert_eq!((greeting.tab.client(), greeting.tab.principal()), (name, who));
                assert!(
                    tokens
                        .iter()
                        .all(|known| known.tab.as_ref() != Some(greeting.tab.id()))
                );
                let owner = (name.clone(), who.clone());
                let view = greeting.tab.view().clone();
                assert_eq!(owners.entry(view).or_insert_with(|| owner.clone()), &owner);
            }
            Step::Disconnect { .. } | Step::Touch { .. } if connected.is_empty() => {}
            Step::Disconnect { tab } => {
                let tab = connected.swap_remove(tab.index(connected.len()));
                touch(&tab, &mut tokens, now);
            }
            Step::Touch { tab } => touch(&connected[tab.index(connected.len())], &mut tokens, now),
            Step::Advance { milliseconds } => world.advance(milliseconds),
            Step::Restart => {
                connected.clear();
                for known in &mut tokens {
                    known.lower = known.stored;
                }
                server = world.restart(server).await;
            }
        }
        let (views, of_client, tabs) = server.views.counts();
        assert!(views <= limits.views && of_client <= limits.views_of_client && tabs <= limits.tabs);
    }
}

fn touch(tab: &Tab, tokens: &mut [Known], now: u64) {
    tab.touch();
    for known in tokens
        .iter_mut()
        .filter(|known| known.tab.as_ref() == Some(tab.id()))
    {
        (known.lower, known.upper) = (now + TAB_LIFETIME, now + TAB_LIFETIME);
    }
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future);
}

proptest! {
    #[test]
    fn no_client_reaches_the_view_of_another_and_tokens_are_valid_for_their_time(steps in steps()) {
        block_on(run(steps, ViewLimits::default(), true));
    }

    #[test]
    fn bounds_hold_whatever_happens(steps in steps(), views in 1..6_usize, of_client in 1..3_usize, tabs in 1..4_usize) {
        let limits = ViewLimits { views, views_of_client: of_client, tabs, ..ViewLimits::default() };
        block_on(run(steps, limits, false));
    }
}
