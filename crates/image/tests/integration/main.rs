//! Everything that is tested through the public interface of the image room.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod compressed;
mod files;
mod fits;
mod header_properties;
mod hostile;
