//! What the scheduler promises, on real threads. Gates and channels order the events; nothing sleeps.

// Helpers are tests too.
#![allow(clippy::unwrap_used)]

mod cancel;
mod classes;
mod failures;
mod outcomes;
mod parallel;
mod support;
mod time;
