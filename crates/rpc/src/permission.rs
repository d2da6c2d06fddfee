//! Who may call what, and how often.
//!
//! The principal comes from authentication, never from a message. A message can say in its `origin` which module of the
//! page calls; that can only take permissions away.

mod file;
mod grants;
mod rates;
mod time;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

pub use file::{GrantsError, GrantsFile};
pub use grants::{Effect, Grant, Grants};
pub use rates::{RateLimit, RateLimits};
pub use time::Expiry;

use crate::context::Caller;
use crate::error::RpcError;
use crate::name::CapabilityName;

/// Decides whether a message may be carried out.
///
/// It is asked for every request, emit and subscription, after the capability was found, and must not wait for anything.
/// Objects are asked for under the name of [`CapabilityName::of_object`]. What [`Authenticate`](crate::Authenticate) found out
/// besides the principal is in the extensions of the caller.
pub trait Policy: Send + Sync {
    /// Whether the caller may use this path of the capability at this time.
    ///
    /// # Errors
    /// What the caller is told if it may not.
    fn decide(
        &self,
        caller: &Caller,
        capability: &CapabilityName,
        path: &str,
        now: SystemTime,
    ) -> Result<(), RpcError>;
}

/// Everybody may do everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllowAll;

impl Policy for AllowAll {
    fn decide(&self, _: &Caller, _: &CapabilityName, _: &str, _: SystemTime) -> Result<(), RpcError> {
        Ok(())
    }
}

/// Several policies in order: all must agree. The first that does not says why, and those after it are not asked.
///
/// Rates should come last, so that what is denied does not count.
pub struct All(pub Vec<Arc<dyn Policy>>);

impl Policy for All {
    fn decide(
        &self,
        caller: &Caller,
        capability: &CapabilityName,
        path: &str,
        now: SystemTime,
    ) -> Result<(), RpcError> {
        self.0
            .iter()
            .try_for_each(|policy| policy.decide(caller, capability, path, now))
    }
}

impl fmt::Debug for All {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("All").field(&self.0.len()).finish()
    }
}

impl<P: Policy + ?Sized> Policy for Arc<P> {
    fn decide(
        &self,
        caller: &Caller,
        capability: &CapabilityName,
        path: &str,
        now: SystemTime,
    ) -> Result<(), RpcError> {
        (**self).decide(caller, capability, path, now)
    }
}

#[cfg(test)]
mod tests;
