//! What a CARTA session can do: one module per family of messages.
//!
//! A [`Viewer`] is what all sessions of a server share. A [`ViewerSession`] is one session: a task that takes requests
//! in order, starts whatever takes time on the scheduler, and never waits for it. A [`Connection`] is the CARTA side of
//! one link: it registers the client and hands its requests to the session.

mod animation;
mod cache;
mod channel_map;
mod channels;
mod connection;
mod cursor;
mod error;
mod file;
mod file_info;
mod file_list;
mod folders;
mod histograms;
mod image;
mod later;
mod open_file;
mod planes;
mod session;
mod spectral;
mod statistics;
mod tiles;
mod viewer;
mod work;

pub use connection::{Answer, Connection, count};
pub use error::ViewerError;
pub use folders::Folders;
pub use session::{Subject, ViewerSession};
pub use viewer::{Parcel, Viewer, ViewerOptions};
