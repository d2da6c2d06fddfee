//! The Chartroom server: one port for the page, the WebSocket, the REST store, health and metrics.
//!
//! [`Options`] come from the command line, the environment and a TOML file; [`start`] puts the rooms together as the
//! options say and gives a [`Server`]; [`run`] is the life of the binary. What happens on an open WebSocket is
//! behind [`SocketService`].

mod app;
mod auth;
mod browser;
mod carta;
mod error;
mod folders;
mod frontend;
mod http;
mod link;
pub mod logging;
pub mod memory;
mod metrics;
pub mod options;
mod percent;
mod server;
mod store;

pub use app::{run, start};
pub use auth::{AuthToken, Principal};
pub use error::ServerError;
pub use folders::DataFolders;
pub use link::{NoApplication, PeerInfo, SocketService};
pub use options::Options;
pub use server::Server;
