//! For tests: synthetic images of known content, server fixtures, an ICD client.
//!
//! - [`fits`] writes FITS files of any shape and sample type, to memory or streamed to disk.
//! - [`demo`] is the demonstration data: cubes whose every pixel follows from a documented formula.
//! - [`large`] writes the large files that the benchmarks read.
//! - [`server`] runs a server in the process of the test.
//! - [`client`] is a CARTA client without a page: it speaks the ICD, collects what comes, and decodes tiles.

#[cfg(feature = "client")]
pub mod client;
pub mod demo;
pub mod fits;
pub mod large;
#[cfg(feature = "client")]
pub mod server;
