//! Stores of sessions.

mod conformance;
mod crash;
mod embedded;
mod keeper;
mod support;
