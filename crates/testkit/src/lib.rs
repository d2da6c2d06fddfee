//! For tests: synthetic images of known content, server fixtures, an ICD client.
//!
//! - [`fits`] writes FITS files of any shape and sample type, to memory or streamed to disk.
//! - [`demo`] is the demonstration data: cubes whose every pixel follows from a documented formula.
//! - [`large`] writes the large files that the benchmarks read.
//! - [`server`] runs a server in the process of the test.
//! - [`client`] is a CARTA client without a page: it speaks the ICD, collects what comes, and decodes tiles.
//! - [`history`] judges what a client sent and saw.
//! - [`oracle`] tells whether faults left a trace in what a client sees in the end.
//! - [`page`] is a client that comes back as the official page does.
//! - [`proxy`] stands between a client and a server and does to their connections what networks do.
//! - [`script`] is what users do and what goes wrong meanwhile, at random from a seed.
//! - [`rpc`] offers capabilities by which clients of the RPC runtime are tested.
//! - [`random`] gives the same random numbers for the same seed everywhere.

#[cfg(feature = "client")]
pub mod client;
pub mod demo;
pub mod fits;
#[cfg(feature = "client")]
pub mod history;
pub mod large;
#[cfg(feature = "client")]
pub mod oracle;
#[cfg(feature = "client")]
pub mod page;
#[cfg(feature = "proxy")]
pub mod proxy;
pub mod random;
#[cfg(feature = "rpc")]
pub mod rpc;
#[cfg(feature = "client")]
pub mod script;
#[cfg(feature = "server")]
pub mod server;
