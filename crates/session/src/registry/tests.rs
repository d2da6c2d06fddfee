use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::store::MemoryStore;

mod leaving;

/// What is written down of a session.
async fn body(registry: &Registry<Probe>, id: SessionId) -> Option<Bytes> {
    registry.record(id).await.map(|record| record.body)
}

#[derive(Default)]
struct Probe {
    ended: AtomicBool,
    held: AtomicUsize,
    relieved: AtomicBool,
    unlinked: AtomicBool,
    built_from: Option<Bytes>,
    journal: Option<Arc<dyn Journal>>,
    /// What being stored waits for.
    storing: Option<Arc<tokio::sync::Semaphore>>,
    at_end: std::sync::Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Session for Probe {
    fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(at_end) = self.at_end.lock().unwrap().take() {
            at_end();
        }
    }

    fn unlinked(&self, _: LinkEnd) {
        self.unlinked.store(true, Ordering::SeqCst);
    }

    fn held_bytes(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    fn relieve(&self) {
        self.relieved.store(true, Ordering::SeqCst);
        self.held.fetch_div_two();
    }

    fn suspend(&self) -> BoxFuture<'static, ()> {
        let (journal, storing) = (self.journal.clone(), self.storing.clone());
        async move {
            if let Some(storing) = storing {
                storing.acquire().await.unwrap().forget();
            }
            if let Some(journal) = journal {
                journal.write(Bytes::from_static(b"as it was"), 1);
                journal.flush().await;
            }
        }
        .boxed()
    }
}

trait Halve {
    fn fetch_div_two(&self);
}

impl Halve for AtomicUsize {
    fn fetch_div_two(&self) {
        let half = self.load(Ordering::SeqCst) / 2;
        self.store(half, Ordering::SeqCst);
    }
}

impl Probe {
    fn ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

const RETENTION: Retention = Retention {
    parked: Duration::from_secs(60),
    leaving: Duration::from_secs(1),
};

fn registry() -> Registry<Probe> {
    Registry::new(Ids::random(), RETENTION, None, Vec::new())
}

async fn stored_registry(store: &Arc<MemoryStore>) -> Registry<Probe> {
    let store = Arc::clone(store) as Arc<dyn crate::store::SessionStore>;
    let (keeper, recovered) = Keeper::open(store, "node", RETENTION.parked).await.unwrap();
    Registry::new(Ids::random(), RETENTION, Some(Arc::new(keeper)), recovered)
}

fn link(name: &str) -> Link {
    Link::new(Principal(name.into()))
}

async fn register(registry: &Registry<Probe>, wanted: u32, link: &Link) -> Registered<Probe> {
    let make = |start: Start| Probe {
        built_from: start.stored,
        journal: Some(start.journal),
        ..Probe::default()
    };
    registry
        .register(wanted, link, link.principal(), make)
        .await
        .unwrap()
}

#[tokio::test]
async fn clients_without_an_identity_get_one_that_nobody_has() {
    let numbers = AtomicU32::new(0);
    // 0 is no identity, and every number comes twice.
    let ids = Ids::from_fn(move || numbers.fetch_add(1, Ordering::SeqCst) / 2);
    let registry = Registry::new(ids, RETENTION, None, Vec::new());
    let mut seen = HashSet::new();
    for _ in 0..10 {
        let registered = register(&registry, 0, &link("a")).await;
        assert_eq!(registered.arrival, Arrival::New);
        seen.insert(registered.id);
    }
    assert_eq!(seen.len(), 10);
    assert_eq!(registry.live(), 10);
}

#[tokio::test]
async fn an_identity_that_nobody_knows_is_kept() {
    let registry = registry();
    let registered = register(&registry, 9999, &link("a")).await;
    assert_eq!(
        (registered.id.number(), registered.arrival),
        (9999, Arrival::Adopted)
    );
}

#[tokio::test]
async fn registering_twice_on_one_link_gives_the_same_session() {
    let registry = registry();
    let link = link("a");
    let first = register(&registry, 9999, &link).await;
    let second = register(&registry, 9999, &link).await;
    assert!(Arc::ptr_eq(&first.session, &second.session));
    assert_eq!(second.arrival, Arrival::Warm);
}

#[tokio::test]
async fn a_second_link_takes_over_and_the_first_is_closed_with_a_conflict() {
    let registry = registry();
    let (old, new) = (link("a"), link("a"));
    let first = register(&registry, 0, &old).await;
    let second = register(&registry, first.id.number(), &new).await;
    assert!(Arc::ptr_eq(&first.session, &second.session));
    assert_eq!(old.closing().await, CloseReason::Conflict);
    assert!(
        !registry.unlink(first.id, old.id(), LinkEnd::Closed),
        "it is not its session any more"
    );
    assert!(!registry.heard(first.id, old.id()));
    assert_eq!(registry.state(first.id), Some(SessionState::Live));
}

#[tokio::test]
async fn the_session_of_another_principal_is_not_given_away() {
    let registry = registry();
    let first = register(&registry, 0, &link("a")).await;
    let second = register(&registry, first.id.number(), &link("b")).await;
    assert_ne!(first.id, second.id);
    assert_eq!(second.arrival, Arrival::New);
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_parks_the_session_until_its_retention_is_over() {
    let registry = Arc::new(registry());
    let tending = tokio::spawn({
        let registry = Arc::clone(&registry);
        async move { registry.tend().await }
    });
    let lost = link("a");
    let first = register(&registry, 0, &lost).await;
    assert!(registry.unlink(first.id, lost.id(), LinkEnd::Lost));
    tokio::time::sleep(RETENTION.parked - Duration::from_secs(1)).await;
    let again = link("a");
    let second = register(&registry, first.id.number(), &again).await;
    assert_eq!(second.arrival, Arrival::Warm);
    assert!(Arc::ptr_eq(&first.session, &second.session));
    assert!(registry.unlink(first.id, again.id(), LinkEnd::Lost));
    tokio::time::sleep(RETENTION.parked + Duration::from_secs(1)).await;
    assert!(first.session.ended());
    assert_eq!(registry.state(first.id), None);
    tending.abort();
}

#[tokio::test(start_paused = true)]
async fn a_closed_page_ends_the_session_after_a_moment() {
    let registry = Arc::new(registry());
    let tending = tokio::spawn({
        let registry = Arc::clone(&registry);
        async move { registry.tend().await }
    });
    let closed = link("a");
    let first = register(&registry, 0, &closed).await;
    assert!(registry.unlink(first.id, closed.id(), LinkEnd::Closed));
    assert!(!first.session.ended());
    tokio::time::sleep(RETENTION.leaving + Duration::from_millis(1)).await;
    assert!(first.session.ended());
    tending.abort();
}

#[tokio::test]
async fn a_silent_link_that_is_heard_again_has_its_session_still() {
    let registry = registry();
    let link = link("a");
    let first = register(&registry, 0, &link).await;
    registry.silent(first.id, link.id());
    assert_eq!((registry.live(), registry.parked_count()), (0, 1));
    assert!(registry.heard(first.id, link.id()));
    assert_eq!((registry.live(), registry.parked_count()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn sessions_are_seen_by_their_owner_only_with_what_they_are_doing() {
    let registry = registry();
    let (mine, other) = (link("a"), link("b"));
    // Times are told by the clock on the wall, which may be set meanwhile by a fraction of a second.
    let slack = Duration::from_secs(1);
    let before = std::time::SystemTime::now() - slack;
    let id = register(&registry, 7, &mine).await.id;
    register(&registry, 8, &other).await;
    let see = |link: &Link| registry.find(id, link.principal());
    let seen = see(&mine).unwrap();
    assert_eq!(seen.state, SessionState::Live);
    assert!(seen.since > before && seen.session.is_some());
    assert!(see(&other).is_none());
    let ids: Vec<_> = registry
        .sessions_of(mine.principal())
        .iter()
        .map(|seen| seen.id)
        .collect();
    assert_eq!(ids, [id]);
    registry.unlink(id, mine.id(), LinkEnd::Lost);
    tokio::time::advance(Duration::from_secs(30)).await;
    let from = std::time::SystemTime::now() - slack;
    let seen = see(&mine).unwrap();
    let to = std::time::SystemTime::now() + slack;
    assert!(matches!(seen.state, SessionState::Parked { .. }));
    let seen_at = seen.since + Duration::from_secs(30);
    assert!(
        (from..=to).contains(&seen_at),
        "{seen_at:?} is not from {from:?} to {to:?}"
    );
}

#[tokio::test]
async fn a_stored_session_is_waited_for_until_it_comes_back_or_the_server_stops() {
    let store = Arc::new(MemoryStore::new(crate::store::Clock::system()));
    let first = stored_registry(&store).await;
    let link = link("a");
    let id = register(&first, 7, &link).await.id;
    first.stop().await;
    drop(first);

    let second = Arc::new(stored_registry(&store).await);
    let seen = second.find(id, link.principal()).unwrap();
    assert!(matches!(seen.state, SessionState::Stored { .. }) && seen.session.is_none());
    assert_eq!(body(&second, id).await.as_deref(), Some(b"as it was".as_slice()));
    let waiting = |principal: Principal| {
        let registry = Arc::clone(&second);
        tokio::spawn(async move { registry.arrival(id, &principal).await.is_some() })
    };
    assert!(!waiting(Principal("b".into())).await.unwrap());
    let comes = waiting(link.principal().clone());
    tokio::task::yield_now().await;
    assert!(!comes.is_finished());
    register(&second, 7, &link).await;
    assert!(comes.await.unwrap());
    second.stop().await;
    assert!(!waiting(link.principal().clone()).await.unwrap());
}

#[tokio::test]
async fn a_session_learns_of_the_end_of_its_own_link_only() {
    let registry = registry();
    let (old, new) = (link("a"), link("a"));
    let id = register(&registry, 7, &old).await.id;
    let session = register(&registry, 7, &new).await.session;
    registry.unlink(id, old.id(), LinkEnd::Lost);
    assert!(!session.unlinked.load(Ordering::SeqCst));
    registry.unlink(id, new.id(), LinkEnd::Lost);
    assert!(session.unlinked.load(Ordering::SeqCst));
}

#[tokio::test]
async fn everybodys_sessions_are_seen_with_their_owners() {
    let registry = registry();
    for name in ["one", "other"] {
        let link = link(name);
        register(&registry, 0, &link).await;
    }
    let mut owners: Vec<_> = registry.all().into_iter().map(|seen| seen.owner.0).collect();
    owners.sort();
    assert_eq!(
        owners.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        ["one", "other"]
    );
}

#[tokio::test]
async fn nothing_of_a_session_that_is_built_again_counts_as_stored_before_it_is() {
    let store = Arc::new(MemoryStore::new(crate::store::Clock::system()));
    let registry = stored_registry(&store).await;
    let link = link("a");
    let first = register(&registry, 0, &link).await;
    first.journal.write("many requests".into(), 900);
    first.journal.flush().await;
    assert_eq!(*first.journal.stored().borrow(), 900);
    registry.unlink(first.id, link.id(), LinkEnd::Lost);
    first.session.held.store(100, Ordering::SeqCst);
    registry.make_room(0).await;

    let second = register(&registry, first.id.number(), &link).await;
    assert_eq!(second.arrival, Arrival::Cold);
    assert_eq!(*second.journal.stored().borrow(), 0);
    second.journal.write("one request".into(), 1);
    second.journal.flush().await;
    assert_eq!(*second.journal.stored().borrow(), 1);
    // What the first one still had to say is too late.
    first.journal.write("as it was long ago".into(), 901);
    first.journal.flush().await;
    assert_eq!(
        body(&registry, first.id).await.as_deref(),
        Some(&b"one request"[..])
    );
}
