//! Who stands behind a page: whoever the gate lets in.

use std::{fmt, sync::Arc};

use axum::{
    http::{header, request::Parts},
    response::Response,
};
use chartroom_rpc::{Authenticate, Identity};
use chartroom_session::Principal;
use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    gate::Gate,
    http::{LinkCount, refuse, slot_of},
};

/// Asks the gate, as for every other request.
pub(super) struct AtGate {
    pub(super) gate: Gate,
    pub(super) links: LinkCount,
}

impl fmt::Debug for AtGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtGate").finish_non_exhaustive()
    }
}

impl Authenticate for AtGate {
    fn authenticate<'a>(&'a self, parts: &'a Parts) -> BoxFuture<'a, Result<Identity, Response>> {
        async move {
            let known = self.gate.check(parts.uri.query(), &parts.headers).await;
            let known = known.map_err(|refusal| refuse(&refusal))?;
            let mut identity = Identity {
                principal: Some(Principal(known.principal.as_str().into())),
                ..Identity::default()
            };
            identity.extensions.insert(known);
            if parts.headers.contains_key(header::UPGRADE) {
                // The connection counts for its address, and as somebody who is there.
                identity.connection = Some(Arc::new((self.links.enter(), slot_of(parts))));
            }
            Ok(identity)
        }
        .boxed()
    }
}
