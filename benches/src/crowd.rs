//! Many sessions at once: what they cost, and how they come back together.

use std::path::Path;
use std::time::{Duration, Instant};

use chartroom_icd::messages::{self, ImageProperties};
use chartroom_testkit::client::{Client, ClientError, Counters, ResumableClient};
use chartroom_testkit::fits;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::measure::percentile;
use crate::process::{bytes_read, memory};
use crate::report::{Amount, Demand, Row};
use crate::server::{ICD, Server};
use crate::{BenchError, Rows};

/// Idle sessions.
const IDLE: usize = 10_000;
/// Sessions that are dropped at once.
const DROPPED: usize = 1000;
/// Connections that are opened at once, where it does not matter.
const AT_ONCE: usize = 64;
/// What a parked session may hold.
const PARKED: f64 = 20.0 * 1024.0;

const OPTIONS: [&str; 4] = ["--connections-per-address", "0", "--liveness-timeout", "10m"];

/// The memory of idle sessions: with a link, parked, and stored.
pub(crate) async fn idle(folder: &Path) -> Rows {
    let count = IDLE.min(allow_files().saturating_sub(200));
    let (empty, _) = crowd_folder(folder, 0)?;
    let mut rows = Vec::new();
    let mut row = |name: &str, ours: f64, demand: Demand| {
        rows.push(Row {
            name: format!("memory of a session without images, of {count}, {name}"),
            ours: Amount::Bytes(ours),
            reference: matches!(demand, Demand::AtMost(_)).then_some(("allowed", Amount::Bytes(PARKED))),
            demand,
            cpp: None,
        });
    };

    // All linked at once.
    let server = Server::start_with(&empty, &OPTIONS).await?;
    let gauge = Gauge::start(&server).await?;
    let clients = register(&server, count).await?;
    row("with its link", gauge.each(count)?, Demand::Shown);
    drop(clients);
    parked(&server, count + AT_ONCE).await?;
    row(
        "parked after all were linked at once",
        gauge.each(count)?,
        Demand::Shown,
    );
    drop(server);

    // One group after the other, so that nothing but what is parked adds up.
    let server = Server::start_with(&empty, &OPTIONS).await?;
    let gauge = Gauge::start(&server).await?;
    let mut sessions = 0;
    while sessions < count {
        let group = AT_ONCE.min(count - sessions);
        drop(register(&server, group).await?);
        sessions += group;
    }
    parked(&server, count + AT_ONCE).await?;
    row("parked", gauge.each(count)?, Demand::AtMost(1.0));

    // What was parked is stored, and all that another process knows of it.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let server = server.restart().await?;
    let found = state_count(&server, "stored").await?;
    if found < count {
        return Err(BenchError::Answer(format!(
            "only {found} of {count} sessions were stored"
        )));
    }
    let after = resident(&server)?;
    let fresh = Server::start_with(&empty_beside(&empty)?, &OPTIONS).await?;
    let before = resident(&fresh)?;
    row(
        "stored",
        after.saturating_sub(before) as f64 / count as f64,
        Demand::Shown,
    );
    Ok(rows)
}

/// All connections are lost at once, and all clients are back at once.
pub(crate) async fn storm(folder: &Path) -> Rows {
    allow_files();
    let (images, names) = crowd_folder(folder, DROPPED)?;
    let server = Server::start_with(&images, &OPTIONS).await?;
    let mut clients = register(&server, DROPPED).await?;
    for (client, image) in clients.iter_mut().zip(&names) {
        client.open("/", image, 0).await?;
    }
    let ids: Vec<u32> = clients.iter().map(Client::session_id).collect();
    drop(clients);
    parked(&server, DROPPED).await?;
    let read = bytes_read(server.process()?);
    let start = Instant::now();
    let returns = ids
        .iter()
        .zip(&names)
        .map(|(&id, image)| retry(&server, id, image));
    let returned: Vec<(Duration, Client)> = stream::iter(returns)
        .buffer_unordered(DROPPED)
        .try_collect()
        .await?;
    let all = start.elapsed();
    let opened = read_since(&server, read)?;
    let times: Vec<Duration> = returned.iter().map(|(time, _)| *time).collect();
    drop(returned);
    let mut rows = storm_rows("with RESUME_SESSION", all, times, opened);
    drop(server);

    let server = Server::start_with(&images, &OPTIONS).await?;
    let opening = (0..DROPPED).map(|at| open_stream(&server, &names[at]));
    let mut clients: Vec<ResumableClient> = stream::iter(opening)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let read = bytes_read(server.process()?);
    let start = Instant::now();
    for client in &mut clients {
        client.link().cut();
    }
    let asking = clients.iter_mut().map(|client| async move {
        let wish = messages::FileInfoRequest {
            directory: "/".to_owned(),
            file: "no such file".to_owned(),
            ..Default::default()
        };
        client.send(wish).await?;
        let _: messages::FileInfoResponse = client.wait().await?;
        Ok::<_, ClientError>((start.elapsed(), client.link().counters()))
    });
    let answered: Vec<(Duration, Counters)> = stream::iter(asking)
        .buffer_unordered(DROPPED)
        .try_collect()
        .await?;
    let all = start.elapsed();
    if answered.iter().any(|(_, counters)| counters.resumptions == 0) {
        return Err(BenchError::Answer("a stream was not cut".to_owned()));
    }
    let failures: u64 = answered.iter().map(|(_, counters)| counters.failures).sum();
    let opened = read_since(&server, read)?;
    let times = answered.into_iter().map(|(time, _)| time).collect();
    rows.extend(storm_rows("over their streams", all, times, opened));
    rows.push(Row {
        name: "connections that the server put off meanwhile, because too many came at once".to_owned(),
        ours: Amount::Count(failures as f64),
        reference: None,
        demand: Demand::Shown,
        cpp: None,
    });
    Ok(rows)
}

fn storm_rows(how: &str, all: Duration, times: Vec<Duration>, opened: Option<u64>) -> Vec<Row> {
    let row = |name: String, ours: Amount| Row {
        name,
        ours,
        reference: None,
        demand: Demand::Shown,
        cpp: None,
    };
    let mut rows = vec![
        row(
            format!("{DROPPED} sessions dropped at once, until all are back {how}"),
            all.into(),
        ),
        row(
            format!("99th percentile of coming back {how}, among {DROPPED}"),
            percentile(times, 99).into(),
        ),
    ];
    if let Some(opened) = opened {
        // To open one of these images takes reading a block of its header at least.
        let name = format!("images opened again when {DROPPED} sessions come back {how}, at most");
        rows.push(row(name, Amount::Count((opened / fits::BLOCK as u64) as f64)));
    }
    rows
}

/// Connects as a page does on "Retry", and says what is open.
async fn retry(server: &Server, id: u32, image: &str) -> Result<(Duration, Client), BenchError> {
    let start = Instant::now();
    let mut client = Client::connect(server.address(), ICD).await?;
    let ack = client.register_as(id).await?;
    if ack.platform_strings.get("recovery_level").map(String::as_str) != Some("warm") {
        return Err(BenchError::Answer(ack.message));
    }
    let image = ImageProperties {
        directory: "/".to_owned(),
        file: image.to_owned(),
        ..Default::default()
    };
    let wish = messages::ResumeSession {
        images: vec![image],
        ..Default::default()
    };
    client.send(wish).await?;
    let ack: messages::ResumeSessionAck = client.wait().await?;
    match ack.message.is_empty() {
        true => Ok((start.elapsed(), client)),
        false => Err(BenchError::Answer(ack.message)),
    }
}

async fn open_stream(server: &Server, image: &str) -> Result<ResumableClient, BenchError> {
    let mut client = ResumableClient::register_resumable(server.address(), ICD).await?;
    client.open("/", image, 0).await?;
    Ok(client)
}

/// New tabs.
async fn register(server: &Server, count: usize) -> Result<Vec<Client>, BenchError> {
    stream::iter((0..count).map(|_| server.client()))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Waits until so many sessions are parked.
async fn parked(server: &Server, count: usize) -> Result<(), BenchError> {
    for _ in 0..600 {
        if state_count(server, "parked").await? >= count {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(BenchError::Answer("not all sessions were parked".to_owned()))
}

/// How many sessions the server counts in a state.
async fn state_count(server: &Server, state: &str) -> Result<usize, BenchError> {
    let text = server.metrics().await?;
    let name = format!("chartroom_sessions{{state=\"{state}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(name.as_str()));
    Ok(value.and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0) as usize)
}

/// The memory of a server from a moment on.
struct Gauge {
    process: u32,
    before: u64,
}

impl Gauge {
    /// From now on, after some sessions that make the server load what it needs for any.
    async fn start(server: &Server) -> Result<Self, BenchError> {
        drop(register(server, AT_ONCE).await?);
        parked(server, AT_ONCE).await?;
        Ok(Self {
            process: server.process()?,
            before: resident(server)?,
        })
    }

    /// What each of `count` sessions has added.
    fn each(&self, count: usize) -> Result<f64, BenchError> {
        let now = memory(self.process).ok_or_else(unknown)?;
        Ok(now.saturating_sub(self.before) as f64 / count as f64)
    }
}

fn resident(server: &Server) -> Result<u64, BenchError> {
    memory(server.process()?).ok_or_else(unknown)
}

fn unknown() -> BenchError {
    BenchError::Answer("this system does not tell the memory of a process in a file".to_owned())
}

fn read_since(server: &Server, before: Option<u64>) -> Result<Option<u64>, BenchError> {
    let now = bytes_read(server.process()?);
    Ok(now.zip(before).map(|(now, before)| now.saturating_sub(before)))
}

/// A folder with so many small images, and their names.
fn crowd_folder(folder: &Path, count: usize) -> Result<(std::path::PathBuf, Vec<String>), BenchError> {
    let crowd = folder.join(format!("crowd-{count}"));
    std::fs::create_dir_all(&crowd)?;
    let image = fits::image(&fits::Header::image::<f32>(&[8, 8]), |i| i as f32);
    let names: Vec<String> = (0..count).map(|number| format!("{number:04}.fits")).collect();
    for name in &names {
        std::fs::write(crowd.join(name), &image)?;
    }
    Ok((crowd, names))
}

/// Another folder without images, whose server has a state of its own.
fn empty_beside(folder: &Path) -> Result<std::path::PathBuf, BenchError> {
    let other = folder.join("other").join("data");
    std::fs::create_dir_all(&other)?;
    Ok(other)
}

/// Has this process, and those that it starts, open as many files as the system allows. Gives how many.
#[cfg(unix)]
fn allow_files() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    allowed.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
fn allow_files() -> usize {
    usize::MAX
}
