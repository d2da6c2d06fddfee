//! The RPC runtime: requests and replies against a bare WebSocket that sends the same frames without reading any,
//! subscriptions, memory, and the cost of the envelope.

mod page;
pub(crate) mod serve;

use std::hint::black_box;
use std::time::{Duration, Instant};

use futures_util::stream::{self, FuturesUnordered, StreamExt, TryStreamExt};

use tokio::task::JoinSet;

use self::page::Page;
use crate::measure::{median, percentile, time};
use crate::process::{Aside, cores};
use crate::report::{Amount, Demand, Row};
use crate::{BenchError, Rows};

/// The argument with which this program is the server.
pub(crate) const SERVE: &str = "--rpc-server";

/// How often each way is measured; the ways take turns, so that a busy moment of the machine meets both of them.
const ROUNDS: usize = 9;
/// Requests of one round.
const REQUESTS: usize = 10_000;
const DEMANDED: f64 = 0.5;
/// Rounds after which all that is remembered of finished requests has reached its bounds; rounds after which memory is
/// looked at once more, and by how much it may have grown in these.
const FILLING: usize = 240;
const MORE: usize = 60;
const FLAT: f64 = 1.02;

/// A request as the browser's client sends it, but for the number in its id and the generation at its end.
const REQUEST_HEAD: &str = r#"{"v":"0.1","type":"request","id":"019a8f3e-7c1d-7a2b-8c3d-"#;
const REQUEST_TAIL: &str = r#"","ts":81234,"lane":"cap:bench@1","seq":17,"route":{"capability":"bench@1"},"path":"echo","op":"call","args":["look"],"payload":{"x":1.25,"y":-3.5,"name":"disk.fits"},"budgetMs":3000,"origin":{"modId":"bench","modVersion":"1.0.0"},"gen":"#;

/// What the runtime answers, but for ids.
const ACK: &str = r#"{"v":"0.1","id":"019a8f3e-7c1d-7a2b-8c3d-000000000001","type":"ack","correlatesTo":"019a8f3e-7c1d-7a2b-8c3d-000000000001","gen":{"num":1,"salt":"00000000"},"lane":"sys","budgetMs":250,"route":{"capability":"bench@1"},"payload":{}}"#;
const REPLY: &str = r#"{"v":"0.1","id":"019a8f3e-7c1d-7a2b-8c3d-000000000002","type":"reply","correlatesTo":"019a8f3e-7c1d-7a2b-8c3d-000000000001","gen":{"num":1,"salt":"00000000"},"lane":"cap:bench@1","budgetMs":3000,"route":{"capability":"bench@1"},"payload":{"x":1.25,"y":-3.5,"name":"disk.fits"}}"#;

/// What the Python server that the wire comes from takes for a round trip with 100 connections, and the 99th percentile:
/// as it is shipped, on a machine with two cores. Kept for orientation.
const PYTHON_ROUND_TRIP: Duration = Duration::from_nanos(1_000_000_000 / 4100);
const PYTHON_TAIL: Duration = Duration::from_millis(29);
/// How many times better than that.
const BETTER: f64 = 10.0;

/// Pages with subscriptions, and how often they get updates.
const SUBSCRIPTIONS: usize = 1000;
const PERIOD: Duration = Duration::from_millis(100);
const LISTENING: Duration = Duration::from_secs(4);

/// Idle connections.
const IDLE: usize = 2000;
/// Connections that are opened at once, where it does not matter.
const AT_ONCE: usize = 64;

pub(crate) async fn measure() -> Rows {
    let mut rows = envelope();
    rows.extend(on_half_the_cores(round_trips(1)).await?);
    rows.extend(on_half_the_cores(round_trips(100)).await?);
    rows.extend(subscriptions().await?);
    rows.extend(idle().await?);
    Ok(rows)
}

/// What reading and writing a message costs, beside reading the same text as a tree.
fn envelope() -> Vec<Row> {
    let text = format!("{REQUEST_HEAD}000000000001{REQUEST_TAIL}{{\"num\":1,\"salt\":\"00000000\"}}}}");
    let each = |run: &dyn Fn()| {
        let many = || (0..REQUESTS).for_each(|_| run());
        median((0..ROUNDS).map(|_| time(many) / REQUESTS as u32).collect())
    };
    let parse = each(&|| {
        // Only the time matters.
        let _ = black_box(chartroom_rpc::message::parse(&text));
    });
    let tree = each(&|| {
        let _ = black_box(serde_json::from_str::<serde_json::Value>(&text));
    });
    let mut rows = vec![Row {
        name: "reading a request of the browser's client".to_owned(),
        ours: parse.into(),
        reference: Some(("as a tree", tree.into())),
        demand: Demand::Shown,
        cpp: None,
    }];
    if let Ok(message) = chartroom_rpc::message::parse(&text) {
        let write = each(&|| {
            let _ = black_box(serde_json::to_string(&message));
        });
        rows.push(Row {
            name: "writing it".to_owned(),
            ours: write.into(),
            reference: None,
            demand: Demand::Shown,
            cpp: None,
        });
    }
    rows
}

/// Measures with half of the cores for the client; the other half is for the server. With more threads than cores the
/// tail would tell how long the system's time slices are.
async fn on_half_the_cores(measured: impl Future<Output = Rows> + Send + 'static) -> Rows {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(half_the_cores())
        .enable_all()
        .build()?;
    let done = runtime.spawn(measured).await;
    runtime.shutdown_background();
    done.map_err(|error| BenchError::Answer(error.to_string()))?
}

fn half_the_cores() -> usize {
    (cores() / 2).max(1)
}

async fn round_trips(connections: usize) -> Rows {
    let server = Aside::start_with(SERVE, half_the_cores()).await?;
    let address = server.address.clone();
    let (mut ours, mut reference) = (Round::default(), Round::default());
    let mut pages = connect(connections, || Page::welcomed(&address)).await?;
    let mut bare = connect(connections, || Page::bare(&address, "bare")).await?;
    // The first round is for warming up.
    for round in 0..=ROUNDS {
        let (a, b) = (run(&mut pages, FLAT_OUT).await?, run(&mut bare, FLAT_OUT).await?);
        if round > 0 {
            ours.add(a);
            reference.add(b);
        }
    }
    let name = match connections {
        1 => "one connection".to_owned(),
        many => format!("{many} connections"),
    };
    let row = |what: &str, ours: Duration, reference: (&'static str, Duration), demand| Row {
        name: format!("{what}, {name}"),
        ours: ours.into(),
        reference: Some((reference.0, reference.1.into())),
        demand,
        cpp: None,
    };
    let each = median(ours.took);
    let tail = percentile(ours.each, 99);
    let bare_tail = percentile(reference.each, 99);
    let mut rows = vec![
        row(
            "request and reply",
            each,
            ("bare WebSocket", median(reference.took)),
            Demand::AtLeast(DEMANDED),
        ),
        row(
            "99th percentile of requests",
            tail,
            ("bare WebSocket", bare_tail),
            Demand::Shown,
        ),
    ];
    if connections == 1 {
        return Ok(rows);
    }
    let (_, times) = run(&mut pages, PYTHON_ROUND_TRIP * connections as u32).await?;
    let against = [
        ("request and reply", each, PYTHON_ROUND_TRIP),
        ("99th percentile of requests", tail, PYTHON_TAIL),
        (
            "99th percentile at the original's rate",
            percentile(times, 99),
            PYTHON_TAIL,
        ),
    ];
    for (what, ours, original) in against {
        let original = ("original server", original);
        rows.push(row(what, ours, original, Demand::AtLeast(BETTER)));
    }
    rows.extend(memory(&server, &mut pages).await?);
    Ok(rows)
}

/// The memory of the server, which many more requests do not change.
async fn memory(server: &Aside, pages: &mut Vec<Page>) -> Result<Option<Row>, BenchError> {
    for _ in 0..FILLING {
        run(pages, FLAT_OUT).await?;
    }
    let before = server.memory();
    for _ in 0..MORE {
        run(pages, FLAT_OUT).await?;
    }
    let amounts = before.zip(server.memory());
    Ok(amounts.map(|(before, after)| Row {
        name: format!("memory of the server after {} more requests", MORE * REQUESTS),
        ours: Amount::Bytes(after as f64),
        reference: Some(("before", Amount::Bytes(before as f64))),
        demand: Demand::AtMost(FLAT),
        cpp: None,
    }))
}

/// What was measured for one way.
#[derive(Default)]
struct Round {
    /// The time of each round, divided by its requests.
    took: Vec<Duration>,
    /// The time of each request.
    each: Vec<Duration>,
}

impl Round {
    fn add(&mut self, (took, each): (Duration, Vec<Duration>)) {
        self.took.push(took / REQUESTS as u32);
        self.each.extend(each);
    }
}

/// No pause between the requests of a page.
const FLAT_OUT: Duration = Duration::ZERO;

/// Makes the requests of a round over all connections at once, each in a task of its own. Each page begins one in every
/// `period`, the pages one after another, or when it has the answer to the one before.
async fn run(pages: &mut Vec<Page>, period: Duration) -> Result<(Duration, Vec<Duration>), BenchError> {
    let connections = pages.len();
    let count = REQUESTS / connections;
    let start = Instant::now();
    let mut running = JoinSet::new();
    for (number, mut page) in pages.drain(..).enumerate() {
        let first = start + period * number as u32 / connections as u32;
        running.spawn(async move {
            let times = page.requests(count, first, period).await?;
            Ok::<_, BenchError>((page, times))
        });
    }
    let mut all = Vec::with_capacity(REQUESTS);
    while let Some(done) = running.join_next().await {
        let (page, times) = done.map_err(|error| BenchError::Answer(error.to_string()))??;
        pages.push(page);
        all.extend(times);
    }
    Ok((start.elapsed(), all))
}

async fn connect<F>(count: usize, page: impl Fn() -> F) -> Result<Vec<Page>, BenchError>
where
    F: Future<Output = Result<Page, BenchError>>,
{
    stream::iter(0..count)
        .map(|_| page())
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// A thousand subscriptions, each with ten updates in a second.
async fn subscriptions() -> Rows {
    let server = Aside::start(SERVE).await?;
    let mut pages = connect(SUBSCRIPTIONS, || Page::welcomed(&server.address)).await?;
    for (number, page) in pages.iter_mut().enumerate() {
        page.subscribe(number, PERIOD).await?;
    }
    let (start, before) = (Instant::now(), server.cpu_time());
    let listening: FuturesUnordered<_> = pages
        .iter_mut()
        .map(|page| async move {
            let mut updates = 0;
            while start.elapsed() < LISTENING && page.update(LISTENING).await?.is_some() {
                updates += 1;
            }
            Ok::<_, BenchError>(updates)
        })
        .collect();
    let counts: Vec<usize> = listening.try_collect().await?;
    let (took, after) = (start.elapsed(), server.cpu_time());
    let updates: usize = counts.iter().sum();
    let expected = SUBSCRIPTIONS as f64 / PERIOD.as_secs_f64();
    let mut rows = vec![Row {
        name: format!("updates a second that {SUBSCRIPTIONS} subscribers got"),
        ours: Amount::Count(updates as f64 / took.as_secs_f64()),
        reference: Some(("wanted", Amount::Count(expected))),
        demand: Demand::Shown,
        cpp: None,
    }];
    if let (Some(before), Some(after)) = (before, after) {
        rows.push(Row {
            name: "processor time of the server for one of these updates".to_owned(),
            ours: (after.saturating_sub(before) / u32::try_from(updates.max(1)).unwrap_or(u32::MAX)).into(),
            reference: None,
            demand: Demand::Shown,
            cpp: None,
        });
    }
    Ok(rows)
}

async fn idle() -> Rows {
    let server = Aside::start(SERVE).await?;
    // What the first ones bring with them is not theirs alone.
    let _first = connect(AT_ONCE, || Page::welcomed(&server.address)).await?;
    let before = server.memory();
    let _pages = connect(IDLE, || Page::welcomed(&server.address)).await?;
    let after = server.memory();
    let (Some(before), Some(after)) = (before, after) else {
        return Ok(Vec::new());
    };
    Ok(vec![Row {
        name: format!("memory of an idle connection, of {IDLE}"),
        ours: Amount::Bytes(after.saturating_sub(before) as f64 / IDLE as f64),
        reference: None,
        demand: Demand::Shown,
        cpp: None,
    }])
}
