//! What a server remembers of itself between its lives: how often it was started, and what it signs cookies with.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use chartroom_session::SessionError;
use chartroom_session::store::Timestamp;
use serde::{Deserialize, Serialize};

use super::cookie::CookieKeys;
use super::id::ClientId;
use crate::archive::{Archive, Entry, Kept, Kind};
use crate::settings::CookieSettings;

/// For as long as a server is not started at all.
const KEPT: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// One life of a server.
#[derive(Debug)]
pub(crate) struct Life {
    archive: Arc<Archive>,
    entry: Entry,
    generation: u64,
    cookie: CookieSettings,
    ring: Mutex<Ring>,
}

/// Keys, and since when the current one is.
#[derive(Debug, Clone)]
struct Ring {
    keys: CookieKeys,
    since: Timestamp,
}

/// How it is stored: JSON, keys in base64url.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Stored {
    generation: u64,
    keys: Option<StoredRing>,
}

#[derive(Serialize, Deserialize)]
struct StoredRing {
    current: String,
    previous: Option<String>,
    since: u64,
}

impl Life {
    /// Begins a life after those that left `kept`; entries that are none of this kind are passed over.
    ///
    /// # Errors
    /// [`SessionError::Random`] if the operating system has no random numbers.
    pub(crate) fn begin(
        cookie: CookieSettings,
        archive: Arc<Archive>,
        kept: Vec<Kept>,
    ) -> Result<Self, SessionError> {
        let mut newest: Option<(Stored, Entry)> = None;
        for kept in kept.into_iter().filter(|kept| kept.kind == Kind::Server) {
            let stored: Stored = serde_json::from_slice(&kept.body).unwrap_or_else(|error| {
                tracing::warn!(%error, "What the server remembered of itself cannot be read.");
                Stored::default()
            });
            let older = match &newest {
                Some((other, _)) if other.generation >= stored.generation => Some(kept.entry),
                _ => newest.replace((stored, kept.entry)).map(|(_, entry)| entry),
            };
            if let Some(older) = older {
                older.remove();
            }
        }
        let (stored, entry) = match newest {
            Some(newest) => newest,
            None => (Stored::default(), archive.entry(Kind::Server)?),
        };
        let known = stored.keys.and_then(StoredRing::read);
        let ring = match (&cookie.keys, known) {
            (Some(keys), _) => Ring {
                keys: keys.clone(),
                since: archive.now(),
            },
            (None, Some(ring)) => ring,
            (None, None) => Ring {
                keys: CookieKeys::random()?,
                since: archive.now(),
            },
        };
        let life = Self {
            archive,
            entry,
            generation: stored.generation + 1,
            cookie,
            ring: Mutex::new(ring.clone()),
        };
        life.write(&ring);
        Ok(life)
    }

    /// The number of this life, from 1. Without a store that outlives the process it is always 1.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The value of a cookie for `client`.
    ///
    /// # Errors
    /// [`SessionError::Random`] if the operating system has no random numbers.
    pub(crate) fn sign(&self, client: &ClientId) -> Result<String, SessionError> {
        let now = self.archive.now();
        let keys = self.keys(now)?;
        Ok(keys.sign(client, now + self.cookie.lifetime))
    }

    /// The client of a cookie, if this server or a former life of it has signed it, and it is still valid.
    pub(crate) fn verify(&self, value: &str) -> Option<ClientId> {
        let keys = self.lock().keys.clone();
        keys.verify(value, self.archive.now())
    }

    /// The keys to sign with now, changed if it is time.
    fn keys(&self, now: Timestamp) -> Result<CookieKeys, SessionError> {
        let mut ring = self.lock();
        if self.cookie.keys.is_none() && ring.since + self.cookie.key_lifetime <= now {
            *ring = Ring {
                keys: ring.keys.rotated()?,
                since: now,
            };
            self.write(&ring);
        }
        Ok(ring.keys.clone())
    }

    fn write(&self, ring: &Ring) {
        let stored = Stored {
            generation: self.generation,
            // Whoever gave the keys keeps them.
            keys: self.cookie.keys.is_none().then(|| StoredRing::from(ring)),
        };
        match serde_json::to_vec(&stored) {
            Ok(body) => self.entry.write(Bytes::from(body), KEPT),
            Err(error) => {
                tracing::error!(%error, "The server cannot write down what it is to remember of itself.");
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<&Ring> for StoredRing {
    fn from(ring: &Ring) -> Self {
        Self {
            current: URL_SAFE_NO_PAD.encode(ring.keys.current),
            previous: ring.keys.previous.map(|key| URL_SAFE_NO_PAD.encode(key)),
            since: ring.since.0,
        }
    }
}

impl StoredRing {
    fn read(self) -> Option<Ring> {
        let key = |text: String| URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok();
        Some(Ring {
            keys: CookieKeys {
                current: key(self.current)?,
                previous: self.previous.and_then(key),
            },
            since: Timestamp(self.since),
        })
    }
}
