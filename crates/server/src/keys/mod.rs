//! API keys: secrets that prove who somebody is, one for each user or program.
//!
//! A key is 256 random bits. The file `keys.json` of the state folder holds its SHA-256 hash, with a name, permissions
//! and an end; the key itself is shown once, by `chartroom keys add`, and kept nowhere. A random key needs no slow
//! hash: nobody can try out 2^256 of them.
//!
//! - `secret` is the key as text and its hash.
//! - `file` is the file, written by `command` under the lock of the state folder.
//! - `ring` is what a running server knows: it looks at each use whether the file has changed.
//! - `attempts` bounds what wrong keys can do to the log.

mod attempts;
mod command;
mod file;
mod ring;
mod secret;

pub(crate) use attempts::Attempts;
pub use command::run;
pub(crate) use file::Key;
pub(crate) use ring::{KeyRefusal, KeyRing};
pub(crate) use secret::looks_like_key;

/// The file of a state folder that holds the keys.
pub(crate) const FILE: &str = "keys.json";
