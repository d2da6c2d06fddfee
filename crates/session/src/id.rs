//! The public identity of a session.

use std::fmt;
use std::num::NonZeroU32;

use crate::SessionError;

/// The public number of a session, the ICD's `session_id`. Shown to people and scripts; it gives no access.
///
/// Invariant 1: it never depends on a link, an address or a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(NonZeroU32);

impl SessionId {
    /// The identity with this number; `None` for 0, which stands for "no session yet".
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The number as it travels.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where new identities come from.
pub struct Ids(Box<dyn Fn() -> Result<u32, SessionError> + Send + Sync>);

impl Ids {
    /// Unpredictable numbers of the operating system.
    #[must_use]
    pub fn random() -> Self {
        Self(Box::new(|| getrandom::u32().map_err(SessionError::Random)))
    }

    /// Numbers of the caller's choice, for tests.
    pub fn from_fn(numbers: impl Fn() -> u32 + Send + Sync + 'static) -> Self {
        Self(Box::new(move || Ok(numbers())))
    }

    /// The next candidate; it may be taken already.
    pub(crate) fn candidate(&self) -> Result<Option<SessionId>, SessionError> {
        (self.0)().map(SessionId::new)
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}
