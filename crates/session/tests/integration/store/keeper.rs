//! What a server has of its keeper. Time is that of the test: pauses pass when nothing else is to be done.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use chartroom_session::Journal;
use chartroom_session::store::{
    Guard, Keeper, Lease, Recovered, SessionStore, State, StoreError, StoreJournal, Stored, Stream,
};

use super::support::{Hand, Weak, principal, record, session};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);
const HASH: [u8; 32] = [3; 32];

fn stream(name: &str) -> Option<Stream> {
    Some(Stream {
        name: name.into(),
        secret_hash: HASH,
        opener: "ann".into(),
    })
}

async fn keeper(store: &Arc<Weak>, node: &str) -> (Keeper, Vec<Recovered>) {
    Keeper::open(Arc::clone(store) as Arc<dyn SessionStore>, node, HOUR)
        .await
        .unwrap()
}

fn journal(keeper: &Keeper, number: u32) -> Arc<StoreJournal> {
    keeper.journal(session(number), &principal("ann"))
}

async fn stored(store: &Weak, number: u32) -> Option<Stored> {
    store.inner.get(session(number)).await.unwrap()
}

async fn body(store: &Weak, number: u32) -> Bytes {
    stored(store, number).await.unwrap().decode().unwrap().body
}

/// The node is gone without a word, as after `kill -9`.
fn kill(keeper: Keeper) {
    drop(keeper);
}

#[tokio::test(start_paused = true)]
async fn a_session_comes_back_with_what_its_journal_was_told() {
    let hand = Hand::default();
    let store = Weak::new(hand.clock());
    let (first, recovered) = keeper(&store, "a").await;
    assert_eq!(recovered, []);
    let session7 = journal(&first, 7);
    session7.bind(stream("s"), 30);
    session7.write("state".into(), 12);
    session7.flush().await;
    assert_eq!(*session7.stored().borrow(), 12);
    kill(first);

    let (second, recovered) = keeper(&store, "a").await;
    let [
        Recovered {
            id,
            record,
            remaining,
        },
    ] = &recovered[..]
    else {
        panic!("{recovered:?}");
    };
    assert_eq!((*id, *remaining), (session(7), HOUR));
    assert_eq!(record.owner, "ann");
    assert_eq!(record.client_version, 30);
    assert_eq!(record.body, "state");
    let stream = record.stream.clone().unwrap();
    assert_eq!((stream.name.as_str(), stream.secret_hash), ("s", HASH));
    let found = second.find_stream("s").await.unwrap();
    assert_eq!(found, Some((session(7), record.clone())));

    // Its journal goes on: what it is not told stays as it was.
    journal(&second, 7).unpark();
    journal(&second, 7).flush().await;
    let record = stored(&store, 7).await.unwrap().decode().unwrap();
    assert_eq!((record.state, record.body), (State::Live, "state".into()));
}

#[tokio::test(start_paused = true)]
async fn retention_counts_from_the_last_sign_of_life_of_the_node() {
    let hand = Hand::default();
    let store = Weak::new(hand.clock());
    let (first, _) = keeper(&store, "a").await;
    journal(&first, 7).write("live".into(), 1);
    journal(&first, 8).write("parked".into(), 1);
    journal(&first, 8).park(20 * MINUTE);
    journal(&first, 7).flush().await;
    journal(&first, 8).flush().await;
    // The heartbeat comes every ten seconds, at the end of the minute as well.
    hand.advance(MINUTE);
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::task::yield_now().await;
    kill(first);

    hand.advance(10 * MINUTE);
    let (second, recovered) = keeper(&store, "a").await;
    let remaining: Vec<_> = recovered
        .iter()
        .map(|session| (session.id, session.remaining))
        .collect();
    assert_eq!(remaining, [(session(7), 50 * MINUTE), (session(8), 9 * MINUTE)]);
    kill(second);

    // They were not in use in the second life, so it adds nothing.
    hand.advance(49 * MINUTE);
    let (third, recovered) = keeper(&store, "a").await;
    let remaining: Vec<_> = recovered
        .iter()
        .map(|session| (session.id, session.remaining))
        .collect();
    assert_eq!(remaining, [(session(7), MINUTE)]);
    kill(third);

    hand.advance(MINUTE);
    let (fourth, recovered) = keeper(&store, "a").await;
    assert_eq!(recovered, []);
    assert_eq!(
        store.inner.lives().await.unwrap().len(),
        1,
        "former lives are forgotten"
    );
    assert!(!fourth.is_taken(session(7)).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn sessions_whose_time_was_over_while_the_node_was_down_are_gone() {
    let hand = Hand::default();
    let store = Weak::new(hand.clock());
    let (first, _) = keeper(&store, "a").await;
    journal(&first, 7).write("live".into(), 1);
    journal(&first, 7).flush().await;
    kill(first);
    hand.advance(HOUR);
    let (second, recovered) = keeper(&store, "a").await;
    assert_eq!(recovered, []);
    assert_eq!(second.load(session(7)).await.unwrap(), None);
    assert_eq!(stored(&store, 7).await, None);
}

#[tokio::test(start_paused = true)]
async fn the_newest_descriptor_wins_and_one_write_is_under_way_at_a_time() {
    let store = Weak::new(Hand::default().clock());
    let (keeper, _) = keeper(&store, "a").await;
    let session7 = journal(&keeper, 7);
    session7.write("0".into(), 0);
    session7.flush().await;
    let before = store.writes.load(Ordering::SeqCst);
    for number in 1..=100_u64 {
        session7.write(number.to_string().into(), number);
    }
    let mut durable = session7.stored();
    assert!(*durable.borrow() < 100, "nothing is durable before it is written");
    durable.wait_for(|handled| *handled == 100).await.unwrap();
    assert_eq!(body(&store, 7).await, "100");
    assert!(store.writes.load(Ordering::SeqCst) - before <= 2);

    // The same descriptor again needs no write, but counts.
    let before = store.writes.load(Ordering::SeqCst);
    session7.write("100".into(), 101);
    assert_eq!(*session7.stored().borrow(), 101);
    session7.flush().await;
    assert_eq!(store.writes.load(Ordering::SeqCst), before);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_called_stored_until_a_failing_store_works_again() {
    let store = Weak::new(Hand::default().clock());
    let (keeper, _) = keeper(&store, "a").await;
    let session7 = journal(&keeper, 7);
    store.fail_before.store(30, Ordering::SeqCst);
    session7.write("state".into(), 5);
    session7.flush().await;
    assert_eq!(
        *session7.stored().borrow(),
        0,
        "it could not be stored, and nobody waits for ever"
    );
    session7.write("newer".into(), 6);
    let mut durable = session7.stored();
    durable.wait_for(|handled| *handled == 6).await.unwrap();
    assert_eq!(body(&store, 7).await, "newer");
    assert_eq!(store.writes.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_recognised() {
    let store = Weak::new(Hand::default().clock());
    let (keeper, _) = keeper(&store, "a").await;
    let session7 = journal(&keeper, 7);
    for (number, lost) in [(1_u64, 1), (2, 1), (3, 3)] {
        store.fail_after.store(lost, Ordering::SeqCst);
        session7.write(number.to_string().into(), number);
        session7
            .stored()
            .wait_for(|handled| *handled == number)
            .await
            .unwrap();
        assert_eq!(body(&store, 7).await, number.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_kept_when_a_client_last_asked_for_something() {
    let hand = Hand::default();
    let store = Weak::new(hand.clock());
    let (first, _) = keeper(&store, "a").await;
    let begun = first.now();
    let active = async |keeper: &Keeper| keeper.load(session(7)).await.unwrap().unwrap().active;
    let session7 = journal(&first, 7);
    session7.write("state".into(), 0);
    for (pause, body, handled, expected) in [
        (MINUTE, "state", 1, 1),
        (MINUTE, "nothing was asked", 1, 1),
        (MINUTE, "nothing was asked", 2, 3),
    ] {
        hand.advance(pause);
        session7.write(body.into(), handled);
        assert_eq!(active(&first).await, Some(begun + expected * MINUTE));
    }
    hand.advance(MINUTE);
    session7.park(HOUR);
    session7.flush().await;
    kill(first);
    let (second, recovered) = keeper(&store, "a").await;
    assert_eq!(recovered[0].record.active, Some(begun + 3 * MINUTE));
    // The next session of this identity counts from nothing.
    let session7 = journal(&second, 7);
    session7.write("state".into(), 0);
    assert_eq!(active(&second).await, Some(begun + 3 * MINUTE));
}

#[tokio::test(start_paused = true)]
async fn what_was_forgotten_does_not_come_back() {
    let store = Weak::new(Hand::default().clock());
    let (keeper, _) = keeper(&store, "a").await;
    let late = journal(&keeper, 7);
    late.bind(stream("s"), 30);
    late.write("state".into(), 1);
    // While the first write is under way.
    tokio::task::yield_now().await;
    keeper.forget(session(7));
    late.write("late".into(), 2);
    late.park(HOUR);
    late.bind(stream("t"), 30);
    assert!(!keeper.is_taken(session(7)).await.unwrap());
    assert_eq!(keeper.load(session(7)).await.unwrap(), None);
    assert_eq!(keeper.find_stream("s").await.unwrap(), None);
    late.flush().await;
    late.write("later".into(), 3);
    late.flush().await;
    assert_eq!(stored(&store, 7).await, None);
    assert!(
        *late.stored().borrow() < 2,
        "only what came before may have been stored"
    );
}

#[tokio::test(start_paused = true)]
async fn an_identity_that_was_forgotten_can_be_used_again_at_once() {
    let store = Weak::new(Hand::default().clock());
    let (keeper, _) = keeper(&store, "a").await;
    let former = journal(&keeper, 7);
    former.write("former".into(), 9);
    former.flush().await;
    keeper.forget(session(7));
    let next = journal(&keeper, 7);
    former.write("former, late".into(), 10);
    next.write("next".into(), 1);
    next.flush().await;
    assert_eq!(body(&store, 7).await, "next");
    assert_eq!(*next.stored().borrow(), 1);
    assert_eq!(*former.stored().borrow(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_journal_of_another_owner_begins_anew() {
    let store = Weak::new(Hand::default().clock());
    let (keeper, _) = keeper(&store, "a").await;
    let of_ann = journal(&keeper, 7);
    of_ann.bind(stream("s"), 30);
    of_ann.write("of ann".into(), 1);
    of_ann.flush().await;
    let of_bob = keeper.journal(session(7), &principal("bob"));
    of_ann.write("late".into(), 2);
    of_bob.flush().await;
    let record = stored(&store, 7).await.unwrap().decode().unwrap();
    assert_eq!(record.owner, "bob");
    assert_eq!((record.stream, record.body), (None, Bytes::new()));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_another_node_adopts_is_lost_here() {
    let hand = Hand::default();
    let store = Weak::new(hand.clock());
    let (here, _) = keeper(&store, "a").await;
    let (there, recovered) = keeper(&store, "b").await;
    assert_eq!(recovered, [], "a node that is alive keeps its sessions");
    let session7 = journal(&here, 7);
    session7.write("state".into(), 1);
    session7.flush().await;
    assert!(there.is_taken(session(7)).await.unwrap());

    let adopted = there.adopt(session(7)).await.unwrap().unwrap();
    assert_eq!(adopted.record.body, "state");
    assert_eq!(adopted.remaining, HOUR);
    assert_eq!(there.adopt(session(8)).await.unwrap(), None);
    session7.write("late".into(), 2);
    session7.taken_over().await;
    session7.flush().await;
    assert_eq!(*session7.stored().borrow(), 1);
    assert_eq!(body(&store, 7).await, "state");

    // The user comes back to this node.
    let back = here.adopt(session(7)).await.unwrap().unwrap();
    assert_eq!(back.record.body, "state");
    let again = journal(&here, 7);
    again.write("again".into(), 1);
    again.flush().await;
    assert_eq!(body(&store, 7).await, "again");
}

#[tokio::test(start_paused = true)]
async fn sessions_of_a_dead_node_are_taken_over() {
    let hand = Hand::default();
    let store = Weak::new(hand.clock());
    let (dead, _) = keeper(&store, "a").await;
    let session7 = journal(&dead, 7);
    session7.write("state".into(), 1);
    session7.flush().await;
    // Silent, but not gone: it will wake up.
    hand.advance(2 * MINUTE);
    let (_next, recovered) = keeper(&store, "b").await;
    assert_eq!(recovered.len(), 1);
    assert_eq!(recovered[0].remaining, HOUR - 2 * MINUTE);
    session7.write("late".into(), 2);
    session7.taken_over().await;
    assert_eq!(body(&store, 7).await, "state");
    let new_here = journal(&dead, 8);
    new_here.write("late".into(), 1);
    new_here.taken_over().await;
    assert_eq!(stored(&store, 8).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_comes_back_in_the_last_moment_is_stored_again() {
    let hand = Hand::default();
    let store = Weak::new(hand.clock());
    let (keeper, _) = keeper(&store, "a").await;
    let session7 = journal(&keeper, 7);
    session7.write("state".into(), 1);
    session7.park(MINUTE);
    session7.flush().await;
    hand.advance(MINUTE);
    assert_eq!(stored(&store, 7).await, None);
    session7.unpark();
    session7.flush().await;
    assert_eq!(body(&store, 7).await, "state");
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_newer_release_is_kept_for_it() {
    let hand = Hand::default();
    let store = Weak::new(hand.clock());
    let (first, _) = keeper(&store, "a").await;
    journal(&first, 7).write("state".into(), 1);
    journal(&first, 7).flush().await;
    kill(first);

    store.from_the_future.store(true, Ordering::SeqCst);
    hand.advance(10 * MINUTE);
    let (older, recovered) = keeper(&store, "a").await;
    assert_eq!(recovered, []);
    assert!(older.is_taken(session(7)).await.unwrap());
    let error = older.load(session(7)).await.unwrap_err();
    assert!(matches!(error, StoreError::Record { .. }), "{error:?}");
    kill(older);

    store.from_the_future.store(false, Ordering::SeqCst);
    hand.advance(10 * MINUTE);
    let (_newer, recovered) = keeper(&store, "a").await;
    assert_eq!(recovered.len(), 1);
    assert_eq!(recovered[0].remaining, 40 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_life_is_kept_from_when_it_was_written() {
    let hand = Hand::default();
    let store = Weak::new(hand.clock());
    let lease: Lease = store.join("a").await.unwrap();
    store
        .put(session(7), lease, Guard::Absent, &record("state"))
        .await
        .unwrap();
    store.leave(lease).await.unwrap();
    hand.advance(MINUTE);
    let (_keeper, recovered) = keeper(&store, "b").await;
    assert_eq!(recovered[0].remaining, HOUR - MINUTE);
}

#[tokio::test(start_paused = true)]
async fn closing_stores_what_is_under_way_and_counts_as_a_sign_of_life() {
    let hand = Hand::default();
    let store = Weak::new(hand.clock());
    let (first, _) = keeper(&store, "a").await;
    hand.advance(30 * MINUTE);
    for number in 1..=50 {
        journal(&first, number).write("state".into(), 1);
    }
    first.close().await;
    kill(first);
    let (second, recovered) = keeper(&store, "a").await;
    assert_eq!(recovered.len(), 50);
    assert!(recovered.iter().all(|session| session.remaining == HOUR));

    for number in 1..=50 {
        second.forget(session(number));
    }
    second.close().await;
    assert_eq!(store.inner.list().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_did_nothing_is_not_stored() {
    let store = Weak::new(Hand::default().clock());
    let (keeper, _) = keeper(&store, "a").await;
    let session7 = journal(&keeper, 7);
    session7.unpark();
    session7.flush().await;
    assert_eq!(store.writes.load(Ordering::SeqCst), 0);
    keeper.forget(session(7));
    keeper.close().await;
    assert_eq!(store.inner.lives().await.unwrap(), []);
}
