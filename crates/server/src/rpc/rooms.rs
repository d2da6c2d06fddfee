//! What the capabilities are about, and what they have in common.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Instant, SystemTime},
};

use chartroom_rpc::{Caller, Context, RpcError, code, logging::LogRules};
use chartroom_sched::CancelToken;
use chartroom_session::store::SessionStore;
use chartroom_viewer::{Inspector, JobOwner, RunningJob, Viewer, ViewerError};

use crate::{
    accounts::Identity,
    door::Door,
    metrics::Metrics,
    permissions::{Permission, Permissions},
};

/// There is no such file or folder, or none that may be seen.
pub(super) const FILE_NOT_FOUND: &str = "FILE_NOT_FOUND";
/// The file holds no image, or one that can not be read.
pub(super) const IMAGE_ERROR: &str = "IMAGE_ERROR";
/// There is no such session, or it is somebody else's.
pub(super) const SESSION_NOT_FOUND: &str = "SESSION_NOT_FOUND";

/// What a service lets capabilities work with.
#[derive(Debug, Clone)]
pub struct Rooms {
    pub(crate) viewer: Viewer,
    pub(crate) door: Door,
    /// Where views of pages outlive the process; `None` if they do not.
    pub(crate) store: Option<Arc<dyn SessionStore>>,
}

/// What all capabilities share.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) viewer: Viewer,
    pub(super) door: Door,
    pub(super) metrics: Metrics,
    /// Whether programs may drive sessions.
    pub(super) scripting: bool,
    /// The folder for what outlives the process; `None` if nothing does.
    pub(super) state: Option<PathBuf>,
    /// The rules of logging, as soon as there is a runtime.
    pub(super) log_rules: OnceLock<LogRules>,
    pub(super) started: Instant,
}

/// Who calls: what the gate found out.
pub(super) fn identity(context: &Context) -> Identity {
    identity_of(context.caller())
}

pub(super) fn identity_of(caller: &Caller) -> Identity {
    let known = caller.extensions.get::<Identity>().cloned();
    // The gate is the only way in; whoever came in by another may look at nothing of anybody.
    known.unwrap_or_else(|| Identity {
        principal: crate::auth::Principal::anonymous(),
        permissions: Permissions::view(),
    })
}

pub(super) fn is_admin(identity: &Identity) -> bool {
    identity.permissions.contain(Permission::Admin)
}

impl Parts {
    /// The rules of logging.
    pub(super) fn log_rules(&self) -> Result<&LogRules, RpcError> {
        let rules = self.log_rules.get();
        rules.ok_or_else(|| RpcError::new(code::OVERLOADED, "The server is still starting.").retryable(None))
    }

    /// Begins work that people can see and cancel.
    pub(super) fn begin(&self, context: &Context, what: String) -> Task {
        let principal = context.caller().principal.clone();
        let owner = JobOwner::Principal(principal);
        let job = self.viewer.jobs().begin(what, owner, &CancelToken::new());
        Task {
            context: context.clone(),
            inspector: self.viewer.inspector(asker(context), job.token()),
            job,
        }
    }

    /// Answers short questions about files.
    pub(super) fn inspector(&self, context: &Context) -> Inspector {
        self.viewer.inspector(asker(context), &CancelToken::new())
    }
}

/// Callers of one principal take turns with each other.
fn asker(context: &Context) -> u32 {
    let mut hasher = DefaultHasher::new();
    context.caller().principal.hash(&mut hasher);
    hasher.finish() as u32
}

/// Work on behalf of a call. When it is dropped, whatever it has begun is cancelled.
pub(super) struct Task {
    context: Context,
    job: RunningJob,
    pub(super) inspector: Inspector,
}

impl Task {
    /// Tells the caller and whoever looks at the jobs how much is done, from 0 to 1.
    pub(super) fn progress(&self, done: f32) {
        self.context.progress(f64::from(done));
        self.job.progress(done);
    }

    /// With the lowest priority, for what takes long.
    pub(super) fn in_background(&self) -> Inspector {
        self.inspector.in_background(self.job.token())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.job.token().cancel();
    }
}

/// What a caller is told of a failure.
pub(super) fn refusal(error: &ViewerError) -> RpcError {
    if error.is_cancelled() {
        return RpcError::new(code::REQUEST_CANCELLED, "The job was cancelled.");
    }
    let code = match error {
        ViewerError::Missing { .. } | ViewerError::Outside { .. } | ViewerError::Folder { .. } => {
            FILE_NOT_FOUND
        }
        ViewerError::Image(_) => IMAGE_ERROR,
        ViewerError::Job(_) | ViewerError::Compute(_) => {
            tracing::error!(%error, "a call failed");
            return RpcError::new(
                code::INTERNAL_ERROR,
                "The server could not do this; its log says why.",
            );
        }
        _ => code::BAD_REQUEST,
    };
    RpcError::new(code, error.to_string())
}

/// A time, to the second (RFC 3339).
pub(super) fn time(time: SystemTime) -> String {
    crate::date::rfc3339(time)
}

/// A number; `None` for what JSON has no number for.
pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// The shortest number that is this value in single precision.
pub(super) fn single(value: f32) -> Option<f64> {
    finite(value.to_string().parse().unwrap_or_else(|_| f64::from(value)))
}
