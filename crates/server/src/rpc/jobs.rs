//! `chartroom.jobs@1`: long work under way, of calls and of CARTA sessions.

use std::sync::Arc;

use chartroom_rpc::{Capability, Context, Payload, RpcError, Updates, stream_with, with};
use chartroom_viewer::{JobId, JobInfo, JobOwner};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    rooms::{Parts, identity, is_admin, single, time},
    watch::{Changes, Listing},
};
use crate::accounts::Identity;

/// The jobs that the caller may see: all for those with the permission `admin`, else the caller's own.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Jobs {
    /// The oldest first.
    jobs: Vec<Job>,
}

/// Some long work.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Job {
    job_id: u64,
    /// What it is, such as "cube histogram of disk.fits".
    what: String,
    /// For whom it is done.
    principal: String,
    /// The session that it belongs to, if it belongs to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<u32>,
    /// When it was begun (RFC 3339).
    started: String,
    /// How much of it is done, from 0 to 1; absent if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<f64>,
}

/// A job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct JobName {
    job_id: u64,
}

/// What became of a wish to cancel.
#[derive(Debug, Serialize, JsonSchema)]
struct Cancellation {
    /// False if the job was over already, or is none of the caller's.
    cancelled: bool,
}

impl Listing for Jobs {
    fn is_alike(&self, _: &Self) -> bool {
        // Progress is worth to be seen as soon as it is made.
        false
    }
}

pub(super) fn capability(parts: &Arc<Parts>) -> Capability {
    Capability::new("chartroom.jobs@1")
        .doc("Long work under way: calls about images, and what pages have asked for that takes long.")
        .call("list", with(parts, list))
        .doc("The jobs that the caller may see.")
        .stream("watch", stream_with(parts, watch))
        .doc("The same, again whenever something has changed.")
        .call("cancel", with(parts, cancel))
        .doc("Stops a job; one of somebody else only with the permission `admin`.")
}

async fn list(parts: Arc<Parts>, context: Context, (): ()) -> Result<Jobs, RpcError> {
    Ok(seen(&parts, &context))
}

async fn watch(parts: Arc<Parts>, context: Context, (): (), updates: Updates<Jobs>) -> Result<(), RpcError> {
    let mut changes = Changes::new(updates);
    loop {
        changes.next().await;
        changes.send(seen(&parts, &context)).await?;
    }
}

fn seen(parts: &Parts, context: &Context) -> Jobs {
    let identity = identity(context);
    let jobs = parts.viewer.jobs().list().into_iter();
    Jobs {
        jobs: jobs
            .map(|job| described(parts, job))
            .filter(|job| may_touch(&identity, job))
            .collect(),
    }
}

async fn cancel(
    parts: Arc<Parts>,
    context: Context,
    Payload(name): Payload<JobName>,
) -> Result<Cancellation, RpcError> {
    let jobs = parts.viewer.jobs();
    let id = JobId(name.job_id);
    let touchable = jobs
        .find(id)
        .is_some_and(|job| may_touch(&identity(&context), &described(&parts, job)));
    let cancelled = touchable && jobs.cancel(id);
    Ok(Cancellation { cancelled })
}

fn may_touch(identity: &Identity, job: &Job) -> bool {
    is_admin(identity) || job.principal == identity.principal.as_str()
}

fn described(parts: &Parts, job: JobInfo) -> Job {
    let (principal, session_id) = match job.owner {
        JobOwner::Principal(principal) => (principal.0.to_string(), None),
        JobOwner::Session(id) => (parts.door.owner(id).unwrap_or_default(), Some(id.number())),
    };
    Job {
        job_id: job.id.0,
        what: job.what,
        principal,
        session_id,
        started: time(job.started),
        progress: job.progress.and_then(single),
    }
}
