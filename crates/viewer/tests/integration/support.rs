//! A viewer over a folder, sessions without links, and a journal that tests can read.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chartroom_icd::messages::{self, CompressionType};
use chartroom_icd::{EventType, Frame, IcdVersion, Request, ServerMessage};
use chartroom_sched::{Scheduler, SchedulerOptions};
use chartroom_session::{Journal, OutboxReceiver, SessionId};
use chartroom_viewer::{
    Descriptor, Folders, Parcel, Restore, SessionStart, Subject, Viewer, ViewerOptions, ViewerSession,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tempfile::TempDir;
use tokio::sync::watch;

/// A journal that keeps what is written.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) written: Mutex<Vec<(Bytes, u64)>>,
    pub(crate) flushed: Mutex<usize>,
    stored: watch::Sender<u64>,
}

impl Book {
    pub(crate) fn last(&self) -> Option<(Bytes, u64)> {
        self.written.lock().unwrap().last().cloned()
    }

    pub(crate) fn count(&self) -> usize {
        self.written.lock().unwrap().len()
    }
}

impl Journal for Book {
    fn write(&self, descriptor: Bytes, handled: u64) {
        self.written.lock().unwrap().push((descriptor, handled));
        self.stored.send_replace(handled);
    }

    fn stored(&self) -> watch::Receiver<u64> {
        self.stored.subscribe()
    }

    fn flush(&self) -> BoxFuture<'static, ()> {
        *self.flushed.lock().unwrap() += 1;
        std::future::ready(()).boxed()
    }
}

/// A viewer over a folder with `cube.fits`, of 300 × 200 pixels and 12 channels, and `flat.fits`.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) viewer: Viewer,
}

impl Site {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_fits(&folder.path().join("cube.fits"), &[300, 200, 12]);
        write_fits(&folder.path().join("flat.fits"), &[20, 10]);
        let viewer = viewer(folder.path());
        Self { folder, viewer }
    }

    /// Another process over the same folder.
    pub(crate) fn restarted(self) -> Self {
        let viewer = viewer(self.folder.path());
        Self { viewer, ..self }
    }

    pub(crate) fn start(&self, restore: Option<Restore>) -> Tab {
        self.start_with(restore, Arc::default())
    }

    pub(crate) fn start_with(&self, restore: Option<Restore>, book: Arc<Book>) -> Tab {
        let session = self.viewer.start_session(SessionStart {
            id: SessionId::new(7).unwrap(),
            journal: book,
            may_write: true,
            restore,
        });
        let receiver = session.outbox().receiver();
        Tab {
            session,
            receiver,
            requests: 0,
            acknowledged: 0,
        }
    }
}

fn viewer(folder: &Path) -> Viewer {
    let options = ViewerOptions {
        folders: Folders::new(folder, folder).unwrap(),
        read_only: false,
        scripting: false,
        cache_bytes: 64 << 20,
        outbox_bytes: 8 << 20,
        mailbox_bytes: 1 << 20,
        platform: Vec::new(),
        open: Default::default(),
    };
    Viewer::new(options, Scheduler::new(SchedulerOptions::default()).unwrap())
}

/// A FITS image of 32-bit floats (FITS Standard 4.0), whose pixels are their own numbers.
pub(crate) fn write_fits(path: &Path, shape: &[usize]) {
    let mut cards = vec![
        "SIMPLE  =                    T".to_owned(),
        "BITPIX  =                  -32".to_owned(),
        format!("NAXIS   = {:20}", shape.len()),
    ];
    for (axis, length) in shape.iter().enumerate() {
        cards.push(format!("{:8}= {length:20}", format!("NAXIS{}", axis + 1)));
    }
    if shape.len() > 2 {
        cards.push("CTYPE3  = 'FREQ    '".to_owned());
    }
    cards.push("END".to_owned());
    let mut file: Vec<u8> = cards
        .iter()
        .flat_map(|card| format!("{card:80}").into_bytes())
        .collect();
    file.resize(file.len().next_multiple_of(2880), b' ');
    let pixels: usize = shape.iter().product();
    file.extend((0..pixels).flat_map(|i| (i as f32).to_be_bytes()));
    file.resize(file.len().next_multiple_of(2880), 0);
    std::fs::write(path, file).unwrap();
}

/// A client without a link.
pub(crate) struct Tab {
    pub(crate) session: ViewerSession,
    receiver: OutboxReceiver<Subject, Parcel>,
    requests: u32,
    /// Answers that were dropped, to those who open files.
    pub(crate) acknowledged: usize,
}

impl Tab {
    pub(crate) async fn send(&mut self, request: impl Into<Request>) -> u32 {
        self.requests += 1;
        self.send_as(self.requests, request).await;
        self.requests
    }

    pub(crate) async fn send_as(&self, request_id: u32, request: impl Into<Request>) {
        // What the call gives is of no interest here.
        let _ = self
            .session
            .request(request_id, request.into(), 100)
            .await
            .unwrap();
    }

    pub(crate) async fn next(&mut self) -> Frame {
        let next = tokio::time::timeout(Duration::from_secs(60), self.receiver.next());
        let parcel = next.await.expect("a message in time").expect("the session lives");
        Frame::split(parcel.into_outgoing().into_bytes(IcdVersion::NEWEST)).unwrap()
    }

    /// Drops what has come, and counts the answers to those who open files.
    pub(crate) fn drain(&mut self) {
        while let Some(Some(parcel)) = self.receiver.next().now_or_never() {
            let answers = [EventType::OpenFileAck, EventType::ResumeSessionAck];
            self.acknowledged += usize::from(answers.contains(&parcel.into_outgoing().event()));
        }
    }

    /// All messages up to the first of a kind, and that one.
    pub(crate) async fn until<M: ServerMessage + Default>(&mut self) -> (Vec<Frame>, M) {
        let mut before = Vec::new();
        loop {
            let frame = self.next().await;
            match of_kind::<M>(&frame) {
                Some(message) => return (before, message),
                None => before.push(frame),
            }
        }
    }

    pub(crate) async fn wait<M: ServerMessage + Default>(&mut self) -> M {
        self.until::<M>().await.1
    }

    /// Everything that is sent until all requests have been taken.
    pub(crate) async fn fence(&mut self) -> Vec<Frame> {
        let refused = messages::OpenFile {
            file_id: -2,
            ..Default::default()
        };
        let request_id = self.send(refused).await;
        let mut before = Vec::new();
        loop {
            let frame = self.next().await;
            let fence = of_kind::<messages::OpenFileAck>(&frame).is_some();
            if fence && frame.header.request_id == request_id {
                return before;
            }
            before.push(frame);
        }
    }

    /// The requests that build the session again.
    pub(crate) async fn state(&self) -> Vec<Request> {
        requests(self.session.describe().await)
    }
}

pub(crate) fn requests(descriptor: Bytes) -> Vec<Request> {
    Descriptor::decode(descriptor).unwrap().requests().to_vec()
}

pub(crate) fn of_kind<M: ServerMessage + Default>(frame: &Frame) -> Option<M> {
    (frame.header.event == M::EVENT as i32 as u16).then(|| M::decode(frame.payload.clone()).unwrap())
}

pub(crate) fn events(frames: &[Frame]) -> Vec<EventType> {
    let event = |frame: &Frame| EventType::try_from(i32::from(frame.header.event)).unwrap();
    frames.iter().map(event).collect()
}

pub(crate) fn open(file_id: i32, file: &str) -> messages::OpenFile {
    messages::OpenFile {
        file_id,
        file: file.into(),
        ..Default::default()
    }
}

pub(crate) fn wish(file_id: i32, tiles: &[i32]) -> messages::AddRequiredTiles {
    messages::AddRequiredTiles {
        file_id,
        tiles: tiles.to_vec(),
        compression_type: CompressionType::Zfp.into(),
        compression_quality: 11.0,
        ..Default::default()
    }
}

pub(crate) fn channel(file_id: i32, channel: i32, tiles: &[i32]) -> messages::SetImageChannels {
    messages::SetImageChannels {
        file_id,
        channel,
        required_tiles: Some(wish(file_id, tiles)),
        ..Default::default()
    }
}

pub(crate) fn cursor(file_id: i32, x: f32, y: f32) -> messages::SetCursor {
    messages::SetCursor {
        file_id,
        point: Some(messages::Point { x, y }),
        ..Default::default()
    }
}

/// A region of one point.
pub(crate) fn point(file_id: i32, region_id: i32, x: f32) -> messages::SetRegion {
    let info = messages::RegionInfo {
        control_points: vec![messages::Point { x, y: 1.0 }],
        ..Default::default()
    };
    messages::SetRegion {
        file_id,
        region_id,
        region_info: Some(info),
        preview_region: false,
    }
}
