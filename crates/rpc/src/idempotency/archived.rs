//! Outcomes in the store of the runtime, for those who ask again after a restart.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Outcome, OutcomeStore};
use crate::RpcError;
use crate::archive::{Archive, Entry, Kept, Kind};

/// For how long an outcome is kept.
const KEEP: Duration = Duration::from_secs(24 * 3600);
/// Bytes of outcomes that are kept; the oldest go first.
const BYTES: usize = 16 << 20;
/// The largest outcome that is worth it.
const LARGEST: usize = 1 << 20;
/// What an outcome is counted for besides its key and text.
const ENTRY: usize = 256;

/// Outcomes that outlive the server. An outcome is stored before its answer leaves: who has it, and asks again, gets it
/// again, whatever happens to the server in between.
#[derive(Debug)]
pub(crate) struct Archived {
    archive: Arc<Archive>,
    outcomes: Mutex<Outcomes>,
}

#[derive(Debug, Default)]
struct Outcomes {
    by_key: HashMap<Arc<str>, (Entry, Bytes)>,
    order: VecDeque<Arc<str>>,
    bytes: usize,
}

/// An outcome as it is written, in JSON.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    key: &'a str,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    reply: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<RpcError>,
}

impl Archived {
    /// The outcomes of former lives; entries that are none are removed.
    pub(crate) fn open(archive: Arc<Archive>, mut kept: Vec<Kept>) -> Self {
        kept.retain(|kept| kept.kind == Kind::Outcome);
        kept.sort_by_key(|kept| kept.remaining);
        let mut outcomes = Outcomes::default();
        for kept in kept {
            let text = kept.body;
            match serde_json::from_slice::<Written<'_>>(&text) {
                Ok(written) => outcomes.insert(written.key.into(), kept.entry, text.clone()),
                Err(error) => {
                    tracing::warn!(%error, "a stored outcome cannot be read");
                    kept.entry.remove();
                }
            }
        }
        Self {
            archive,
            outcomes: Mutex::new(outcomes),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Outcomes> {
        // Nothing that may panic runs under the lock.
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &str) -> Option<Outcome> {
        let text = self.lock().by_key.get(key).map(|(_, text)| text.clone())?;
        let written: Written<'_> = serde_json::from_slice(&text).ok()?;
        match (written.reply, written.error) {
            (Some(reply), _) => Some(Ok(reply.to_owned())),
            (None, Some(error)) => Some(Err(error)),
            (None, None) => None,
        }
    }

    /// Keeps an outcome; ready when it is stored, or cannot be.
    fn keep(&self, key: &str, outcome: &Outcome) -> BoxFuture<'static, ()> {
        let nothing = std::future::ready(()).boxed();
        let written = Written {
            key,
            reply: outcome.as_ref().ok().map(AsRef::as_ref),
            error: outcome.as_ref().err().cloned(),
        };
        let Ok(text) = serde_json::to_vec(&written) else {
            return nothing;
        };
        if text.len() > LARGEST {
            return nothing;
        }
        let text = Bytes::from(text);
        match self.archive.entry(Kind::Outcome) {
            Ok(entry) => {
                entry.write(text.clone(), KEEP);
                let stored = entry.stored();
                self.lock().insert(key.into(), entry, text);
                stored
            }
            Err(error) => {
                tracing::error!(%error, "an outcome cannot be stored");
                nothing
            }
        }
    }
}

impl Outcomes {
    fn insert(&mut self, key: Arc<str>, entry: Entry, text: Bytes) {
        self.bytes += weight(&key, &text);
        if let Some((old, old_text)) = self.by_key.insert(Arc::clone(&key), (entry, text)) {
            self.bytes -= weight(&key, &old_text);
            old.remove();
        } else {
            self.order.push_back(key);
        }
        while self.bytes > BYTES
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some((entry, text)) = self.by_key.remove(&oldest) {
                self.bytes -= weight(&oldest, &text);
                entry.remove();
            }
        }
    }
}

impl OutcomeStore for Archived {
    fn load<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Outcome>> {
        std::future::ready(self.find(key)).boxed()
    }

    fn save<'a>(&'a self, key: &'a str, outcome: &'a Outcome) -> BoxFuture<'a, ()> {
        self.keep(key, outcome)
    }
}

fn weight(key: &str, text: &Bytes) -> usize {
    ENTRY + 2 * key.len() + text.len()
}
