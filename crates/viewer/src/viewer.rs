//! What all sessions share: the folders, the open images, the caches and the scheduler.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use chartroom_icd::Outgoing;
use chartroom_image::OpenOptions;
use chartroom_sched::Scheduler;
use chartroom_session::{SessionId, Weigh};

use crate::ViewerError;
use crate::cache::Cache;
use crate::folders::Folders;
use crate::image::Image;
use crate::planes::Key;
use crate::session::ViewerSession;

/// How sessions are to behave.
#[derive(Debug, Clone)]
pub struct ViewerOptions {
    /// Where files may be found.
    pub folders: Folders,
    /// Whether clients may change nothing.
    pub read_only: bool,
    /// Whether programs may drive sessions.
    pub scripting: bool,
    /// Bytes that caches of pixels may hold, over all sessions.
    pub cache_bytes: usize,
    /// Bytes that may wait for one client before producers wait.
    pub outbox_bytes: usize,
    /// Bytes of requests that may wait for one session before its link is not read any more.
    pub mailbox_bytes: u32,
    /// What clients are told of the server, by name.
    pub platform: Vec<(String, String)>,
    /// How files are opened.
    pub open: OpenOptions,
}

/// What all CARTA sessions of a server share. Clones are the same viewer.
#[derive(Debug, Clone)]
pub struct Viewer(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: ViewerOptions,
    pub(crate) scheduler: Scheduler,
    pub(crate) cache: Arc<Cache<Key>>,
    images: Mutex<HashMap<FileKey, Weak<Image>>>,
}

/// A file as it was when it was opened; a file that changed is another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct FileKey {
    path: PathBuf,
    hdu: String,
    aips_beam: bool,
    size: u64,
    modified: Option<SystemTime>,
}

impl Viewer {
    /// A viewer without sessions.
    #[must_use]
    pub fn new(options: ViewerOptions, scheduler: Scheduler) -> Self {
        let cache = Arc::new(Cache::new(options.cache_bytes));
        Self(Arc::new(Shared {
            options,
            scheduler,
            cache,
            images: Mutex::default(),
        }))
    }

    /// Starts a session. Must be called on a tokio runtime.
    #[must_use]
    pub fn start_session(&self, id: SessionId) -> ViewerSession {
        ViewerSession::start(self, id)
    }

    /// How sessions behave.
    #[must_use]
    pub fn options(&self) -> &ViewerOptions {
        &self.0.options
    }
}

impl Shared {
    /// Opens an image, or gives the one that is open already. Reads from the disk: for jobs only.
    pub(crate) fn open(
        &self,
        path: &Path,
        hdu: &str,
        aips_beam: bool,
        interrupt: chartroom_image::Interrupt<'_>,
    ) -> Result<Arc<Image>, ViewerError> {
        let metadata = std::fs::metadata(path).map_err(|_| ViewerError::Missing {
            path: path.to_owned(),
        })?;
        let key = FileKey {
            path: path.to_owned(),
            hdu: hdu.to_owned(),
            aips_beam,
            size: metadata.len(),
            modified: metadata.modified().ok(),
        };
        let known = self
            .images
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .and_then(Weak::upgrade);
        if let Some(image) = known {
            return Ok(image);
        }
        let options = OpenOptions {
            aips_beam,
            ..self.options.open.clone()
        };
        let opened = chartroom_image::open(path, hdu, &options, interrupt)?;
        let image = Arc::new(Image::new(opened, Arc::clone(&self.cache)));
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.retain(|_, image| image.strong_count() > 0);
        images.insert(key, Arc::downgrade(&image));
        Ok(image)
    }
}

/// A message on its way to a client, as the outbox holds it.
#[derive(Debug)]
pub struct Parcel(pub(crate) Outgoing);

impl Parcel {
    /// The encoded message.
    #[must_use]
    pub fn into_outgoing(self) -> Outgoing {
        self.0
    }
}

impl Weigh for Parcel {
    fn bytes(&self) -> usize {
        self.0.held_bytes()
    }
}
