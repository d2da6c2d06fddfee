//! How fast the embedded store is, and how large its file: `cargo run --release -p chartroom-session --example measure_store`.
//!
//! The file is made in the current folder, because temporary folders often are in memory.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chartroom_session::store::{
    Clock, EmbeddedStore, Guard, Keeper, Record, SessionStore, State, Stream, Version,
};
use chartroom_session::{Journal, Principal, SessionId};
use futures_util::future::join_all;

const SESSIONS: u32 = 10_000;
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let open = || Arc::new(EmbeddedStore::open(folder.path(), Clock::system()).unwrap());
    let store = open();
    let lease = store.join("writer").await.unwrap();

    println!("writers   puts/s   milliseconds until durable (median, 99th percentile)");
    for writers in [1_u32, 10, 100, 1000] {
        let rounds = (2000 / writers).clamp(5, 200);
        let begin = Instant::now();
        let times = join_all((1..=writers).map(|number| {
            let store = Arc::clone(&store);
            async move {
                let mut times = Vec::new();
                let mut guard = Guard::Absent;
                for _ in 0..rounds {
                    let begin = Instant::now();
                    let version: Version = store
                        .put(id(number), lease, guard, &record(number))
                        .await
                        .unwrap();
                    times.push(begin.elapsed());
                    guard = Guard::Held(version);
                }
                store.remove(id(number), lease).await.unwrap();
                times
            }
        }))
        .await;
        let rate = f64::from(writers * rounds) / begin.elapsed().as_secs_f64();
        let mut times = times.concat();
        times.sort();
        let milliseconds = |part: usize| times[times.len() * part / 100].as_secs_f64() * 1e3;
        println!(
            "{writers:7} {rate:8.0}   {:.2}, {:.2}",
            milliseconds(50),
            milliseconds(99)
        );
    }

    let begin = Instant::now();
    join_all((1..=SESSIONS).map(|number| {
        let store = Arc::clone(&store);
        async move {
            store
                .put(id(number), lease, Guard::Absent, &record(number))
                .await
                .unwrap()
        }
    }))
    .await;
    println!(
        "{SESSIONS} sessions of {} bytes stored in {:.0?}",
        record(1).encode().len(),
        begin.elapsed()
    );
    drop(store);
    let length = std::fs::metadata(folder.path().join("sessions.redb"))
        .unwrap()
        .len();
    println!("{} bytes of file for each", length / u64::from(SESSIONS));

    let begin = Instant::now();
    let store = open();
    println!("opened and checked in {:.0?}", begin.elapsed());
    let begin = Instant::now();
    let (keeper, recovered) = Keeper::open(store, "writer", HOUR).await.unwrap();
    println!(
        "{} sessions recovered in {:.0?}",
        recovered.len(),
        begin.elapsed()
    );

    let begin = Instant::now();
    let owner = Principal("ann".into());
    let journals: Vec<_> = (1..=1000)
        .map(|number| keeper.journal(id(number), &owner))
        .collect();
    for journal in &journals {
        journal.unpark();
        journal.write(Bytes::from_static(b"changed"), 1);
    }
    join_all(journals.iter().map(|journal| journal.flush())).await;
    println!(
        "1000 sessions came back and were stored in {:.0?}",
        begin.elapsed()
    );
}

fn id(number: u32) -> SessionId {
    SessionId::new(number).unwrap()
}

/// A session with a few images and regions.
fn record(number: u32) -> Record {
    Record {
        owner: "ann@example.org".to_owned(),
        client_version: 30,
        stream: Some(Stream {
            name: format!("{number:016x}"),
            secret_hash: [7; 32],
            opener: "ann@example.org".to_owned(),
        }),
        state: State::Live,
        active: None,
        body: Bytes::from(vec![0x5A; 1500]),
    }
}
