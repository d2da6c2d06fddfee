//! What a client may do, and who decides.

use std::collections::HashMap;
use std::fmt::Debug;

use chartroom_session::Principal;
use futures_util::future::BoxFuture;

/// What somebody who has registered may do, and what belongs to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who it is.
    pub principal: Principal,
    /// Whether files and settings may be written.
    pub may_write: bool,
    /// Whether programs may drive the session.
    pub may_script: bool,
    /// Preferences by name, each value as JSON text; empty if there are none.
    pub preferences: HashMap<String, String>,
    /// Layouts by name, each as JSON text; empty if there are none.
    pub layouts: HashMap<String, String>,
}

/// Decides what clients may do.
pub trait Access: Debug + Send + Sync + 'static {
    /// What a client may do that came in as `principal` and registers with `api_key`, which is empty if it has none.
    ///
    /// # Errors
    /// A sentence for the user if the key opens nothing.
    fn grant(&self, principal: Principal, api_key: String) -> BoxFuture<'static, Result<Grant, String>>;
}
