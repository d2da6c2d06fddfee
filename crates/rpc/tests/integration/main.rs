//! The runtime from the outside: a real server, and clients that speak HTTP and WebSocket with it.

// Clippy knows only test functions, not what they call.
#![allow(clippy::unwrap_used)]

mod bootstrap;
mod settings;
mod socket;
mod support;
