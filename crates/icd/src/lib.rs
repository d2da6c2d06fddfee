//! The CARTA wire: messages, frame header and version negotiation. No IO.
//!
//! A CARTA client and its server exchange binary WebSocket messages. Each is an 8-byte [`Header`] followed by one
//! protobuf message of the interface control document (ICD). The messages are defined in this crate's `proto/`
//! folder and found, generated, in [`messages`]. Beside them:
//!
//! - [`Header`] and [`Frame`]: the outer form of a message;
//! - [`IcdVersion`]: the versions that are spoken here;
//! - [`Request`]: everything that a client may send, decoded;
//! - [`Outgoing`]: an encoded message to a client that waits for its header;
//! - [`TileMessage`]: a tile message whose pixels are written straight into their final place.

mod error;
mod frame;
mod outgoing;
mod request;
mod tile;
mod version;

pub use error::IcdError;
pub use frame::{Frame, HEADER_BYTES, Header};
pub use messages::EventType;
pub use outgoing::{Outgoing, ServerMessage};
pub use request::Request;
pub use tile::{RasterTile, TileMessage};
pub use version::IcdVersion;

/// The messages and enumerations of ICD 30, generated from `proto/`.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::all,
    clippy::pedantic
)]
#[allow(rustdoc::all)]
pub mod messages {
    include!(concat!(env!("OUT_DIR"), "/carta.rs"));
}
