//! For tests of the RPC runtime: a server with known capabilities, and a page without a browser.

#[cfg(feature = "client")]
pub mod client;
pub mod conformance;
