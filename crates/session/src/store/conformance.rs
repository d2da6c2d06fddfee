//! What every [`SessionStore`] must do, as functions to be called from the tests of each.
//!
//! All of them panic, with a sentence, when the store does not conform. Each needs a store of its own that is empty.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};

use super::{Guard, Lease, Record, SessionStore, State, StoreError, Stored, Stream, Version};
use crate::SessionId;

/// An empty store and its time.
pub struct Subject {
    /// The store.
    pub store: Arc<dyn SessionStore>,
    /// Lets at least so much time pass on the store's clock: at once where the clock is injected, else by waiting.
    pub pass_time: Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// Everything below, each with a subject that `make` makes.
///
/// # Panics
/// If the store does not conform.
pub async fn all(make: impl Fn() -> Subject) {
    keeps_what_it_is_given(&make()).await;
    gives_an_identity_once(&make()).await;
    compares_before_it_sets(&make()).await;
    never_uses_a_version_twice(&make()).await;
    refuses_a_holder_that_was_replaced(&make()).await;
    refuses_a_lease_that_is_over(&make()).await;
    knows_when_a_node_was_alive(&make()).await;
    lets_parked_records_end(&make()).await;
    keeps_live_records(&make()).await;
    finds_records_by_stream(&make()).await;
    removes_what_its_holder_removes(&make()).await;
    serves_many_at_once(&make()).await;
}

/// A record is read as it was written, by identity and in the list, whatever its size and its text.
///
/// # Panics
/// If the store does not conform.
pub async fn keeps_what_it_is_given(subject: &Subject) {
    let store = &*subject.store;
    let lease = join(store, "a").await;
    let mut expected = Vec::new();
    for (number, size) in [0_usize, 1, 4096, 1 << 20].into_iter().enumerate() {
        let record = Record {
            owner: "Zoë\0 \u{10FFFF}".repeat(number),
            client_version: u16::MAX,
            stream: stream(&"\u{7f}/*>.".repeat(number + 1)),
            active: Some(store.now()),
            body: Bytes::from(vec![0xA5; size]),
            ..live()
        };
        let id = session(u32::MAX - number as u32);
        let before = store.now();
        let version = create(store, id, lease, &record).await;
        let stored = get(store, id).await;
        assert_eq!(decode(&stored), record, "the record is another one");
        assert_eq!(stored.id, id, "the record is of another session");
        assert_eq!(stored.version, version, "the version is not that of the write");
        assert_eq!(stored.lease, lease, "the lease is not that of the writer");
        assert!(
            before <= stored.written && stored.written <= store.now(),
            "the record was not written when it was"
        );
        expected.push(stored);
    }
    expected.sort_by_key(|stored| stored.id);
    let list = ok(store.list().await, "listing");
    assert_eq!(list, expected, "the list is not what was written, in order");
}

/// Of many who create a session of one identity at once, exactly one succeeds; so do not those who come later.
///
/// # Panics
/// If the store does not conform.
pub async fn gives_an_identity_once(subject: &Subject) {
    let store = &*subject.store;
    let id = session(7);
    let leases = [join(store, "a").await, join(store, "b").await];
    let record = live();
    let creators = (0..20).map(|number| store.put(id, leases[number % 2], Guard::Absent, &record));
    let mut created = 0;
    for outcome in join_all(creators).await {
        match outcome {
            Ok(_) => created += 1,
            Err(StoreError::Exists { id: of }) => assert_eq!(of, id, "the error names another session"),
            Err(other) => panic!("an identity that is taken was refused with: {other}"),
        }
    }
    assert_eq!(created, 1, "an identity was given {created} times");
}

/// Of many who replace the same version at once, exactly one succeeds; the others change nothing.
///
/// # Panics
/// If the store does not conform.
pub async fn compares_before_it_sets(subject: &Subject) {
    let store = &*subject.store;
    let id = session(7);
    let lease = join(store, "a").await;
    for guard in [Guard::Held(Version(1)), Guard::Taken(Version(1))] {
        let missing = store.put(id, lease, guard, &live()).await;
        assert!(
            matches!(missing, Err(StoreError::Missing { .. })),
            "a record that is not there was replaced: {missing:?}"
        );
    }
    let first = create(store, id, lease, &live()).await;
    let records: Vec<_> = (0..20_u8).map(|number| with_body(&[number])).collect();
    let writers = records
        .iter()
        .map(|record| store.put(id, lease, Guard::Held(first), record));
    let outcomes = join_all(writers).await;
    let mut written = Vec::new();
    for (outcome, record) in outcomes.into_iter().zip(&records) {
        match outcome {
            Ok(version) => written.push((version, record)),
            Err(StoreError::Conflict { .. }) => {}
            Err(other) => panic!("an older version was refused with: {other}"),
        }
    }
    let [(version, record)] = written[..] else {
        panic!("a version was replaced {} times", written.len());
    };
    let stored = get(store, id).await;
    assert_eq!(
        stored.version, version,
        "the version is not that of the last write"
    );
    assert_eq!(
        decode(&stored),
        *record,
        "the record is not that of the last write"
    );
    let taken = store.put(id, lease, Guard::Taken(first), &live()).await;
    assert!(
        matches!(taken, Err(StoreError::Conflict { .. })),
        "an older version was taken over: {taken:?}"
    );
}

/// A version never comes back, not even when the record is removed and made again.
///
/// # Panics
/// If the store does not conform.
pub async fn never_uses_a_version_twice(subject: &Subject) {
    let store = &*subject.store;
    let id = session(7);
    let lease = join(store, "a").await;
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        let mut version = create(store, id, lease, &live()).await;
        for _ in 0..3 {
            assert!(seen.insert(version), "version {version:?} came twice");
            version = ok(
                store.put(id, lease, Guard::Held(version), &live()).await,
                "replacing a record",
            );
        }
        assert!(seen.insert(version), "version {version:?} came twice");
        ok(store.remove(id, lease).await, "removing a record");
    }
}

/// A node whose session was taken over cannot write or remove it, whatever version it names.
///
/// # Panics
/// If the store does not conform.
pub async fn refuses_a_holder_that_was_replaced(subject: &Subject) {
    let store = &*subject.store;
    let id = session(7);
    let former = join(store, "a").await;
    let holder = join(store, "b").await;
    let first = create(store, id, former, &live()).await;
    let not_held = store.put(id, holder, Guard::Held(first), &live()).await;
    assert!(
        matches!(not_held, Err(StoreError::TakenOver { .. })),
        "a record was written without being held: {not_held:?}"
    );
    let taken = with_body(b"taken");
    let second = ok(
        store.put(id, holder, Guard::Taken(first), &taken).await,
        "taking a record over",
    );
    for version in [first, second] {
        let late = store
            .put(id, former, Guard::Held(version), &with_body(b"late"))
            .await;
        assert!(
            matches!(late, Err(StoreError::TakenOver { .. })),
            "a former holder wrote: {late:?}"
        );
    }
    let late = store.remove(id, former).await;
    assert!(
        matches!(late, Err(StoreError::TakenOver { .. })),
        "a former holder removed: {late:?}"
    );
    let stored = get(store, id).await;
    assert_eq!(
        (stored.version, stored.lease),
        (second, holder),
        "a former holder changed the record"
    );
    assert_eq!(decode(&stored), taken, "a former holder changed the record");
    ok(
        store.put(id, holder, Guard::Held(second), &live()).await,
        "writing by the new holder",
    );
    assert!(
        ok(store.touch(former).await.map(|()| true), "touching a lease"),
        "a lease ended with one of its sessions"
    );
}

/// Nothing is written under a lease that is over; its records stay and can be taken over.
///
/// # Panics
/// If the store does not conform.
pub async fn refuses_a_lease_that_is_over(subject: &Subject) {
    let store = &*subject.store;
    let dead = join(store, "a").await;
    let version = create(store, session(7), dead, &live()).await;
    ok(store.leave(dead).await, "ending a lease");
    ok(store.leave(dead).await, "ending a lease that is over");
    for (number, guard) in [
        (8, Guard::Absent),
        (7, Guard::Held(version)),
        (7, Guard::Taken(version)),
    ] {
        let late = store.put(session(number), dead, guard, &live()).await;
        assert!(
            matches!(late, Err(StoreError::LeaseLost { .. })),
            "a lease that is over wrote: {late:?}"
        );
    }
    let late = store.touch(dead).await;
    assert!(
        matches!(late, Err(StoreError::LeaseLost { .. })),
        "a lease that is over was touched: {late:?}"
    );
    let stored = get(store, session(7)).await;
    assert_eq!(
        (stored.version, stored.lease),
        (version, dead),
        "the record did not stay as it was"
    );
    let next = join(store, "a").await;
    assert!(next > dead, "a later lease has no higher number");
    ok(
        store.put(session(7), next, Guard::Taken(version), &live()).await,
        "taking over from a lease that is over",
    );
}

/// Lives are listed with the time of their last sign.
///
/// # Panics
/// If the store does not conform.
pub async fn knows_when_a_node_was_alive(subject: &Subject) {
    let store = &*subject.store;
    let first = join(store, "a").await;
    let second = join(store, "a").await;
    let other = join(store, "b").await;
    assert!(
        first < second && second < other,
        "later leases have no higher numbers"
    );
    let born = ok(store.lives().await, "listing lives");
    let names: Vec<_> = born.iter().map(|life| (life.lease, life.node.as_str())).collect();
    assert_eq!(
        names,
        [(first, "a"), (second, "a"), (other, "b")],
        "the lives are not those that began"
    );
    (subject.pass_time)(Duration::from_secs(2)).await;
    ok(store.touch(second).await, "touching a lease");
    let lives = ok(store.lives().await, "listing lives");
    assert_eq!(lives[0], born[0], "a life changed without a sign");
    assert_eq!(lives[2], born[2], "a life changed without a sign");
    assert!(
        born[1].seen.until(lives[1].seen) >= Duration::from_secs(2),
        "a sign of life was not noted"
    );
    ok(store.leave(second).await, "ending a lease");
    let left: Vec<_> = ok(store.lives().await, "listing lives")
        .into_iter()
        .map(|life| life.lease)
        .collect();
    assert_eq!(left, [first, other], "a life did not end");
}

/// A parked record is gone when its time is over, for every call, and not before.
///
/// # Panics
/// If the store does not conform.
pub async fn lets_parked_records_end(subject: &Subject) {
    let store = &*subject.store;
    let lease = join(store, "a").await;
    let other = join(store, "b").await;
    let parked = Record {
        state: State::Parked {
            until: store.now() + Duration::from_secs(10),
        },
        stream: stream("s"),
        ..live()
    };
    let version = create(store, session(7), lease, &parked).await;
    create(store, session(8), lease, &parked).await;
    // Parked first and used again: its end must not be remembered.
    let again = create(store, session(9), lease, &parked).await;
    ok(
        store.put(session(9), lease, Guard::Held(again), &live()).await,
        "using a record again",
    );
    (subject.pass_time)(Duration::from_secs(1)).await;
    ok(store.touch(lease).await, "touching a lease");
    assert_eq!(
        decode(&get(store, session(7)).await),
        parked,
        "a record ended too early"
    );

    (subject.pass_time)(Duration::from_secs(10)).await;
    let gone = ok(store.get(session(7)).await, "reading");
    assert_eq!(gone, None, "a record did not end");
    let found = ok(store.find("s").await, "looking for a stream");
    assert_eq!(found, None, "a record that ended was found");
    let left: Vec<_> = ok(store.list().await, "listing")
        .into_iter()
        .map(|stored| stored.id)
        .collect();
    assert_eq!(left, [session(9)], "the wrong records ended");
    for guard in [Guard::Held(version), Guard::Taken(version)] {
        let late = store.put(session(7), lease, guard, &live()).await;
        assert!(
            matches!(late, Err(StoreError::Missing { .. })),
            "a record that ended was replaced: {late:?}"
        );
    }
    create(store, session(7), other, &live()).await;
    ok(
        store.remove(session(8), other).await,
        "removing a record that ended",
    );
    ok(store.touch(lease).await, "touching a lease");
    let stored = get(store, session(7)).await;
    assert_eq!(
        stored.lease, other,
        "a new record took part in the end of the former"
    );
}

/// A live record does not end by itself, even when its node is silent.
///
/// # Panics
/// If the store does not conform.
pub async fn keeps_live_records(subject: &Subject) {
    let store = &*subject.store;
    let lease = join(store, "a").await;
    create(store, session(7), lease, &live()).await;
    (subject.pass_time)(Duration::from_secs(30)).await;
    join(store, "b").await;
    get(store, session(7)).await;
}

/// A record is found by the stream that it names now, and by no other.
///
/// # Panics
/// If the store does not conform.
pub async fn finds_records_by_stream(subject: &Subject) {
    let store = &*subject.store;
    let lease = join(store, "a").await;
    let on = |name: &str| Record {
        stream: stream(name),
        ..live()
    };
    assert_eq!(found(store, "s").await, None, "nothing was found");
    let first = create(store, session(7), lease, &on("s")).await;
    create(store, session(8), lease, &live()).await;
    assert_eq!(
        found(store, "s").await,
        Some(session(7)),
        "a stream was not found"
    );
    assert_eq!(found(store, "S").await, None, "names were confused");

    let second = ok(
        store.put(session(7), lease, Guard::Held(first), &on("t")).await,
        "naming another stream",
    );
    assert_eq!(found(store, "s").await, None, "a former stream was found");
    assert_eq!(
        found(store, "t").await,
        Some(session(7)),
        "a new stream was not found"
    );

    create(store, session(9), lease, &on("t")).await;
    assert_eq!(
        found(store, "t").await,
        Some(session(9)),
        "the session of the stream is not the newest"
    );
    ok(
        store.put(session(7), lease, Guard::Held(second), &live()).await,
        "naming no stream",
    );
    ok(store.remove(session(7), lease).await, "removing a record");
    assert_eq!(
        found(store, "t").await,
        Some(session(9)),
        "a former session took the stream with it"
    );
    ok(store.remove(session(9), lease).await, "removing a record");
    assert_eq!(found(store, "t").await, None, "a removed session was found");
}

/// Removing is final, and no error if there is nothing.
///
/// # Panics
/// If the store does not conform.
pub async fn removes_what_its_holder_removes(subject: &Subject) {
    let store = &*subject.store;
    let lease = join(store, "a").await;
    ok(store.remove(session(7), lease).await, "removing nothing");
    let version = create(store, session(7), lease, &live()).await;
    ok(store.remove(session(7), lease).await, "removing a record");
    assert_eq!(
        ok(store.get(session(7)).await, "reading"),
        None,
        "a record was not removed"
    );
    assert_eq!(ok(store.list().await, "listing"), [], "a record was not removed");
    let late = store.put(session(7), lease, Guard::Held(version), &live()).await;
    assert!(
        matches!(late, Err(StoreError::Missing { .. })),
        "a removed record was replaced: {late:?}"
    );
}

/// Many sessions write at once, one of them against a refusal, and none disturbs another.
///
/// # Panics
/// If the store does not conform.
pub async fn serves_many_at_once(subject: &Subject) {
    let store = &*subject.store;
    let lease = join(store, "a").await;
    create(store, session(1), lease, &live()).await;
    let ids: Vec<_> = (1..=200).map(session).collect();
    let writers = ids.iter().map(|id| async move {
        let mut version = match store.put(*id, lease, Guard::Absent, &live()).await {
            Ok(version) => version,
            Err(StoreError::Exists { .. }) if *id == session(1) => return,
            Err(other) => panic!("creating session {id} failed: {other}"),
        };
        for round in 0..3_u8 {
            let record = with_body(&[round]);
            version = ok(
                store.put(*id, lease, Guard::Held(version), &record).await,
                "replacing a record",
            );
        }
    });
    join_all(writers).await;
    let list = ok(store.list().await, "listing");
    assert_eq!(list.len(), ids.len(), "sessions are missing");
    for stored in &list[1..] {
        assert_eq!(
            decode(stored),
            with_body(&[2]),
            "a session is not as it was written last"
        );
    }
}

fn session(number: u32) -> SessionId {
    SessionId::new(number).expect("the number of a session is not zero")
}

fn stream(name: &str) -> Option<Stream> {
    Some(Stream {
        name: name.to_owned(),
        secret_hash: [9; 32],
        opener: "ann".to_owned(),
    })
}

fn live() -> Record {
    Record {
        owner: "ann".to_owned(),
        client_version: 30,
        stream: None,
        state: State::Live,
        active: None,
        body: Bytes::new(),
    }
}

fn with_body(body: &[u8]) -> Record {
    Record {
        body: Bytes::copy_from_slice(body),
        ..live()
    }
}

async fn join(store: &dyn SessionStore, node: &str) -> Lease {
    ok(store.join(node).await, "beginning a life")
}

async fn create(store: &dyn SessionStore, id: SessionId, lease: Lease, record: &Record) -> Version {
    ok(
        store.put(id, lease, Guard::Absent, record).await,
        "creating a record",
    )
}

async fn get(store: &dyn SessionStore, id: SessionId) -> Stored {
    ok(store.get(id).await, "reading").unwrap_or_else(|| panic!("session {id} is not stored"))
}

async fn found(store: &dyn SessionStore, name: &str) -> Option<SessionId> {
    ok(store.find(name).await, "looking for a stream").map(|stored| stored.id)
}

fn decode(stored: &Stored) -> Record {
    ok(stored.decode(), "decoding")
}

fn ok<T>(outcome: Result<T, StoreError>, what: &str) -> T {
    outcome.unwrap_or_else(|error| panic!("{what} failed: {error}"))
}
