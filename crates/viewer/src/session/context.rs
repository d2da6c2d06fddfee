//! By what the work of a session answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chartroom_icd::{Outgoing, ServerMessage, messages};
use chartroom_sched::{CancelToken, Class, Owner};
use chartroom_session::{Outbox, SessionId};
use tokio::sync::mpsc;

use super::Event;
use crate::ViewerError;
use crate::jobs::{JobOwner, RunningJob};
use crate::viewer::{Parcel, Shared};
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
    Histogram {
        region_id: i32,
    },
    Statistics {
        region_id: i32,
    },
    SpatialProfiles {
        region_id: i32,
    },
    /// `wish` is the place among the profiles that are wanted: two of them may have the same coordinate.
    SpectralProfile {
        region_id: i32,
        coordinate: String,
        wish: usize,
    },
    ListProgress,
    /// The request of a program, by its id.
    Script {
        id: i32,
    },
    Error,
}

/// What the session's work needs to have at hand. Clones are the same session.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) viewer: Arc<Shared>,
    pub(crate) session: SessionId,
    pub(crate) owner: Owner,
    /// Whether the client that there is at the moment may write files.
    pub(super) may_write: Arc<AtomicBool>,
    pub(super) outbox: Outbox<Subject, Parcel>,
    /// For whom the request was that is worked for; see [`Outbox::audience`].
    pub(crate) audience: u64,
    pub(crate) events: mpsc::UnboundedSender<Event>,
}

impl Context {
    /// Whether the client may write files.
    pub(crate) fn may_write(&self) -> bool {
        self.may_write.load(Ordering::Relaxed)
    }

    /// Work of this session.
    pub(crate) fn work(&self, class: Class, token: &CancelToken) -> Work {
        Work {
            scheduler: self.viewer.scheduler.clone(),
            class,
            owner: self.owner,
            token: token.clone(),
        }
    }

    /// Lists long work of this session, which ends with `token` or by its number.
    pub(crate) fn begin_job(&self, what: String, token: &CancelToken) -> RunningJob {
        self.viewer
            .jobs
            .begin(what, JobOwner::Session(self.session), token)
    }

    /// Answers the request that is worked for. A client that came later has not asked, and may use its number for
    /// something else.
    pub(crate) fn reply<M: ServerMessage>(&self, request_id: u32, message: &M) {
        self.reply_with(Outgoing::new(request_id, message));
    }

    /// As [`Context::reply`], with a message that is encoded already.
    pub(crate) fn reply_with(&self, reply: Outgoing) {
        self.outbox.reply_to(self.audience, Parcel::new(reply));
    }

    /// Sends a message that matters, unless `token` is cancelled before there is room.
    pub(crate) async fn send(&self, subject: Subject, token: &CancelToken, message: Outgoing) {
        // An outbox that is closed belongs to a session that has ended: nobody is left to be told.
        let _ = self
            .outbox
            .send(subject, Parcel::new(message), || !token.is_cancelled())
            .await;
    }

    /// For whom messages are at the moment; see [`Outbox::audience`].
    pub(crate) fn present_audience(&self) -> u64 {
        self.outbox.audience()
    }

    /// Sends a message that matters, as long as `admit` says so. It is asked under the lock of the outbox.
    pub(crate) async fn send_if(&self, subject: Subject, message: Outgoing, admit: impl Fn() -> bool) {
        let _ = self.outbox.send(subject, Parcel::new(message), admit).await;
    }

    /// Sends a message of which only the newest is of interest, unless `token` is cancelled before there is room.
    pub(crate) async fn send_newest<M: ServerMessage>(
        &self,
        subject: Subject,
        token: &CancelToken,
        message: &M,
    ) {
        let message = Parcel::new(Outgoing::new(0, message));
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
        self.tell(file_id, tag, error.to_string()).await;
    }

    /// Tells the user something, for the log of the page.
    pub(crate) async fn tell(&self, file_id: Option<i32>, tag: &str, sentence: String) {
        let message = messages::ErrorData {
            severity: messages::ErrorSeverity::Error.into(),
            tags: vec![tag.to_owned()],
            message: sentence,
            data: String::new(),
        };
        let subject = Subject {
            file_id,
            topic: Topic::Error,
        };
        let _ = self
            .outbox
            .send(subject, Parcel::new(Outgoing::new(0, &message)), || true)
            .await;
    }
}
