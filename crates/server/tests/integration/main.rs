//! The server as its clients see it: started in this process on a free port, spoken to over TCP.

// Clippy knows only test functions, not what they call.
#![allow(clippy::unwrap_used)]

mod access;
mod binary;
mod client;
mod embedded;
mod injection;
mod keys;
mod limits;
mod openapi;
mod pages;
mod rest;
mod rpc;
mod sockets;
mod stopping;
