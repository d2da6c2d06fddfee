//! Who there is, what each may do, and the settings of each.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use chartroom_viewer::{Access, Grant};
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::{Map, Value};

use crate::{
    auth::Principal,
    error::ServerError,
    folders,
    keys::{self, Attempts, Key, KeyRefusal, KeyRing},
    options::Options,
    permissions::{Permission, Permissions},
    store::{Collection, Name, Store, StoreError},
};

/// Somebody who has come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) principal: Principal,
    /// What the principal may do on this server, as it was started.
    pub(crate) permissions: Permissions,
}

/// Everybody whom a server knows: who holds its token, who has an access key, and anybody where none is asked for.
///
/// The settings of the owner and of anonymous users lie in the state folder itself, those of a key's principal in a
/// folder of its own. Clones are the same accounts.
#[derive(Debug, Clone)]
pub struct Accounts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keys: Option<KeyRing>,
    attempts: Attempts,
    stores: Option<Stores>,
    read_only: bool,
    scripting: bool,
}

#[derive(Debug)]
struct Stores {
    folder: PathBuf,
    read_only: bool,
    shared: Arc<Store>,
    /// By name of the principal. As many as there are keys.
    own: Mutex<HashMap<Principal, Arc<Store>>>,
}

impl Accounts {
    /// Opens the keys and settings in the state folder, on a blocking thread.
    ///
    /// # Errors
    /// [`ServerError::Folder`] if a state folder was asked for and can not be used.
    pub async fn open(options: &Options) -> Result<Self, ServerError> {
        let options = options.clone();
        let opened = tokio::task::spawn_blocking(move || Self::open_now(&options)).await;
        opened.unwrap_or_else(|error| {
            Err(ServerError::System {
                what: "Keys and settings could not be opened",
                source: error.into(),
            })
        })
    }

    fn open_now(options: &Options) -> Result<Self, ServerError> {
        let folder = options.state_dir.clone().or_else(folders::default_state_folder);
        let keys = folder
            .as_ref()
            .map(|folder| KeyRing::new(folder.join(keys::FILE)));
        Ok(Self(Arc::new(Inner {
            keys,
            attempts: Attempts::new(Instant::now()),
            stores: stores(options, folder)?,
            read_only: options.read_only,
            scripting: options.scripting,
        })))
    }

    /// Whether settings are kept at all.
    pub(crate) fn keep_settings(&self) -> bool {
        self.0.stores.is_some()
    }

    /// Who holds the token.
    pub(crate) fn owner(&self) -> Identity {
        self.identity(Principal::owner(), Permissions::all())
    }

    /// Anybody, where no token is asked for.
    pub(crate) fn anonymous(&self) -> Identity {
        self.identity(Principal::anonymous(), Permissions::all())
    }

    /// A program of whoever needs no access key: the owner, if a token is asked for, or anybody.
    pub(crate) fn program(&self, owned: bool) -> Identity {
        let principal = match owned {
            true => Principal::owner(),
            false => Principal::anonymous(),
        };
        self.identity(principal, Permissions::script())
    }

    /// The one to whom the first right one of these texts, which look like keys, belongs.
    ///
    /// # Errors
    /// Why the first of them opens nothing.
    pub(crate) async fn identify(&self, texts: Vec<String>) -> Result<Identity, KeyRefusal> {
        self.off_thread(move |accounts| accounts.identify_now(&texts, SystemTime::now()))
            .await
            .unwrap_or(Err(KeyRefusal::Unreadable))
    }

    /// The settings of `principal`, opened at the first use; `None` if none are kept. Blocks.
    ///
    /// # Errors
    /// [`StoreError`] if they can not be opened.
    pub(crate) fn settings(&self, principal: &Principal) -> Result<Option<Arc<Store>>, StoreError> {
        self.0
            .stores
            .as_ref()
            .map(|stores| stores.of(principal))
            .transpose()
    }

    fn identity(&self, principal: Principal, permissions: Permissions) -> Identity {
        let permissions = if self.0.read_only {
            permissions.without(Permission::Write)
        } else {
            permissions
        };
        Identity {
            principal,
            permissions,
        }
    }

    fn holder(&self, key: &Key) -> Identity {
        self.identity(Principal::with_key(&key.name), key.permissions)
    }

    fn identify_now(&self, texts: &[String], now: SystemTime) -> Result<Identity, KeyRefusal> {
        let Some(keys) = &self.0.keys else {
            return Err(KeyRefusal::Unknown);
        };
        let mut refusal = None;
        for text in texts {
            match keys.find(text, now) {
                Ok(key) => return Ok(self.holder(&key)),
                Err(reason) => refusal = refusal.or(Some(reason)),
            }
        }
        let refusal = refusal.unwrap_or(KeyRefusal::Unknown);
        if !self.0.attempts.count(Instant::now()) {
            return Err(KeyRefusal::TooMany);
        }
        tracing::warn!("an access key opened nothing: {refusal}");
        Err(refusal)
    }

    /// The one who came in as `principal` before.
    fn known(&self, principal: &str, now: SystemTime) -> Result<Identity, KeyRefusal> {
        for identity in [self.owner(), self.anonymous()] {
            if identity.principal.as_str() == principal {
                return Ok(identity);
            }
        }
        let keys = self.0.keys.as_ref().ok_or(KeyRefusal::Unknown)?;
        keys.named(principal, now).map(|key| self.holder(&key))
    }

    fn grant_now(&self, principal: &str, api_key: String, now: SystemTime) -> Result<Grant, KeyRefusal> {
        let identity = if api_key.is_empty() {
            self.known(principal, now)?
        } else {
            self.identify_now(&[api_key], now)?
        };
        let (preferences, layouts) = self.settings_as_text(&identity.principal);
        Ok(Grant {
            principal: chartroom_session::Principal(identity.principal.as_str().into()),
            may_write: identity.permissions.contain(Permission::Write),
            may_script: self.0.scripting && identity.permissions.contain(Permission::Script),
            preferences,
            layouts,
        })
    }

    /// Preferences and layouts, each value as JSON text. What can not be read is logged and left out: it must not keep
    /// anybody from their images.
    fn settings_as_text(&self, principal: &Principal) -> (HashMap<String, String>, HashMap<String, String>) {
        let texts = |read: Result<Map<String, Value>, StoreError>| match read {
            Ok(objects) => objects
                .into_iter()
                .map(|(name, value)| (name, value.to_string()))
                .collect(),
            Err(error) => {
                tracing::error!(principal = principal.as_str(), "settings are left out: {error}");
                HashMap::new()
            }
        };
        match self.settings(principal) {
            Ok(Some(store)) => (texts(store.preferences()), texts(store.all(Collection::Layouts))),
            Ok(None) => Default::default(),
            Err(error) => (texts(Err(error)), HashMap::new()),
        }
    }

    /// Runs `work`, which looks at files, on a blocking thread; `None` if it failed.
    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        let accounts = self.clone();
        match tokio::task::spawn_blocking(move || work(&accounts)).await {
            Ok(done) => Some(done),
            Err(error) => {
                tracing::error!(%error, "looking up an account failed");
                None
            }
        }
    }
}

impl Access for Accounts {
    fn grant(
        &self,
        principal: chartroom_session::Principal,
        api_key: String,
    ) -> BoxFuture<'static, Result<Grant, String>> {
        let accounts = self.clone();
        async move {
            accounts
                .off_thread(move |accounts| accounts.grant_now(&principal.0, api_key, SystemTime::now()))
                .await
                .unwrap_or(Err(KeyRefusal::Unreadable))
                .map_err(|refusal| refusal.to_string())
        }
        .boxed()
    }
}

impl Stores {
    fn open(folder: &Path, read_only: bool) -> Result<Self, ServerError> {
        Ok(Self {
            folder: folder.to_owned(),
            read_only,
            shared: Arc::new(Store::open(folder, read_only)?),
            own: Mutex::default(),
        })
    }

    fn of(&self, principal: &Principal) -> Result<Arc<Store>, StoreError> {
        if !principal.has_key() {
            return Ok(Arc::clone(&self.shared));
        }
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = own.get(principal) {
            return Ok(Arc::clone(store));
        }
        let folder = self
            .folder
            .join("principals")
            .join(Name::new(principal.as_str())?.file_stem());
        let store = Store::open(&folder, self.read_only).map_err(|error| {
            tracing::error!("{error}");
            StoreError::Unopened
        })?;
        let store = Arc::new(store);
        own.insert(principal.clone(), Arc::clone(&store));
        Ok(store)
    }
}

fn stores(options: &Options, folder: Option<PathBuf>) -> Result<Option<Stores>, ServerError> {
    if !options.database {
        return Ok(None);
    }
    if let Some(folder) = &options.state_dir {
        return Stores::open(folder, options.read_only).map(Some);
    }
    // A folder that nobody asked for must not keep the server from starting, for instance in a container.
    let Some(folder) = folder else {
        tracing::warn!("no state folder is known, so browsers keep their own preferences; see --state-dir");
        return Ok(None);
    };
    match Stores::open(&folder, options.read_only) {
        Ok(stores) => Ok(Some(stores)),
        Err(error) => {
            tracing::warn!("{error} Browsers keep their own preferences; see --state-dir.");
            Ok(None)
        }
    }
}

#[cfg(test)]
#[path = "accounts/tests.rs"]
mod tests;
