//! One CARTA session: a task that takes requests in order and never waits for work to be done.

use std::collections::BTreeMap;
use std::sync::Arc;

use chartroom_icd::{Outgoing, Request, ServerMessage, messages};
use chartroom_sched::{CancelToken, Class, Owner};
use chartroom_session::{Mailbox, MailboxReceiver, Outbox, Session, SessionError, SessionId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::ViewerError;
use crate::animation::{Animation, Frame};
use crate::file::OpenFile;
use crate::open_file::Opening;
use crate::tiles::GROUPS_AT_WORK;
use crate::viewer::{Parcel, Shared, Viewer};
use crate::work::Work;

/// What a message is about, so that a newer one can replace it and a stale one be retracted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The file; `None` for what belongs to no file.
    pub(crate) file_id: Option<i32>,
    pub(crate) topic: Topic,
}

/// The kind of a streamed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Topic {
    Tiles,
    Histogram { region_id: i32 },
    Statistics { region_id: i32 },
    SpatialProfiles { region_id: i32 },
    SpectralProfile { region_id: i32, coordinate: String },
    ListProgress,
    Error,
}

/// A request with the number that its reply repeats.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) request_id: u32,
    pub(crate) request: Request,
}

/// Something that the session's own work tells it.
#[derive(Debug)]
pub(crate) enum Event {
    /// A file was opened, or could not be.
    Opened(Box<Opening>),
    /// A list of files is done.
    Listed { number: u64 },
    /// It is time for the next frame of an animation.
    Frame(Frame),
}

/// The session as its links and the registry see it.
#[derive(Debug)]
pub struct ViewerSession {
    mailbox: Mailbox<Incoming>,
    outbox: Outbox<Subject, Parcel>,
    life: CancelToken,
}

impl ViewerSession {
    pub(crate) fn start(viewer: &Viewer, id: SessionId) -> Self {
        let options = &viewer.0.options;
        let (mailbox, requests) = Mailbox::new(options.mailbox_bytes);
        let outbox = Outbox::new(options.outbox_bytes);
        let life = CancelToken::new();
        let (events, own_events) = mpsc::unbounded_channel();
        let context = Context {
            viewer: Arc::clone(&viewer.0),
            owner: Owner(u64::from(id.number())),
            outbox: outbox.clone(),
            events,
        };
        let actor = Actor {
            context,
            life: life.clone(),
            files: BTreeMap::new(),
            opening: BTreeMap::new(),
            openings: 0,
            replies: Arc::new(Semaphore::new(REPLIES_UNDER_WAY)),
            listing: None,
            lists: 0,
            animation: None,
            animations: 0,
            next_sync_id: 1,
            groups: Arc::new(Semaphore::new(GROUPS_AT_WORK)),
        };
        tokio::spawn(actor.run(requests, own_events));
        Self {
            mailbox,
            outbox,
            life,
        }
    }

    /// Hands a request to the session and waits while it has too much to do already.
    ///
    /// # Errors
    /// [`SessionError::Ended`] if the session is over.
    pub async fn request(&self, request_id: u32, request: Request, bytes: usize) -> Result<(), SessionError> {
        self.outbox.drained().await;
        self.mailbox.send(Incoming { request_id, request }, bytes).await
    }

    /// Answers the registration of the client, before anything else that goes to it.
    pub(crate) fn acknowledge(&self, request_id: u32, ack: &messages::RegisterViewerAck) {
        self.outbox.reply(Parcel(Outgoing::new(request_id, ack)));
    }

    /// What goes to the client.
    #[must_use]
    pub fn outbox(&self) -> &Outbox<Subject, Parcel> {
        &self.outbox
    }
}

impl Session for ViewerSession {
    fn end(&self) {
        self.life.cancel();
        self.outbox.close();
    }
}

/// What the session's work needs to have at hand. Clones are the same session.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) viewer: Arc<Shared>,
    pub(crate) owner: Owner,
    outbox: Outbox<Subject, Parcel>,
    pub(crate) events: mpsc::UnboundedSender<Event>,
}

impl Context {
    /// Work of this session.
    pub(crate) fn work(&self, class: Class, token: &CancelToken) -> Work {
        Work {
            scheduler: self.viewer.scheduler.clone(),
            class,
            owner: self.owner,
            token: token.clone(),
        }
    }

    /// Answers a request.
    pub(crate) fn reply<M: ServerMessage>(&self, request_id: u32, message: &M) {
        self.outbox.reply(Parcel(Outgoing::new(request_id, message)));
    }

    /// Sends a message that matters, unless `token` is cancelled before there is room.
    pub(crate) async fn send(&self, subject: Subject, token: &CancelToken, message: Outgoing) {
        // An outbox that is closed belongs to a session that has ended: nobody is left to be told.
        let _ = self
            .outbox
            .send(subject, Parcel(message), || !token.is_cancelled())
            .await;
    }

    /// Sends a message of which only the newest is of interest, unless `token` is cancelled before there is room.
    pub(crate) async fn send_newest<M: ServerMessage>(
        &self,
        subject: Subject,
        token: &CancelToken,
        message: &M,
    ) {
        let message = Parcel(Outgoing::new(0, message));
        let _ = self
            .outbox
            .send_newest(subject, message, || !token.is_cancelled())
            .await;
    }

    /// Removes what waits for the client of these subjects.
    pub(crate) fn retract(&self, stale: impl Fn(&Subject) -> bool) {
        self.outbox.retract(stale);
    }

    /// Tells the user of a failure for which the ICD has no reply. What was cancelled is no failure.
    pub(crate) async fn complain(&self, file_id: Option<i32>, tag: &str, error: &ViewerError) {
        if error.is_cancelled() {
            return;
        }
        tracing::warn!(owner = self.owner.0, ?file_id, tag, %error, "could not serve a request");
        let message = messages::ErrorData {
            severity: messages::ErrorSeverity::Error.into(),
            tags: vec![tag.to_owned()],
            message: error.to_string(),
            data: String::new(),
        };
        let subject = Subject {
            file_id,
            topic: Topic::Error,
        };
        let _ = self
            .outbox
            .send(subject, Parcel(Outgoing::new(0, &message)), || true)
            .await;
    }
}

/// The session itself: all its state, changed by one request or event at a time.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) context: Context,
    pub(crate) life: CancelToken,
    pub(crate) files: BTreeMap<i32, OpenFile>,
    /// Requests for files that are being opened, in order.
    pub(crate) opening: BTreeMap<i32, OpeningFile>,
    pub(crate) openings: u64,
    replies: Arc<Semaphore>,
    pub(crate) listing: Option<(u64, CancelToken)>,
    pub(crate) lists: u64,
    pub(crate) animation: Option<Animation>,
    pub(crate) animations: i32,
    pub(crate) next_sync_id: i32,
    /// Leave to set to work on groups of tiles.
    pub(crate) groups: Arc<Semaphore>,
}

/// A file that is being opened.
#[derive(Debug)]
pub(crate) struct OpeningFile {
    /// Never used twice in a session.
    pub(crate) number: u64,
    pub(crate) token: CancelToken,
    pub(crate) waiting: Vec<Incoming>,
}

/// How many requests of one session may be at work for a reply; the session takes no more until one is answered.
const REPLIES_UNDER_WAY: usize = 32;

/// Leave to work for a reply; whoever makes the reply holds it until then.
pub(crate) type Leave = OwnedSemaphorePermit;

/// How many requests may wait for one file to be opened.
const WAITING_REQUESTS: usize = 256;

impl Actor {
    async fn run(
        mut self,
        mut requests: MailboxReceiver<Incoming>,
        mut events: mpsc::UnboundedReceiver<Event>,
    ) {
        let life = self.life.clone();
        let living = async {
            loop {
                tokio::select! {
                    biased;
                    event = events.recv() => match event {
                        Some(event) => self.on_event(event).await,
                        None => break,
                    },
                    incoming = requests.receive() => match incoming {
                        Some(incoming) => self.on_request(incoming).await,
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

    async fn on_event(&mut self, event: Event) {
        match event {
            Event::Opened(opening) => self.on_opened(*opening).await,
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
        let Some(Incoming { request_id, request }) = self.after_opening(incoming).await else {
            return;
        };
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
            Request::StartAnimation(m) => self.on_start_animation(request_id, m),
            Request::StopAnimation(m) => self.on_stop_animation(&m),
            Request::AnimationFlowControl(m) => self.on_animation_flow_control(&m),
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
            Request::SetSpatialRequirements(m) => m.file_id,
            Request::SetSpectralRequirements(m) => m.file_id,
            Request::SetHistogramRequirements(m) => m.file_id,
            Request::SetStatsRequirements(m) => m.file_id,
            Request::StartAnimation(m) => m.file_id,
            Request::StopAnimation(m) => m.file_id,
            _ => return Some(incoming),
        };
        let Some(opening) = self.opening.get_mut(&file_id) else {
            return Some(incoming);
        };
        if opening.waiting.len() < WAITING_REQUESTS {
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
