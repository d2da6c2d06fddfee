//! A process that stores is killed again and again, at any moment. The test runs its own binary as that process.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use chartroom_session::store::{Clock, EmbeddedStore, Keeper, SessionStore};
use chartroom_session::{Journal, SessionId};

use super::support::{principal, session};

const FOLDER: &str = "CHARTROOM_CRASH_TEST_FOLDER";
const FIRST: &str = "CHARTROOM_CRASH_TEST_FIRST";
const KILLS: u64 = 15;
const SESSIONS: u32 = 24;
const HOUR: Duration = Duration::from_secs(3600);

/// A descriptor that tells its number and whether it is whole.
fn descriptor(id: SessionId, number: u64) -> Vec<u8> {
    let length = 16 + (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 51) as usize;
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(length, number as u8 ^ id.number() as u8);
    bytes
}

fn number_of(id: SessionId, bytes: &[u8]) -> u64 {
    let number = u64::from_le_bytes(*bytes.first_chunk().unwrap());
    assert!(
        bytes == descriptor(id, number),
        "the descriptor of session {id} is torn"
    );
    number
}

/// In the process that is killed: all sessions are written as fast as they can be. Elsewhere: nothing.
#[test]
fn the_process_that_is_killed() {
    let (Ok(folder), Ok(first)) = (std::env::var(FOLDER), std::env::var(FIRST)) else {
        return;
    };
    let first: u64 = first.parse().unwrap();
    let store = Arc::new(EmbeddedStore::open(Path::new(&folder), Clock::system()).unwrap());
    assert_eq!(store.set_aside(), None, "the store was unreadable");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (keeper, _) = Keeper::open(store, "here", HOUR).await.unwrap();
        let keeper = Arc::new(keeper);
        let writers: Vec<_> = (1..=SESSIONS)
            .map(|number| tokio::spawn(write_for_ever(Arc::clone(&keeper), session(number), first)))
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

async fn write_for_ever(keeper: Arc<Keeper>, id: SessionId, first: u64) {
    let owner = principal("ann");
    let mut journal = keeper.journal(id, &owner);
    journal.unpark();
    let mut handled = 0;
    for number in first.. {
        // Now and then a session ends, and another one of its identity begins.
        if number % 40 == u64::from(id.number()) {
            keeper.forget(id);
            journal.flush().await;
            say(&format!("gone {id} {number}"));
            journal = keeper.journal(id, &owner);
            handled = 0;
        }
        if number % 7 == 0 {
            journal.park(HOUR);
        } else {
            journal.unpark();
        }
        handled += 1;
        journal.write(descriptor(id, number).into(), handled);
        journal
            .stored()
            .wait_for(|stored| *stored == handled)
            .await
            .unwrap();
        say(&format!("durable {id} {number}"));
    }
}

/// Directly, because the test harness would keep what is printed.
fn say(line: &str) {
    // In one piece: other sessions speak as well.
    std::io::stdout()
        .lock()
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
}

/// What a process said of a session last.
#[derive(Debug, Clone, Copy)]
enum Said {
    Durable(u64),
    Gone(u64),
}

/// From when on a process may be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    Start,
    FirstWord,
    /// Every session was durable once, in this or an earlier process.
    Everybody,
}

/// Runs a process that writes, kills it `delay` after `since`, and notes what it said.
fn run_and_kill(
    folder: &Path,
    first: u64,
    delay: Duration,
    since: Since,
    said: &mut HashMap<SessionId, Said>,
) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store::crash::the_process_that_is_killed",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        // A line without an end was torn by the kill.
        while stdout.read_line(&mut line).is_ok() && line.ends_with('\n') {
            if sender.send(line.trim_end().to_owned()).is_err() {
                return;
            }
            line.clear();
        }
    });
    let mut note = |line: &str| {
        let mut words = line.split(' ');
        let (what, id, number) = (words.next()?, words.next()?, words.next()?);
        let id = id.parse().ok().and_then(SessionId::new)?;
        match (what, number.parse().ok()?) {
            ("durable", number) => said.insert(id, Said::Durable(number)),
            ("gone", number) => said.insert(id, Said::Gone(number)),
            _ => return None,
        };
        Some(since == Since::FirstWord || said.len() == SESSIONS as usize)
    };
    let mut end = (since == Since::Start).then(|| Instant::now() + delay);
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        let wait = end.unwrap_or(limit).saturating_duration_since(Instant::now());
        match lines.recv_timeout(wait) {
            Ok(line) => {
                let may_begin = note(&line) == Some(true);
                if may_begin && end.is_none() {
                    end = Some(Instant::now() + delay);
                }
            }
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => {
                let output = child.wait_with_output().unwrap();
                panic!(
                    "the process ended by itself: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
        }
    }
    assert!(end.is_some(), "the process did not say enough in a minute");
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
    // What it said before it was killed.
    for line in lines.try_iter() {
        note(&line);
    }
}

#[test]
fn whatever_was_called_durable_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut said = HashMap::new();
    for kill in 0..KILLS {
        let since = match kill {
            // While the store is being made or opened.
            0..4 => Since::Start,
            _ if kill == KILLS - 1 => Since::Everybody,
            _ => Since::FirstWord,
        };
        let delay = Duration::from_millis(if since == Since::Start {
            kill * 5
        } else {
            kill * 37 % 200
        });
        let first = (kill + 1) * 1_000_000;
        run_and_kill(folder.path(), first, delay, since, &mut said);

        let store = EmbeddedStore::open(folder.path(), Clock::system()).unwrap();
        assert_eq!(
            store.set_aside(),
            None,
            "the store was unreadable after kill {kill}"
        );
        let stored: HashMap<_, _> = runtime
            .block_on(store.list())
            .unwrap()
            .into_iter()
            .map(|stored| {
                let record = stored.decode().unwrap();
                (stored.id, number_of(stored.id, &record.body))
            })
            .collect();
        for (id, said) in &said {
            let number = stored.get(id).copied();
            match *said {
                // It may have ended since, without having said so.
                Said::Durable(durable) => {
                    let ended = (durable + 1) % 40 == u64::from(id.number());
                    assert!(
                        number.map_or(ended, |number| number >= durable),
                        "session {id} has state {number:?} after {durable} was called durable"
                    );
                }
                Said::Gone(gone) => assert!(
                    number.is_none_or(|number| number >= gone),
                    "session {id} came back with state {number:?} after it was called gone at {gone}"
                ),
            }
        }
    }
    assert_eq!(said.len(), SESSIONS as usize, "some sessions were never durable");
}
