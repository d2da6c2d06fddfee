//! Whether a session that was dropped and resumed is in the same state as one that never was (invariant 8).
//!
//! [`run`] drives a client through a [`Script`] and then asks the server, by moving every view and cursor away and back,
//! for everything that it remembers the client to want. What comes is an [`Outcome`]; those of a run with faults and of
//! one without must be equal, which [`compare`] shows.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use chartroom_icd::messages::{self, AddRequiredTiles, Point, SetCursor, SetImageChannels};
use chartroom_icd::{Frame, Request};
use tokio::time::Instant;

mod observer;

use self::observer::Observer;
use crate::client::{Client, ClientError, Incoming, Link};
use crate::history::{Difference, differences};
use crate::random::Random;
use crate::script::Script;

/// How long the last of what is expected may take to come.
const PATIENCE: Duration = Duration::from_secs(300);

/// A client that a script can drive. Whatever it does about lost connections is its own business.
pub trait Driver: Send {
    /// Sends a request.
    ///
    /// # Errors
    /// What ends the run.
    fn send(&mut self, request: Request) -> impl Future<Output = Result<u32, ClientError>> + Send;

    /// The next message of the server.
    ///
    /// # Errors
    /// What ends the run.
    fn next(&mut self) -> impl Future<Output = Result<Frame, ClientError>> + Send;

    /// Whether the reply to a request will not come any more, because the client has lost its way to ask for it.
    fn has_lost(&self, _request_id: u32) -> bool {
        false
    }
}

impl<L: Link> Driver for Client<L> {
    async fn send(&mut self, request: Request) -> Result<u32, ClientError> {
        Client::send(self, request).await
    }

    async fn next(&mut self) -> Result<Frame, ClientError> {
        loop {
            if let Incoming::Message(frame) = Client::next(self).await? {
                return Ok(frame);
            }
        }
    }
}

/// A part of what a client sees in the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The reply to the request with this place in the script.
    Reply(usize),
    /// A tile of the last view of a file.
    Tile {
        /// The file.
        file_id: i32,
        /// Layer, column and row.
        place: (i32, i32, i32),
    },
    /// The end of the group of tiles of the last view of a file.
    View(i32),
    /// The histogram of the last view of a file.
    Histogram(i32),
    /// The histogram of the last view of a file that the client asked for.
    WantedHistogram(i32),
    /// The statistics of the last view of a file.
    Statistics(i32),
    /// The value and the profiles under the cursor.
    Spatial(i32),
    /// The spectrum under the cursor.
    Spectral(i32),
    /// How many there are of all regions that the script draws on files that stay open.
    Regions,
    /// What the server complained of.
    Complaints,
}

/// What a client sees in the end. Values are printed; those of tiles are hashes of their pixels.
pub type Outcome = BTreeMap<Part, String>;

/// What the script leaves a file in.
#[derive(Debug, Clone, Default)]
struct File {
    view: (i32, i32),
    tiles: Option<AddRequiredTiles>,
    cursor: Option<Point>,
    spectral: bool,
    statistics: bool,
    histogram: bool,
}

/// Compares the outcome of a run with faults with that of one without. Replies that the client lost its way to ask for
/// are in [`Outcome`] as `LOST`, and passed over.
#[must_use]
pub fn compare(expected: &Outcome, actual: &Outcome) -> Vec<Difference> {
    let lost = |part: &Part| actual.get(part).is_some_and(|text| text == LOST);
    let kept = |outcome: &Outcome| {
        let mut kept = outcome.clone();
        kept.retain(|part, _| !lost(part));
        kept
    };
    differences(&kept(expected), &kept(actual))
}

/// What there is of a reply that cannot come any more.
const LOST: &str = "lost";

/// Drives a client through a script, which takes what comes and tells the server which frames of animations it has, as a
/// page does; now and then it looks a little while for what comes, but waits for nothing. `before` is called before each
/// step, with its number, and once after the last, to do what goes wrong then; it must leave things so that the server
/// can be reached in the end.
///
/// # Errors
/// [`ClientError::Garbled`] with a list of what must come and does not, or what the driver gives up with.
pub async fn run<D: Driver>(
    driver: &mut D,
    script: &Script,
    mut before: impl AsyncFnMut(&mut D, usize),
) -> Result<Outcome, ClientError> {
    let mut observer = Observer {
        racing: racing(&script.steps),
        ..Observer::default()
    };
    let mut pauses = Random::new(script.seed).split(2);
    for (at, request) in script.steps.iter().enumerate() {
        before(driver, at).await;
        remember(&mut observer.files, request);
        let request_id = driver.send(request.clone()).await?;
        if request.has_reply() {
            observer.replies.insert(request_id, at);
        }
        if pauses.one_in(3) {
            let pause = Duration::from_millis(pauses.below(LONGEST_PAUSE));
            watch(driver, &mut observer, pause, |_, _| false).await?;
        }
    }
    before(driver, script.steps.len()).await;

    for (file_id, file) in observer.files.clone() {
        look_away(driver, file_id, &file).await?;
    }
    // Regions are not looked at yet; but a wish for one that is not there is refused.
    let mut drawn = regions(&script.steps);
    drawn.retain(|(_, file_id)| observer.files.contains_key(file_id));
    for &(region_id, file_id) in &drawn {
        driver.send(measure(file_id, region_id).into()).await?;
    }
    // It is refused at once, by the session itself, in the order of its requests.
    let fence = messages::OpenFile {
        file_id: -2,
        ..Default::default()
    };
    let fence = driver.send(fence.into()).await?;
    observer.fence = Some(fence);
    wait(driver, &mut observer, |_, observer| match observer.fence {
        Some(_) => vec!["the fence".to_owned()],
        None => Vec::new(),
    })
    .await?;
    // What came of the views so far is not what comes when they are looked at again.
    observer.outcome.retain(|part, _| matches!(part, Part::Reply(_)));
    let complaints = std::mem::take(&mut observer.complaints);
    let (missing, other): (Vec<String>, _) = complaints
        .into_iter()
        .partition(|sentence| sentence.contains("no region number"));
    let there = drawn.len() - missing.len();
    observer
        .outcome
        .insert(Part::Regions, format!("{there} of {}", drawn.len()));
    observer.outcome.insert(Part::Complaints, format!("{other:?}"));

    let mut expected: BTreeSet<Part> = observer.replies.values().map(|&at| Part::Reply(at)).collect();
    for (file_id, file) in observer.files.clone() {
        look_back(driver, file_id, &file).await?;
        expected.extend(file.parts(file_id));
    }
    wait(driver, &mut observer, |driver, observer| {
        for (&request_id, &at) in &observer.replies {
            if driver.has_lost(request_id) {
                observer.outcome.insert(Part::Reply(at), LOST.to_owned());
            }
        }
        let missing = expected.iter().filter(|part| !observer.has(part));
        missing.map(|part| format!("{part:?}")).collect()
    })
    .await?;
    Ok(observer.outcome)
}

/// How long a client looks for what comes between two steps, at most, in milliseconds.
const LONGEST_PAUSE: u64 = 40;

/// Takes what comes until nothing is missing.
async fn wait<D: Driver>(
    driver: &mut D,
    observer: &mut Observer,
    mut missing: impl FnMut(&D, &mut Observer) -> Vec<String>,
) -> Result<(), ClientError> {
    let is_over = |driver: &D, observer: &mut Observer| missing(driver, observer).is_empty();
    if watch(driver, observer, PATIENCE, is_over).await? {
        return Ok(());
    }
    let missing = missing(driver, observer);
    Err(ClientError::Garbled(format!(
        "These parts did not come in time: {missing:?}."
    )))
}

/// Takes what comes until all is there, and no longer than `patience`. Whether it is.
async fn watch<D: Driver>(
    driver: &mut D,
    observer: &mut Observer,
    patience: Duration,
    mut is_over: impl FnMut(&D, &mut Observer) -> bool,
) -> Result<bool, ClientError> {
    let deadline = Instant::now() + patience;
    while !is_over(driver, observer) {
        let Ok(next) = tokio::time::timeout_at(deadline, driver.next()).await else {
            return Ok(false);
        };
        observer.observe(&next?)?;
        if let Some(received) = observer.shown.take() {
            driver.send(received.into()).await?;
        }
    }
    Ok(true)
}

/// The regions that a script draws, with their files.
fn regions(steps: &[Request]) -> Vec<(i32, i32)> {
    let drawn = steps.iter().filter_map(|step| match step {
        Request::SetRegion(m) if m.region_id == -1 => Some(m.file_id),
        _ => None,
    });
    (1..).zip(drawn).collect()
}

/// A wish about a region.
fn measure(file_id: i32, region_id: i32) -> messages::SetStatsRequirements {
    messages::SetStatsRequirements {
        file_id,
        region_id,
        stats_configs: vec![messages::set_stats_requirements::StatsConfig::default()],
    }
}

/// Steps whose reply depends on how quick the server was, or whether it was restarted and asked again: lists that a later
/// one cancels, and what is about files that are closed again.
fn racing(steps: &[Request]) -> BTreeSet<usize> {
    let overtaken = |(at, request): (usize, &Request)| {
        let later = &steps[at + 1..];
        let races = match request {
            Request::FileListRequest(_) => later
                .iter()
                .any(|step| matches!(step, Request::FileListRequest(_))),
            Request::OpenFile(messages::OpenFile { file_id, .. })
            | Request::SetRegion(messages::SetRegion { file_id, .. })
            | Request::StartAnimation(messages::StartAnimation { file_id, .. }) => later
                .iter()
                .any(|step| matches!(step, Request::CloseFile(close) if close.file_id == *file_id)),
            _ => false,
        };
        races.then_some(at)
    };
    steps.iter().enumerate().filter_map(overtaken).collect()
}

fn remember(files: &mut BTreeMap<i32, File>, request: &Request) {
    match request {
        Request::OpenFile(m) => {
            files.insert(m.file_id, File::default());
        }
        Request::CloseFile(m) => {
            files.remove(&m.file_id);
        }
        Request::SetImageChannels(m) => change(files, m.file_id, |file| {
            file.view = (m.channel, m.stokes);
            file.tiles.clone_from(&m.required_tiles);
        }),
        Request::SetCursor(m) => change(files, m.file_id, |file| file.cursor = m.point),
        Request::SetSpectralRequirements(m) => change(files, m.file_id, |file| {
            file.spectral = !m.spectral_profiles.is_empty();
        }),
        Request::SetHistogramRequirements(m) => change(files, m.file_id, |file| {
            file.histogram = !m.histograms.is_empty();
        }),
        Request::SetStatsRequirements(m) => change(files, m.file_id, |file| {
            file.statistics = !m.stats_configs.is_empty();
        }),
        _ => {}
    }
}

fn change(files: &mut BTreeMap<i32, File>, file_id: i32, change: impl FnOnce(&mut File)) {
    if let Some(file) = files.get_mut(&file_id) {
        change(file);
    }
}

impl File {
    /// What comes when the view and the cursor of the file have been moved away and back.
    fn parts(&self, file_id: i32) -> Vec<Part> {
        let mut parts = vec![Part::Histogram(file_id)];
        if self.tiles.is_some() {
            parts.push(Part::View(file_id));
        }
        if self.histogram {
            parts.push(Part::WantedHistogram(file_id));
        }
        if self.statistics {
            parts.push(Part::Statistics(file_id));
        }
        if self.cursor.is_some() {
            parts.push(Part::Spatial(file_id));
        }
        if self.cursor.is_some() && self.spectral {
            parts.push(Part::Spectral(file_id));
        }
        parts
    }
}

/// Moves the view and the cursor of a file away.
async fn look_away<D: Driver>(driver: &mut D, file_id: i32, file: &File) -> Result<(), ClientError> {
    let (channel, stokes) = file.view;
    let away = if channel == 0 { 1 } else { channel - 1 };
    driver.send(view(file_id, away, stokes, None).into()).await?;
    if let Some(Point { x, y }) = file.cursor {
        let away = if x < 1.0 { x + 1.0 } else { x - 1.0 };
        driver.send(cursor(file_id, away, y).into()).await?;
    }
    Ok(())
}

/// Moves the view and the cursor of a file back, so that the server sends what is wanted of them.
async fn look_back<D: Driver>(driver: &mut D, file_id: i32, file: &File) -> Result<(), ClientError> {
    let (channel, stokes) = file.view;
    let tiles = file.tiles.clone();
    driver.send(view(file_id, channel, stokes, tiles).into()).await?;
    if let Some(Point { x, y }) = file.cursor {
        driver.send(cursor(file_id, x, y).into()).await?;
    }
    Ok(())
}

fn view(
    file_id: i32,
    channel: i32,
    stokes: i32,
    required_tiles: Option<AddRequiredTiles>,
) -> SetImageChannels {
    SetImageChannels {
        file_id,
        channel,
        stokes,
        required_tiles,
        ..Default::default()
    }
}

fn cursor(file_id: i32, x: f32, y: f32) -> SetCursor {
    SetCursor {
        file_id,
        point: Some(Point { x, y }),
        ..Default::default()
    }
}
