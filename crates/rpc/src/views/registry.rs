//! All views of a server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chartroom_session::store::Timestamp;
use chartroom_session::{Principal, SessionError};

use super::hello::HelloPayload;
use super::id::{ClientId, ViewId, ViewKind};
use super::tab::Tab;
use super::token::Token;
use super::view::{Ground, View};
use super::{Greeting, ViewLimits};
use crate::archive::{Archive, Kept, Kind};
use crate::error::{RpcError, code};

/// All views of a server.
#[derive(Debug)]
pub(crate) struct Views {
    ground: Arc<Ground>,
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    views: HashMap<ViewId, Arc<View>>,
    /// The views of each client; it has at least one.
    of_clients: HashMap<ClientId, Vec<Arc<View>>>,
}

/// What a page is given before it connects.
#[derive(Debug)]
pub(crate) struct Bootstrap {
    pub(crate) view: ViewId,
    pub(crate) token: Token,
}

impl Views {
    /// The views that were `kept`, as far as the limits allow; entries that are none are passed over.
    pub(crate) fn open(limits: ViewLimits, archive: Arc<Archive>, kept: Vec<Kept>) -> Self {
        let ground = Arc::new(Ground { limits, archive });
        let now = ground.archive.now();
        let views = kept.into_iter().filter(|kept| kept.kind == Kind::View);
        let mut views: Vec<_> = views.filter_map(|kept| View::restore(kept, &ground)).collect();
        views.sort_by_cached_key(|view| view.rank());
        let mut all = All::default();
        for view in views {
            // A crash may have left the old one of two views that followed each other.
            let old = all.find(view.client(), view.principal(), view.kind());
            if let Some(old) = old {
                all.evict(&old);
            }
            all.insert(view, &ground.limits, now);
        }
        Self {
            ground,
            all: Mutex::new(all),
        }
    }

    /// The view of `kind` that belongs to `client` in the name of `principal`, or a new one, with a token for a new tab.
    ///
    /// # Errors
    /// [`code::INTERNAL_ERROR`] if the operating system has no random numbers.
    pub(crate) fn bootstrap(
        &self,
        client: &ClientId,
        principal: &Principal,
        kind: &ViewKind,
    ) -> Result<Bootstrap, RpcError> {
        let (view, token) = {
            let mut all = self.lock();
            let view = self
                .view(&mut all, client, principal, kind)
                .map_err(|error| failure(&error))?;
            let token = view.mint().map_err(|error| failure(&error))?;
            (view, token)
        };
        view.save();
        Ok(Bootstrap {
            view: view.id().clone(),
            token,
        })
    }

    /// The tab of `client`, in the name of `principal`, that says hello, in a new generation. `here` is the tab that its
    /// connection has already.
    ///
    /// A view that the client does not have, or a token that is not valid, is no error: the page is in the client's own view
    /// then, as a new tab; and as the same one if it comes back with the same wrong token and instance.
    ///
    /// # Errors
    /// [`code::INTERNAL_ERROR`] if the operating system has no random numbers.
    pub(crate) fn hello(
        &self,
        client: &ClientId,
        principal: &Principal,
        hello: &HelloPayload,
        here: Option<&Tab>,
    ) -> Result<Greeting, RpcError> {
        let asked = hello.view_id.as_deref();
        let (view, place) = {
            let mut all = self.lock();
            let named = match (asked, &hello.view_kind, here) {
                (None, None, Some(here)) => Some(here.view().as_str()),
                _ => asked,
            };
            let own = named.and_then(|id| all.views.get(id));
            let own = own.filter(|view| view.belongs_to(client, principal)).cloned();
            let view = match own {
                Some(view) => view,
                None => {
                    let kind = hello.view_kind.clone().unwrap_or_default();
                    self.view(&mut all, client, principal, &kind)
                        .map_err(|error| failure(&error))?
                }
            };
            let here = here.filter(|here| here.view() == view.id()).map(Tab::place);
            let place = view.greet(hello, here).map_err(|error| failure(&error))?;
            (view, place)
        };
        let generation = place.next_generation().map_err(|error| failure(&error))?;
        view.save();
        Ok(Greeting {
            resumed: asked == Some(view.id().as_str()),
            tab: Arc::new(Tab::new(view, place)),
            generation,
        })
    }

    fn view(
        &self,
        all: &mut All,
        client: &ClientId,
        principal: &Principal,
        kind: &ViewKind,
    ) -> Result<Arc<View>, SessionError> {
        let now = self.ground.archive.now();
        if let Some(view) = all.find(client, principal, kind) {
            if !view.is_over(now) {
                return Ok(view);
            }
            all.evict(&view);
        }
        let view = View::new(client, principal, kind, &self.ground)?;
        all.insert(Arc::clone(&view), &self.ground.limits, now);
        Ok(view)
    }

    /// How many views there are, how many the client with most of them has, and how many tabs the view with most of them.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let all = self.lock();
        let most = all.of_clients.values().map(Vec::len).max();
        let tabs = all.views.values().map(|view| view.tabs()).max();
        (
            all.views.len(),
            most.unwrap_or_default(),
            tabs.unwrap_or_default(),
        )
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    fn find(&self, client: &ClientId, principal: &Principal, kind: &ViewKind) -> Option<Arc<View>> {
        let mut views = self.of_clients.get(client)?.iter();
        views
            .find(|view| view.principal() == principal && view.kind() == kind)
            .cloned()
    }

    /// Adds a view, at the cost of others if there are too many.
    fn insert(&mut self, view: Arc<View>, limits: &ViewLimits, now: Timestamp) {
        let own = self.of_clients.get(view.client()).map_or(0, Vec::len);
        if own >= limits.views_of_client.max(1) {
            self.evict_least_of(view.client());
        }
        if self.views.len() >= limits.views.max(1) {
            self.make_room(now);
        }
        let own = self.of_clients.entry(view.client().clone()).or_default();
        own.push(Arc::clone(&view));
        self.views.insert(view.id().clone(), view);
        self.count();
    }

    fn count(&self) {
        metrics::gauge!("rpc_views").set(self.views.len() as f64);
    }

    fn evict_least_of(&mut self, client: &ClientId) {
        let views = self.of_clients.get(client).into_iter().flatten();
        if let Some(least) = views.min_by_key(|view| view.rank()).cloned() {
            self.evict(&least);
        }
    }

    /// Evicts what is over, or the sixty-fourth part that is worth least, so that it is not looked through all of them for
    /// each new one.
    fn make_room(&mut self, now: Timestamp) {
        let (over, mut kept): (Vec<_>, Vec<_>) =
            self.views.values().cloned().partition(|view| view.is_over(now));
        kept.sort_by_cached_key(|view| view.rank());
        let least = match over.is_empty() {
            true => kept.into_iter().take(self.views.len().div_ceil(64)).collect(),
            false => over,
        };
        for view in least {
            self.evict(&view);
        }
    }

    fn evict(&mut self, view: &Arc<View>) {
        self.views.remove(view.id());
        if let Some(own) = self.of_clients.get_mut(view.client()) {
            own.retain(|other| other.id() != view.id());
            if own.is_empty() {
                self.of_clients.remove(view.client());
            }
        }
        view.evict();
        self.count();
    }
}

fn failure(error: &SessionError) -> RpcError {
    tracing::error!(%error, "no view can be given");
    RpcError::new(
        code::INTERNAL_ERROR,
        "The server cannot make new views at the moment.",
    )
    .retryable(None)
}
