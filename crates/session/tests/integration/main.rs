//! What this room promises, seen from outside.

// Helpers are tests too.
#![allow(clippy::unwrap_used)]

mod store;
