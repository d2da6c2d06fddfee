//! Both stores do what every store must do.

use std::sync::Arc;

use chartroom_session::store::conformance::{self, Subject};
use chartroom_session::store::{EmbeddedStore, MemoryStore, SessionStore};
use futures_util::FutureExt;

use super::support::{Hand, Weak};

fn subject(store: Arc<dyn SessionStore>, hand: Hand) -> Subject {
    Subject {
        store,
        pass_time: Box::new(move |by| {
            hand.advance(by);
            std::future::ready(()).boxed()
        }),
    }
}

#[tokio::test]
async fn the_store_in_memory_conforms() {
    conformance::all(|| {
        let hand = Hand::default();
        subject(Arc::new(MemoryStore::new(hand.clock())), hand)
    })
    .await;
}

#[tokio::test]
async fn the_embedded_store_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let number = std::cell::Cell::new(0);
    conformance::all(|| {
        number.set(number.get() + 1);
        let hand = Hand::default();
        let store = EmbeddedStore::open(&folder.path().join(number.get().to_string()), hand.clock()).unwrap();
        subject(Arc::new(store), hand)
    })
    .await;
}

#[tokio::test]
async fn a_store_that_lets_others_run_between_conforms() {
    conformance::all(|| {
        let hand = Hand::default();
        subject(Weak::new(hand.clock()), hand)
    })
    .await;
}
