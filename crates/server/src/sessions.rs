//! Where the sessions of this server are stored.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chartroom_rpc::views;
use chartroom_session::store::{Clock, EmbeddedStore, Keeper, Recovered, SessionStore};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    auth::{AuthToken, hex},
    error::ServerError,
    folders,
    options::Options,
    store::{file, make_private_folder},
};

/// The name of this node; nobody else can open its file.
const NODE: &str = "local";

/// The folder of the JSON RPC interface, beside the sessions: a store has one owner.
const RPC: &str = "rpc";

/// For how long a page of the JSON RPC interface, the console say, may have been quiet to be waited for. Views say only now
/// and then that they are used.
const RECENT: Duration = Duration::from_secs(24 * 3600);

/// The file with the token of the last start, beside the sessions. Only its owner may read it.
const TOKEN: &str = "token.json";

/// What has been stored, and what stores it from now on.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// `None` if sessions end with the process.
    pub(crate) keeper: Option<Arc<Keeper>>,
    /// Sessions of earlier lives of this server.
    pub(crate) recovered: Vec<Recovered>,
    /// Where the JSON RPC interface keeps what outlives the process.
    pub(crate) rpc: Option<Arc<dyn SessionStore>>,
    /// Whether a page of that interface may come back, besides the sessions.
    pages: bool,
    folder: Option<PathBuf>,
}

impl Stored {
    /// The token to ask for, if one is asked for and none was given. Pages that are open since an earlier start know the
    /// token of then: as long as there are sessions or views for them to come back to, it stays the same. Otherwise it is a new one.
    ///
    /// # Errors
    /// [`ServerError::Random`] if there are no random bytes.
    pub(crate) async fn token(&self, options: &Options) -> Result<Option<AuthToken>, ServerError> {
        if !options.require_auth || options.auth_token.is_some() {
            return Ok(options.auth_token.clone());
        }
        let Some(path) = self.folder.as_ref().map(|folder| folder.join(TOKEN)) else {
            return AuthToken::random().map(Some);
        };
        let again = self.pages || !self.recovered.is_empty();
        let token = tokio::task::spawn_blocking(move || {
            if let Some(token) = again.then(|| stored_token(&path)).flatten() {
                return Ok(token);
            }
            let token = AuthToken::random()?;
            if let Err(error) = file::write(&path, &Value::from(token.expose())) {
                tracing::warn!(%error, "open pages will have to be opened again after a restart");
            }
            Ok(token)
        });
        let failed = |source: tokio::task::JoinError| ServerError::System {
            what: "The token could not be read",
            source: source.into(),
        };
        token.await.map_err(failed)?.map(Some)
    }
}

/// The token of an earlier start.
fn stored_token(path: &Path) -> Option<AuthToken> {
    let value = file::read(path, false).ok()??;
    AuthToken::new(value.as_str()?).ok()
}

/// Opens the store of sessions about the images below `top_level`.
///
/// A store that cannot be used costs the sessions their life after the process, and not the server its start.
pub(crate) async fn stored(options: &Options, top_level: &Path) -> Stored {
    if !options.session_store {
        return Stored::default();
    }
    match open(options, top_level).await {
        Ok(stored) => {
            if !stored.recovered.is_empty() {
                tracing::info!(
                    sessions = stored.recovered.len(),
                    "sessions of an earlier start are kept"
                );
            }
            stored
        }
        Err(reason) => {
            tracing::warn!("Sessions are not stored, so they end with this process: {reason}");
            Stored::default()
        }
    }
}

async fn open(options: &Options, top_level: &Path) -> Result<Stored, String> {
    let state = options.state_dir.clone().or_else(folders::default_state_folder);
    let state = state.ok_or("no state folder is known; see --state-dir")?;
    // A session names files below the top-level folder: servers of different folders must not mix them up.
    let digest = Sha256::digest(top_level.as_os_str().as_encoded_bytes());
    let folder = state.join("sessions").join(hex(&digest[..8]));
    let opened = tokio::task::spawn_blocking({
        let folder = folder.clone();
        move || {
            make_private_folder(&folder)
                .map_err(|error| format!("{} can not be made: {error}", folder.display()))?;
            let sessions =
                EmbeddedStore::open(&folder, Clock::system()).map_err(|error| error.to_string())?;
            let rpc = open_rpc(&folder.join(RPC))
                .inspect_err(|reason| tracing::warn!("Views of pages end with this process: {reason}"));
            Ok::<_, String>((sessions, rpc.ok()))
        }
    });
    let (store, rpc) = opened.await.map_err(|error| error.to_string())??;
    if let Some(aside) = store.set_aside() {
        tracing::error!(file = %aside.display(), "the stored sessions were damaged; they were set aside");
    }
    let (keeper, recovered) = Keeper::open(Arc::new(store), NODE, options.session_retention)
        .await
        .map_err(|error| error.to_string())?;
    let pages = match &rpc {
        Some(store) => views::has_view_within(store.as_ref(), RECENT)
            .await
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "it is not known whether pages may come back");
                false
            }),
        None => false,
    };
    Ok(Stored {
        keeper: Some(Arc::new(keeper)),
        recovered,
        rpc,
        pages,
        folder: Some(folder),
    })
}

/// Opens the store of the JSON RPC interface. What is damaged is set aside by the store.
fn open_rpc(folder: &Path) -> Result<Arc<dyn SessionStore>, String> {
    make_private_folder(folder).map_err(|error| format!("{} can not be made: {error}", folder.display()))?;
    let store = EmbeddedStore::open(folder, Clock::system()).map_err(|error| error.to_string())?;
    Ok(Arc::new(store))
}
