//! The wire as a whole, against the table of the ICD.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod hostile;
mod table;
