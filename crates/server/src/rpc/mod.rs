//! What Chartroom offers over JSON RPC: a module for each capability.
//!
//! Principals and what they may do come from the [gate](crate::gate) alone, files from the viewer's folders alone.

mod authenticate;
mod echo;
mod files;
mod image;
mod jobs;
mod message;
mod policy;
mod rooms;
mod scripting;
mod server;
mod sessions;
mod watch;

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use chartroom_rpc::{Capability, Runtime, RuntimeBuilder, ServerSettings, Settings};

pub use self::rooms::Rooms;
use self::{authenticate::AtGate, rooms::Parts};
use crate::{error::ServerError, folders, gate::Gate, http::LinkCount, metrics::Metrics, options::Options};

/// The runtime of a server, with everything that it offers. Must be called in a tokio runtime.
///
/// # Errors
/// [`ServerError::Rpc`] if the store or the file of grants can not be used.
pub(crate) async fn start(
    options: &Options,
    rooms: Rooms,
    gate: Gate,
    links: LinkCount,
    metrics: Metrics,
) -> Result<Runtime, ServerError> {
    let state = options.state_dir.clone().or_else(folders::default_state_folder);
    let parts = Arc::new(Parts {
        viewer: rooms.viewer,
        door: rooms.door,
        metrics,
        scripting: options.scripting,
        state,
        log_rules: OnceLock::new(),
        started: Instant::now(),
    });
    let mut builder = offering(&parts)
        .settings(Settings::default())
        .server_settings(server_settings(options))
        .message(concat!("Chartroom ", env!("CARGO_PKG_VERSION")))
        .authenticate(Arc::new(AtGate { gate, links }))
        .policy(policy::of(options, parts.state.as_deref())?);
    if let Some(store) = rooms.store {
        builder = builder.store(store);
    }
    let runtime = builder.build().await?;
    // Nobody has set them before: the runtime is a moment old.
    let _ = parts.log_rules.set(runtime.log_rules());
    Ok(runtime)
}

/// A runtime that offers everything.
fn offering(parts: &Arc<Parts>) -> RuntimeBuilder {
    capabilities(parts)
        .into_iter()
        .fold(Runtime::builder(), RuntimeBuilder::capability)
}

fn capabilities(parts: &Arc<Parts>) -> Vec<Capability> {
    vec![
        echo::capability(),
        files::capability(parts),
        image::capability(parts),
        jobs::capability(parts),
        scripting::capability(parts),
        server::capability(parts),
        sessions::capability(parts),
    ]
}

fn server_settings(options: &Options) -> ServerSettings {
    ServerSettings {
        prefix: options.url_prefix.clone(),
        // Not `*`: pages of this interface come with the cookie of their user, which no page of just anybody may use.
        allowed_origins: options
            .allowed_origins
            .iter()
            .filter(|origin| *origin != "*")
            .cloned()
            .collect(),
        // What a proxy would say can be said by anybody who is no page, and lets nobody in.
        behind_proxy: true,
        max_message_bytes: options.max_message_size,
        retention: options.session_retention,
        ..ServerSettings::default()
    }
}

#[cfg(test)]
mod schemas;
