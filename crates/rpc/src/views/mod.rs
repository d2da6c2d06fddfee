//! Views: what a server keeps of a browser between its connections.
//!
//! A **client** is a browser, known by a signed cookie. It has one **view** of each kind for each principal, with a state that
//! all its tabs share. A **tab** is one load of a page in a view; it proves who it is by a token, which only it has. A
//! **generation** is one hello of a tab.
//!
//! All of this is bounded in every direction, forgotten when nobody has used it for a time, and kept in a
//! [`SessionStore`](chartroom_session::store::SessionStore), so that pages find their views again after a restart.

use std::sync::Arc;
use std::time::Duration;

mod cookie;
mod hello;
mod id;
mod life;
mod registry;
mod report;
mod tab;
mod token;
mod view;

#[cfg(test)]
mod tests;

pub use crate::archive::has_view_within;
pub use cookie::CookieKeys;
pub use hello::HelloPayload;
pub use id::{ClientId, TabId, ViewId, ViewKind};
pub use tab::{Snapshot, Standing, Tab};

pub(crate) use life::Life;
pub(crate) use registry::Views;
pub(crate) use token::fingerprint;

/// Bounds of what is kept. Where one is reached, that goes which nobody uses and was used the longest time ago.
#[derive(Debug, Clone)]
pub struct ViewLimits {
    /// For how long a tab without connection is remembered; its token is valid so long.
    pub tab_lifetime: Duration,
    /// For how long a view without tabs is remembered.
    pub view_lifetime: Duration,
    /// How many tabs of one view are remembered.
    pub tabs: usize,
    /// How many views of one client are remembered.
    pub views_of_client: usize,
    /// How many views are remembered altogether.
    pub views: usize,
    /// How many bytes of JSON the state of a view may have.
    pub state_bytes: usize,
}

impl Default for ViewLimits {
    fn default() -> Self {
        Self {
            tab_lifetime: Duration::from_secs(24 * 3600),
            view_lifetime: Duration::from_secs(30 * 24 * 3600),
            tabs: 64,
            views_of_client: 16,
            views: 10_000,
            state_bytes: 256 << 10,
        }
    }
}

/// How a hello is to be answered.
#[derive(Debug)]
pub struct Greeting {
    /// The tab that said it, in its new generation.
    pub tab: Arc<Tab>,
    /// The generation that begins.
    pub generation: crate::message::Generation,
    /// Whether the page is in the view that it asked for.
    pub resumed: bool,
}
