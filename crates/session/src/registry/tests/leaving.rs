use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;

#[tokio::test(start_paused = true)]
async fn when_memory_is_short_parked_sessions_give_up_caches_first_and_then_everything_but_the_descriptor() {
    let store = Arc::new(MemoryStore::new(crate::store::Clock::system()));
    let registry = stored_registry(&store).await;
    let mut parked = Vec::new();
    for _ in 0..3 {
        let link = link("a");
        let registered = register(&registry, 0, &link).await;
        registered.session.held.store(100, Ordering::SeqCst);
        registry.unlink(registered.id, link.id(), LinkEnd::Lost);
        parked.push(registered);
        tokio::time::advance(Duration::from_millis(2)).await;
    }
    let live = register(&registry, 0, &link("a")).await;
    live.session.held.store(1000, Ordering::SeqCst);

    assert_eq!(registry.make_room(260).await, 250);
    let relieved: Vec<_> = parked
        .iter()
        .map(|p| p.session.relieved.load(Ordering::SeqCst))
        .collect();
    assert_eq!(relieved, [true, false, false], "the oldest gives up its caches");
    assert_eq!(registry.make_room(60).await, 50);
    assert!(parked[0].session.ended() && parked[1].session.ended() && !parked[2].session.ended());
    assert!(!live.session.ended(), "who is connected keeps what it has");

    let back = register(&registry, parked[0].id.number(), &link("a")).await;
    assert_eq!(back.arrival, Arrival::Cold);
    assert_eq!(back.session.built_from.as_deref(), Some(&b"as it was"[..]));
}

#[tokio::test]
async fn without_a_store_the_oldest_parked_sessions_end_when_memory_is_short() {
    let registry = registry();
    let link = link("a");
    let registered = register(&registry, 0, &link).await;
    registered.session.held.store(100, Ordering::SeqCst);
    registry.unlink(registered.id, link.id(), LinkEnd::Lost);
    assert_eq!(registry.make_room(10).await, 0);
    assert!(registered.session.ended());
    assert_eq!(registry.state(registered.id), None);
}

#[tokio::test]
async fn stopping_stores_all_and_the_next_life_has_them() {
    let store = Arc::new(MemoryStore::new(crate::store::Clock::system()));
    let registry = stored_registry(&store).await;
    let (live, lost, closed) = (link("a"), link("a"), link("a"));
    let first = register(&registry, 0, &live).await;
    let second = register(&registry, 0, &lost).await;
    let third = register(&registry, 0, &closed).await;
    registry.unlink(second.id, lost.id(), LinkEnd::Lost);
    registry.unlink(third.id, closed.id(), LinkEnd::Closed);
    registry.stop().await;
    assert!(first.session.ended() && second.session.ended() && third.session.ended());
    assert_eq!(live.closing().await, CloseReason::Stopping);
    let refused = registry
        .register(0, &live, live.principal(), |_| Probe::default())
        .await;
    assert!(matches!(refused, Err(SessionError::Stopping)));

    let registry = stored_registry(&store).await;
    for (id, arrival) in [
        (first.id, Arrival::Cold),
        (second.id, Arrival::Cold),
        (third.id, Arrival::Adopted),
    ] {
        assert_eq!(
            register(&registry, id.number(), &link("a")).await.arrival,
            arrival
        );
    }
    let foreign = stored_registry(&store).await;
    assert_eq!(
        register(&foreign, first.id.number(), &link("b")).await.arrival,
        Arrival::New
    );
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_leaves_the_link_alone_that_serves_another_by_then() {
    let store = Arc::new(MemoryStore::new(crate::store::Clock::system()));
    for keeps in [false, true] {
        let registry = match keeps {
            true => stored_registry(&store).await,
            false => registry(),
        };
        let link = link("a");
        let first = register(&registry, 0, &link).await.id;
        registry.unlink(first, link.id(), LinkEnd::Closed);
        let second = register(&registry, 0, &link).await.id;
        registry.unlink(second, link.id(), LinkEnd::Lost);
        let third = register(&registry, 0, &link).await;
        registry.unlink(third.id, link.id(), LinkEnd::Lost);
        third.session.held.store(100, Ordering::SeqCst);
        let serving = register(&registry, 0, &link).await.id;

        tokio::time::advance(RETENTION.leaving).await;
        registry.expire();
        assert_eq!(registry.state(first), None);
        assert!(registry.end(second));
        registry.make_room(0).await;
        assert!(third.session.ended());
        assert_eq!(link.closing().now_or_never(), None);
        assert!(registry.heard(serving, link.id()));
        assert_eq!(registry.live(), 1);
        registry.stop().await;
        assert_eq!(link.closing().await, CloseReason::Stopping);
    }
}

#[tokio::test]
async fn a_session_that_is_ended_leaves_nothing_behind() {
    let store = Arc::new(MemoryStore::new(crate::store::Clock::system()));
    let registry = stored_registry(&store).await;
    let link = link("somebody");
    let registered = register(&registry, 0, &link).await;
    registered.session.suspend().await;
    assert!(registry.end(registered.id));
    assert!(registered.session.ended());
    assert_eq!(link.closing().await, CloseReason::Ended);
    assert_eq!(registry.state(registered.id), None);
    assert!(!registry.end(registered.id));
    assert!(!registry.unlink(registered.id, link.id(), LinkEnd::Lost));
    registry.stop().await;
    assert!(stored_registry(&store).await.all().is_empty());
}

#[tokio::test]
async fn a_session_that_begins_when_another_of_its_identity_ends_is_stored() {
    let store = Arc::new(MemoryStore::new(crate::store::Clock::system()));
    for expires in [true, false] {
        let registry = Arc::new(stored_registry(&store).await);
        let old = link("a");
        let first = register(&registry, 7, &old).await;
        let again = Arc::clone(&registry);
        // In the middle of the end, as another thread might do it.
        let begin = move || {
            let new = link("a");
            let registered = register(&again, 7, &new).now_or_never().unwrap();
            assert_eq!(registered.arrival, Arrival::Adopted);
        };
        *first.session.at_end.lock().unwrap() = Some(Box::new(begin));
        if expires {
            registry.unlink(first.id, old.id(), LinkEnd::Closed);
            tokio::time::pause();
            tokio::time::advance(RETENTION.leaving).await;
            registry.expire();
            tokio::time::resume();
        } else {
            assert!(registry.end(first.id));
        }
        registry.stop().await;
        assert_eq!(
            body(&stored_registry(&store).await, first.id).await.as_deref(),
            Some(&b"as it was"[..])
        );
    }
}

#[tokio::test]
async fn a_session_that_is_being_stored_is_waited_for_by_its_client_and_when_the_server_stops() {
    let store = Arc::new(MemoryStore::new(crate::store::Clock::system()));
    for stops in [true, false] {
        let registry = Arc::new(stored_registry(&store).await);
        let link = link("a");
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let make = |start: Start| Probe {
            journal: Some(start.journal),
            storing: Some(Arc::clone(&gate)),
            ..Probe::default()
        };
        let made = registry.register(0, &link, link.principal(), make).await.unwrap();
        made.session.held.store(100, Ordering::SeqCst);
        registry.silent(made.id, link.id());
        let storing = tokio::spawn({
            let registry = Arc::clone(&registry);
            async move { registry.make_room(0).await }
        });
        // Whoever is heard again in the meantime is told at once to come back as another link, and not for good.
        assert_eq!(link.closing().await, CloseReason::PutAway);
        assert_eq!(link.closing().await.code(), 1013);
        assert!(!registry.heard(made.id, link.id()));
        let waiting = tokio::spawn({
            let registry = Arc::clone(&registry);
            async move {
                match stops {
                    true => registry.stop().await,
                    false => {
                        let back = register(&registry, made.id.number(), &super::link("a")).await;
                        assert_eq!(back.session.built_from.as_deref(), Some(&b"as it was"[..]));
                    }
                }
            }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        gate.add_permits(1);
        waiting.await.unwrap();
        storing.await.unwrap();
        registry.stop().await;
        let stored = body(&stored_registry(&store).await, made.id).await;
        assert_eq!(stored.as_deref(), Some(&b"as it was"[..]));
    }
}
