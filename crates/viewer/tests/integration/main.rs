//! Sessions as their server sees them: what they write down, and how they are built again from it.

// Clippy knows only test functions, not what they call.
#![allow(clippy::unwrap_used)]

mod inspect;
mod invariant;
mod journal;
mod limits;
mod restore;
mod support;
