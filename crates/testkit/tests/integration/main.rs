//! The whole server as CARTA clients meet it: real files, a real WebSocket, real messages.

// Clippy knows only test functions, not what they call.
#![allow(clippy::unwrap_used)]

mod oracle;
mod protocol;
mod rpc;
mod scripting;
mod values;
