//! What a CARTA session can do: one module per family of messages.
//!
//! A [`Viewer`] is what all sessions of a server share. A [`ViewerSession`] is one session: a task that takes requests
//! in order, starts whatever takes time on the scheduler, and never waits for it. A [`Connection`] is the CARTA side of
//! one link: it registers the client and hands its requests to the session.

mod access;
mod animation;
mod cache;
mod channel_map;
mod channels;
mod connection;
mod cursor;
mod descriptor;
mod error;
mod file;
mod file_info;
mod file_list;
mod folders;
mod hash;
mod histograms;
mod image;
mod inspect;
mod jobs;
mod later;
mod open_file;
mod planes;
mod refusal;
mod regions;
mod resume;
mod scripting;
mod session;
mod spectral;
mod statistics;
mod tiles;
mod viewer;
mod work;

pub use access::{Access, Grant};
pub use connection::{Answer, Attachment, Connection, Effect, Presence, count};
pub use descriptor::{Descriptor, FORMAT as DESCRIPTOR_FORMAT};
pub use error::ViewerError;
pub use folders::Folders;
pub use inspect::{
    Distribution, FileSummary, Inspector, Limits, Opened, Picture, PictureWish, SpectralCoordinates, Spectrum,
};
pub use jobs::{JobId, JobInfo, JobOwner, Jobs, RunningJob};
pub use scripting::{Cause, ScriptAnswer, ScriptCall, ScriptError};
pub use session::{Restore, SessionStart, Subject, Traffic, ViewerSession};
pub use viewer::{Parcel, Viewer, ViewerOptions};
