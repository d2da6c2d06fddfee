//! The Chartroom server: one port for the page, the WebSocket, the REST store, health and metrics.
//!
//! [`Options`] come from the command line, the environment and a TOML file; [`start`] puts the rooms together as the
//! options say and gives a [`Server`]; [`run`] is the life of the binary. What happens on an open WebSocket is
//! behind [`SocketService`].

mod accounts;
mod app;
mod auth;
mod browser;
mod carta;
mod date;
mod door;
mod error;
mod folders;
mod frontend;
mod gate;
mod http;
pub mod keys;
mod link;
pub mod logging;
pub mod memory;
mod metrics;
pub mod open_files;
pub mod options;
mod percent;
mod permissions;
mod rpc;
pub mod script;
mod server;
mod sessions;
mod store;

pub use accounts::Accounts;
pub use app::{run, start};
pub use auth::{AuthToken, Principal};
pub use chartroom_rpc::Socket;
pub use door::Door;
pub use error::ServerError;
pub use folders::DataFolders;
pub use http::Intake;
pub use link::{NoApplication, PeerInfo, SocketService};
pub use options::Options;
pub use permissions::{Permission, Permissions};
pub use rpc::Rooms;
pub use server::Server;
