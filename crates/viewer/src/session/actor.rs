//! The session itself: a task that takes requests in order and never waits for work to be done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chartroom_icd::{Request, messages};
use chartroom_sched::CancelToken;
use chartroom_session::{Journal, MailboxReceiver};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::{Context, Holdings, Restore};
use crate::ViewerError;
use crate::animation::{Animation, Frame};
use crate::file::OpenFile;
use crate::open_file::Opening;
use crate::regions::Regions;
use crate::resume::{Batch, Gathered};
use crate::scripting::Scripts;
use crate::tiles::GROUPS_AT_WORK;

/// A request with the number that its reply repeats.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) request_id: u32,
    /// For whom the reply is.
    pub(crate) audience: u64,
    pub(crate) request: Request,
    /// How long it was on the wire.
    pub(crate) bytes: usize,
}

/// Something that the session's own work tells it.
#[derive(Debug)]
pub(crate) enum Event {
    /// A file was opened, or could not be.
    Opened(Box<Opening>),
    /// The files of a session that is resumed or restored were opened, or could not be.
    Gathered(Gathered),
    /// A list of files is done.
    Listed { number: u64 },
    /// It is time for the next frame of an animation.
    Frame(Frame),
}

/// What the server wants of the session.
#[derive(Debug)]
pub(super) enum Command {
    /// The descriptor as it is now.
    Describe(oneshot::Sender<Bytes>),
    /// To write the descriptor at once; told when it is stored, or could not be.
    WriteDown(oneshot::Sender<()>),
    /// To write the descriptor for the last time and to do nothing more.
    Suspend(oneshot::Sender<()>),
}

/// Where the session hears from others.
#[derive(Debug)]
pub(super) struct Ears {
    pub(super) requests: MailboxReceiver<Incoming>,
    pub(super) events: mpsc::UnboundedReceiver<Event>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
}

/// How long after a change the descriptor is written, so that changes that come close together are written together.
const WRITING_DELAY: Duration = Duration::from_millis(250);

/// What was written down last, and when it is to be done again.
#[derive(Debug)]
struct Notebook {
    journal: Arc<dyn Journal>,
    written: (Bytes, u64),
    due: Option<Instant>,
}

impl Notebook {
    /// Something may have changed.
    fn touch(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + WRITING_DELAY);
    }

    /// Ready when it is time to write.
    async fn due(due: Option<Instant>) {
        match due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    fn write(&mut self, descriptor: Bytes, handled: u64) {
        self.due = None;
        if (&descriptor, handled) == (&self.written.0, self.written.1) {
            return;
        }
        if descriptor != self.written.0 {
            self.written.0 = descriptor;
        }
        self.written.1 = handled;
        // An unchanged descriptor is the same bytes, not equal ones: a journal may tell that cheaply.
        self.journal.write(self.written.0.clone(), handled);
    }
}

/// The session itself: all its state, changed by one request or event at a time.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) context: Context,
    pub(crate) life: CancelToken,
    pub(crate) files: BTreeMap<i32, OpenFile>,
    pub(crate) holdings: Holdings,
    /// Requests for files that are being opened, in order.
    pub(crate) opening: BTreeMap<i32, OpeningFile>,
    pub(crate) openings: u64,
    pub(crate) regions: Regions,
    pub(crate) scripts: Scripts,
    /// Files that are opened together, because the session is resumed or restored.
    pub(crate) batch: Option<Batch>,
    /// A request that waits until nothing is opened any more; nothing is taken until then.
    held: Option<Incoming>,
    pub(crate) restored: watch::Sender<Option<Arc<[String]>>>,
    replies: Arc<Semaphore>,
    pub(crate) listing: Option<(u64, CancelToken)>,
    pub(crate) lists: u64,
    pub(crate) animation: Option<Animation>,
    pub(crate) animations: i32,
    pub(crate) next_sync_id: i32,
    /// Leave to set to work on groups of tiles.
    pub(crate) groups: Arc<Semaphore>,
    notebook: Notebook,
    handled: watch::Sender<u64>,
}

/// A file that is being opened.
#[derive(Debug)]
pub(crate) struct OpeningFile {
    /// Never used twice in a session.
    pub(crate) number: u64,
    pub(crate) token: CancelToken,
    pub(crate) request: messages::OpenFile,
    /// What the file is set to before anything of it is sent.
    pub(crate) settings: Vec<Request>,
    pub(crate) waiting: Vec<Incoming>,
}

/// How many requests of one session may be at work for a reply; the session takes no more until one is answered.
const REPLIES_UNDER_WAY: usize = 32;

/// Leave to work for a reply; whoever makes the reply holds it until then.
pub(crate) type Leave = OwnedSemaphorePermit;

/// How many requests may wait for one file to be opened, …
const WAITING_REQUESTS: usize = 256;
/// … and how many bytes.
const WAITING_BYTES: usize = 4 << 20;

impl Actor {
    pub(super) fn new(
        context: Context,
        life: CancelToken,
        holdings: Holdings,
        scripts: Scripts,
        journal: Arc<dyn Journal>,
        handled: watch::Sender<u64>,
        restored: watch::Sender<Option<Arc<[String]>>>,
    ) -> Self {
        Self {
            context,
            life,
            files: BTreeMap::new(),
            holdings,
            opening: BTreeMap::new(),
            openings: 0,
            regions: Regions::default(),
            scripts,
            batch: None,
            held: None,
            restored,
            replies: Arc::new(Semaphore::new(REPLIES_UNDER_WAY)),
            listing: None,
            lists: 0,
            animation: None,
            animations: 0,
            next_sync_id: 1,
            groups: Arc::new(Semaphore::new(GROUPS_AT_WORK)),
            notebook: Notebook {
                journal,
                written: (Bytes::new(), 0),
                due: None,
            },
            handled,
        }
    }

    pub(super) async fn run(mut self, mut ears: Ears, restore: Option<Restore>) {
        let life = self.life.clone();
        let outbox = self.context.outbox.clone();
        let living = async {
            match restore {
                Some(restore) => self.restore(restore).await,
                None => {
                    self.restored.send_replace(Some(Arc::default()));
                }
            }
            loop {
                let due = self.notebook.due;
                // What is taken is answered, whether there is room or not: nothing more while too much waits for the client.
                let incoming = async {
                    outbox.drained().await;
                    ears.requests.receive().await
                };
                tokio::select! {
                    biased;
                    command = ears.commands.recv() => match command {
                        Some(Command::Describe(answer)) => {
                            // Whoever does not wait any more needs no answer.
                            let _ = answer.send(self.describe());
                        }
                        Some(Command::WriteDown(done)) => {
                            self.write_descriptor();
                            let stored = self.notebook.journal.flush();
                            tokio::spawn(async move {
                                stored.await;
                                // Whoever does not wait any more needs no answer.
                                let _ = done.send(());
                            });
                        }
                        Some(Command::Suspend(done)) => {
                            self.scripts.suspend();
                            self.write_descriptor();
                            self.notebook.journal.flush().await;
                            let _ = done.send(());
                            break;
                        }
                        None => break,
                    },
                    event = ears.events.recv() => match event {
                        Some(event) => {
                            self.on_event(event).await;
                            self.notebook.touch();
                        }
                        None => break,
                    },
                    () = Notebook::due(due) => self.write_descriptor(),
                    incoming = incoming, if self.held.is_none() => match incoming {
                        Some(incoming) => self.take(incoming).await,
                        None => break,
                    },
                }
            }
        };
        tokio::select! {
            () = life.cancelled() => {}
            () = living => {}
        }
        life.cancel();
    }

    pub(super) fn write_descriptor(&mut self) {
        let descriptor = self.describe();
        let handled = *self.handled.borrow();
        self.notebook.write(descriptor, handled);
    }

    /// Takes a request of the client. To resume a session, it must be known what is open.
    async fn take(&mut self, incoming: Incoming) {
        if self.is_opening() && matches!(incoming.request, Request::ResumeSession(_)) {
            self.held = Some(incoming);
            return;
        }
        self.on_request(incoming).await;
        self.handled.send_modify(|handled| *handled += 1);
        self.notebook.touch();
    }

    fn is_opening(&self) -> bool {
        self.batch.is_some() || !self.opening.is_empty()
    }

    /// Takes the request that waited until nothing is opened any more, if there is one.
    async fn take_held(&mut self) {
        if self.is_opening() {
            return;
        }
        if let Some(held) = self.held.take() {
            self.take(held).await;
        }
    }

    async fn on_event(&mut self, event: Event) {
        match event {
            Event::Opened(opening) => {
                self.on_opened(*opening).await;
                self.take_held().await;
            }
            Event::Gathered(gathered) => {
                self.on_gathered(gathered).await;
                self.take_held().await;
            }
            Event::Listed { number } => {
                if self
                    .listing
                    .as_ref()
                    .is_some_and(|(current, _)| *current == number)
                {
                    self.listing = None;
                }
            }
            Event::Frame(frame) => self.on_frame(frame),
        }
    }

    /// Takes one request. Whatever takes time is started here and goes on elsewhere.
    pub(crate) async fn on_request(&mut self, incoming: Incoming) {
        let event = incoming.request.event();
        let Some(Incoming {
            request_id,
            audience,
            request,
            ..
        }) = self.after_opening(incoming).await
        else {
            return;
        };
        self.context.audience = audience;
        let outcome = match request {
            Request::FileListRequest(m) => {
                let leave = self.leave().await;
                self.on_file_list(request_id, m, leave)
            }
            Request::StopFileList(_) => self.on_stop_file_list(),
            Request::FileInfoRequest(m) => {
                let leave = self.leave().await;
                self.on_file_info(request_id, m, leave)
            }
            Request::OpenFile(m) => {
                let leave = self.leave().await;
                self.on_open_file(request_id, m, leave)
            }
            Request::CloseFile(m) => self.on_close_file(m),
            Request::AddRequiredTiles(m) => self.want_tiles(&m).await,
            Request::RemoveRequiredTiles(m) => self.on_remove_required_tiles(&m),
            Request::SetImageChannels(m) => self.on_set_image_channels(m).await,
            Request::ChannelMapFlowControl(m) => self.on_channel_map_flow_control(m),
            Request::SetCursor(m) => self.on_set_cursor(m),
            Request::SetSpatialRequirements(m) => self.on_set_spatial_requirements(m),
            Request::SetSpectralRequirements(m) => self.on_set_spectral_requirements(m),
            Request::SetHistogramRequirements(m) => self.on_set_histogram_requirements(m),
            Request::SetStatsRequirements(m) => self.on_set_stats_requirements(m),
            Request::SetRegion(m) => self.on_set_region(request_id, m),
            Request::RemoveRegion(m) => self.on_remove_region(m),
            Request::ResumeSession(m) => self.on_resume_session(request_id, m),
            Request::StartAnimation(m) => self.on_start_animation(request_id, m),
            Request::StopAnimation(m) => self.on_stop_animation(&m),
            Request::AnimationFlowControl(m) => self.on_animation_flow_control(&m),
            Request::ScriptingResponse(m) => {
                self.scripts.answer(m);
                Ok(())
            }
            other => self.on_later(request_id, &other),
        };
        if let Err(error) = outcome {
            self.context.complain(None, event.as_str_name(), &error).await;
        }
    }

    /// Waits while too many replies are being made. Those who make them wait for the scheduler only, never for the
    /// session, so that the wait ends.
    async fn leave(&self) -> Option<Leave> {
        // The semaphore is never closed.
        Arc::clone(&self.replies).acquire_owned().await.ok()
    }

    /// Holds a request back while its file is being opened, so that clients need not wait for the acknowledgement.
    async fn after_opening(&mut self, incoming: Incoming) -> Option<Incoming> {
        let file_id = match &incoming.request {
            Request::AddRequiredTiles(m) => m.file_id,
            Request::RemoveRequiredTiles(m) => m.file_id,
            Request::SetImageChannels(m) => m.file_id,
            Request::SetCursor(m) => m.file_id,
            // What is wanted of regions is kept with them, and regions do not wait for their file.
            Request::SetSpatialRequirements(m) if m.region_id < 1 => m.file_id,
            Request::SetSpectralRequirements(m) if m.region_id < 1 => m.file_id,
            Request::SetHistogramRequirements(m) if m.region_id < 1 => m.file_id,
            Request::SetStatsRequirements(m) if m.region_id < 1 => m.file_id,
            Request::StartAnimation(m) => m.file_id,
            Request::StopAnimation(m) => m.file_id,
            _ => return Some(incoming),
        };
        let Some(opening) = self.opening.get_mut(&file_id) else {
            return Some(incoming);
        };
        let bytes: usize = opening.waiting.iter().map(|incoming| incoming.bytes).sum();
        if opening.waiting.len() < WAITING_REQUESTS && bytes.saturating_add(incoming.bytes) <= WAITING_BYTES {
            opening.waiting.push(incoming);
            return None;
        }
        let error = ViewerError::invalid(format!(
            "File id {file_id} is still being opened and too much waits for it."
        ));
        self.context
            .complain(Some(file_id), incoming.request.event().as_str_name(), &error)
            .await;
        None
    }

    /// An open file, by the number that the client gave it.
    pub(crate) fn file(&mut self, file_id: i32) -> Result<&mut OpenFile, ViewerError> {
        self.files
            .get_mut(&file_id)
            .ok_or(ViewerError::NotOpen { file_id })
    }
}
