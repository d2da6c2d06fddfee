//! Messages over the transport, plain or resumable, against axum's WebSocket alone: each sent to a server in a process of
//! its own, which sends it back.

pub(crate) mod echo;
mod peer;

use std::time::Duration;

use bytes::Bytes;

use self::peer::{Peer, Way};
use crate::measure::median;
use crate::process::Aside;
use crate::report::{Amount, Demand, Row};
use crate::{BenchError, Rows};

/// The argument with which this program is the echo server.
pub(crate) const SERVE: &str = "--echo-server";

/// How often each way is measured; the ways take turns, so that a busy moment of the machine meets all of them.
const ROUNDS: usize = 15;
const DEMANDED: f64 = 0.85;

/// One measurement of all ways.
struct Task {
    name: &'static str,
    /// Bytes of a message.
    size: usize,
    /// Messages of one round.
    count: usize,
    /// Messages that are under way at once.
    window: usize,
}

const TASKS: [Task; 4] = [
    Task {
        name: "message of 64 B, there and back, one at a time",
        size: 64,
        count: 3000,
        window: 1,
    },
    Task {
        name: "message of 64 B, there and back, 256 at a time",
        size: 64,
        count: 60_000,
        window: 256,
    },
    Task {
        name: "message of 64 KiB, there and back, one at a time",
        size: 64 << 10,
        count: 1000,
        window: 1,
    },
    Task {
        name: "message of 64 KiB, there and back, 16 at a time",
        size: 64 << 10,
        count: 2000,
        window: 16,
    },
];

pub(crate) async fn measure() -> Rows {
    let server = Aside::start(SERVE).await?;
    let mut rows = Vec::new();
    for task in &TASKS {
        let [bare, plain, stream] = measure_task(&server, task).await?;
        let row = |way: &str, found: &Found| Row {
            name: format!("{}, {way}", task.name),
            ours: found.time.into(),
            reference: Some(("bare WebSocket", bare.time.into())),
            demand: Demand::AtLeast(DEMANDED),
            cpp: None,
        };
        rows.push(row("plain", &plain));
        rows.push(row("resumable", &stream));
        if task.window == 1 || task.size < 1 << 10 {
            continue;
        }
        if let (Some(ours), Some(reference)) = (stream.cpu, bare.cpu) {
            rows.push(Row {
                name: "processor time of the server for an acknowledged MiB in and out".to_owned(),
                ours: ours.into(),
                reference: Some(("bare WebSocket", reference.into())),
                demand: Demand::Shown,
                cpp: None,
            });
        }
        rows.push(Row {
            name: "bytes of control messages for an acknowledged MiB in and out".to_owned(),
            ours: Amount::Bytes(stream.overhead),
            reference: None,
            demand: Demand::Shown,
            cpp: None,
        });
    }
    Ok(rows)
}

/// What came out for one way.
struct Found {
    /// Of one message.
    time: Duration,
    /// Of the server, for a mebibyte each way.
    cpu: Option<Duration>,
    /// Bytes of control messages for a mebibyte each way.
    overhead: f64,
}

async fn measure_task(server: &Aside, task: &Task) -> Result<[Found; 3], BenchError> {
    let message = Bytes::from(vec![7; task.size]);
    let mut peers = Vec::new();
    for way in Way::ALL {
        let mut peer = Peer::connect(&server.address, way).await?;
        peer.exchange(&message, task.count / 4, task.window).await?;
        peers.push((peer, Vec::new(), Vec::new()));
    }
    let before: Vec<usize> = peers.iter().map(|(peer, ..)| peer.overhead()).collect();
    for _ in 0..ROUNDS {
        for (peer, times, cpu) in &mut peers {
            let start = server.cpu_time();
            times.push(peer.exchange(&message, task.count, task.window).await?);
            if let (Some(start), Some(end)) = (start, server.cpu_time()) {
                cpu.push(end.saturating_sub(start));
            }
        }
    }
    let mebibytes = (task.size * task.count) as f64 / f64::from(1 << 20);
    let mut found = peers
        .into_iter()
        .zip(before)
        .map(|((peer, times, cpu), before)| Found {
            time: median(times) / task.count as u32,
            cpu: (!cpu.is_empty()).then(|| median(cpu).div_f64(mebibytes)),
            overhead: (peer.overhead() - before) as f64 / (mebibytes * ROUNDS as f64),
        });
    let missing = || BenchError::Answer("a way was not measured".to_owned());
    let mut one = || found.next().ok_or_else(missing);
    Ok([one()?, one()?, one()?])
}
