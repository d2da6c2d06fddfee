//! What a viewer shows of an image: its header, and what can be said of it in words.

mod computed;
mod entry;
mod number;

pub use computed::computed_entries;
pub use entry::{EntryKind, HeaderEntry, header_entries};

#[cfg(test)]
mod hostile_tests;
