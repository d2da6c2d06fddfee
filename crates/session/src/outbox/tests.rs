use super::*;

impl Weigh for &'static str {
    fn bytes(&self) -> usize {
        self.len()
    }
}

fn always() -> bool {
    true
}

async fn take_all(outbox: &Outbox<u8, &'static str>) -> Vec<&'static str> {
    outbox.shared.state.lock().unwrap().closed = true;
    let mut all = Vec::new();
    let receiver = outbox.receiver();
    while let Some(message) = receiver.next().await {
        all.push(message);
    }
    all
}

#[tokio::test]
async fn messages_that_matter_come_out_in_order() {
    let outbox = Outbox::new(100);
    outbox.send(1, "a", always).await.unwrap();
    outbox.reply("b");
    outbox.send(1, "c", always).await.unwrap();
    assert_eq!(take_all(&outbox).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn the_newest_takes_the_place_of_an_older_one_with_its_key() {
    let outbox = Outbox::new(100);
    outbox.send_newest(1, "old", always).await.unwrap();
    outbox.send_newest(2, "other", always).await.unwrap();
    outbox.send_newest(1, "newer", always).await.unwrap();
    assert_eq!(outbox.waiting_bytes(), 10);
    assert_eq!(take_all(&outbox).await, ["newer", "other"]);
}

#[tokio::test]
async fn a_full_outbox_lets_producers_wait_but_takes_replies_and_newer_ones() {
    let outbox = Outbox::new(4);
    outbox.send_newest(1, "12345", always).await.unwrap();
    let blocked = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.send(2, "blocked", always).await }
    });
    outbox.reply("reply");
    outbox.send_newest(1, "54321", always).await.unwrap();
    tokio::task::yield_now().await;
    assert!(!blocked.is_finished());
    let receiver = outbox.receiver();
    assert_eq!(receiver.next().await, Some("54321"));
    assert_eq!(receiver.next().await, Some("reply"));
    blocked.await.unwrap().unwrap();
    assert_eq!(receiver.next().await, Some("blocked"));
    assert_eq!(outbox.waiting_bytes(), 0);
}

#[tokio::test]
async fn what_is_retracted_or_refused_is_never_taken() {
    let outbox = Outbox::new(100);
    outbox.send(1, "stale", always).await.unwrap();
    outbox.send(2, "good", always).await.unwrap();
    outbox.retract(|&key| key == 1);
    outbox.send(1, "late", || false).await.unwrap();
    assert_eq!(take_all(&outbox).await, ["good"]);
}

#[tokio::test]
async fn a_producer_that_waits_is_refused_when_its_wish_grew_stale_meanwhile() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let outbox = Outbox::new(1);
    let fresh = Arc::new(AtomicBool::new(true));
    outbox.reply("full");
    let waiting = tokio::spawn({
        let (outbox, fresh) = (outbox.clone(), Arc::clone(&fresh));
        async move { outbox.send(1, "stale", || fresh.load(Ordering::SeqCst)).await }
    });
    tokio::task::yield_now().await;
    fresh.store(false, Ordering::SeqCst);
    assert_eq!(outbox.receiver().next().await, Some("full"));
    waiting.await.unwrap().unwrap();
    assert_eq!(outbox.waiting_bytes(), 0);
}

#[tokio::test]
async fn a_newer_receiver_gets_everything_from_then_on() {
    let outbox: Outbox<u8, &'static str> = Outbox::new(100);
    let (first, old) = (outbox.receiver(), outbox.receiver());
    assert_eq!(first.next().await, None);
    let waiting = tokio::spawn(async move { old.next().await });
    tokio::task::yield_now().await;
    let new = outbox.receiver();
    outbox.reply("for the new one");
    assert_eq!(new.next().await, Some("for the new one"));
    assert_eq!(waiting.await.unwrap(), None);
}

#[tokio::test]
async fn a_client_that_is_gone_costs_neither_memory_nor_time() {
    let outbox = Outbox::new(1);
    outbox.reply("lost");
    outbox.discard();
    outbox.send(1, "lost as well", always).await.unwrap();
    outbox.send(2, "and this", always).await.unwrap();
    outbox.reply("and that");
    assert_eq!(outbox.waiting_bytes(), 0);
    let receiver = outbox.receiver();
    outbox.reply("for the new client");
    assert_eq!(receiver.next().await, Some("for the new client"));
}

#[tokio::test]
async fn what_was_begun_for_a_client_that_is_gone_is_not_for_the_next() {
    let outbox: Outbox<u8, &'static str> = Outbox::new(100);
    let first = outbox.audience();
    let receiver = outbox.receiver();
    assert_eq!(outbox.audience(), first, "it is the first one");
    outbox.discard();
    let nobody = outbox.audience();
    assert_ne!(nobody, first);
    let next = outbox.receiver();
    assert!(outbox.audience() != first && outbox.audience() != nobody);
    outbox.reply_to(first, "to what nobody remembers to have asked");
    outbox.reply_to(outbox.audience(), "to the next");
    assert_eq!(next.next().await, Some("to the next"));
    drop(receiver);
}

/// Counts how often it was taken.
struct Counted(Arc<AtomicU64>);

impl Weigh for Counted {
    fn bytes(&self) -> usize {
        1
    }

    fn taken(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_message_knows_whether_a_link_has_taken_it() {
    let outbox: Outbox<u8, Counted> = Outbox::new(1);
    let taken = Arc::new(AtomicU64::new(0));
    let receiver = outbox.receiver();
    for key in 0..3 {
        outbox.put_now(key, Counted(Arc::clone(&taken)));
    }
    receiver.next().await.unwrap();
    outbox.retract(|key| *key == 1);
    outbox.discard();
    assert_eq!(taken.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn closing_frees_everything_and_wakes_everybody() {
    let outbox: Outbox<u8, &'static str> = Outbox::new(1);
    let reader = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.receiver().next().await }
    });
    tokio::task::yield_now().await;
    outbox.close();
    assert_eq!(reader.await.unwrap(), None);
    assert!(matches!(
        outbox.send(1, "late", always).await,
        Err(SessionError::Ended)
    ));
    outbox.reply("late");
    assert_eq!(outbox.waiting_bytes(), 0);
}

proptest::proptest! {
    #[test]
    fn the_count_of_bytes_is_that_of_the_messages(steps in proptest::collection::vec((0u8..5, 0u8..3), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let words = ["", "a", "bb", "ccc", "dddd"];
            let outbox = Outbox::new(1 << 20);
            for (what, key) in steps {
                match what {
                    0 => outbox.reply(words[key as usize + 1]),
                    1 => outbox.send(key, words[key as usize + 2], always).await.unwrap(),
                    2 => outbox.send_newest(key, words[key as usize], always).await.unwrap(),
                    3 => outbox.retract(|&k| k == key),
                    _ => {
                        if outbox.waiting_bytes() > 0 {
                            outbox.receiver().next().await;
                        }
                    }
                }
                let state = outbox.shared.state.lock().unwrap();
                assert_eq!(state.bytes, state.queue.iter().map(|p| p.message.len()).sum::<usize>());
            }
        });
    }
}
