//! What all sessions share: the folders, the open images, the caches and the scheduler.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use chartroom_icd::Outgoing;
use chartroom_image::OpenOptions;
use chartroom_sched::Scheduler;
use chartroom_session::Weigh;

use crate::ViewerError;
use crate::cache::Cache;
use crate::folders::Folders;
use crate::image::Image;
use crate::jobs::Jobs;
use crate::planes::Key;
use crate::scripting::Ticket;
use crate::session::{SessionStart, ViewerSession};

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
    pub(crate) jobs: Jobs,
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
    pub fn new(mut options: ViewerOptions, scheduler: Scheduler) -> Self {
        // Clients must not learn where on the machine their files are.
        options.open.root = Some(options.folders.top().to_owned());
        let cache = Arc::new(Cache::new(options.cache_bytes));
        Self(Arc::new(Shared {
            options,
            scheduler,
            cache,
            jobs: Jobs::default(),
            images: Mutex::default(),
        }))
    }

    /// Starts a session. Must be called on a tokio runtime.
    #[must_use]
    pub fn start_session(&self, start: SessionStart) -> ViewerSession {
        ViewerSession::start(self, start)
    }

    /// Long work under way, that of sessions among it.
    #[must_use]
    pub fn jobs(&self) -> &Jobs {
        &self.0.jobs
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
            path: self.options.folders.name(path).to_owned(),
        })?;
        let key = FileKey {
            path: path.to_owned(),
            hdu: hdu.to_owned(),
            aips_beam,
            size: metadata.len(),
            modified: metadata.modified().ok(),
        };
        if let Some(image) = self.known(&key) {
            return Ok(image);
        }
        let options = OpenOptions {
            aips_beam,
            ..self.options.open.clone()
        };
        let opened = chartroom_image::open(path, hdu, &options, interrupt)?;
        // Clients name an HDU by its number, by its name, or not at all.
        let by_number = FileKey {
            hdu: opened.hdu.number.to_string(),
            ..key.clone()
        };
        // Looked for and kept under one lock: whoever opened the file meanwhile must have the same image.
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.retain(|_, image| image.strong_count() > 0);
        let image = images
            .get(&by_number)
            .and_then(Weak::upgrade)
            .unwrap_or_else(|| Arc::new(Image::new(opened, Arc::clone(&self.cache))));
        images.insert(by_number, Arc::downgrade(&image));
        images.insert(key, Arc::downgrade(&image));
        Ok(image)
    }

    /// The image of a file that is open already.
    fn known(&self, key: &FileKey) -> Option<Arc<Image>> {
        let images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.get(key).and_then(Weak::upgrade)
    }
}

/// A message on its way to a client, as the outbox holds it.
#[derive(Debug)]
pub struct Parcel {
    message: Outgoing,
    /// Of the request of a program, which has to be known to have left.
    ticket: Option<Ticket>,
}

impl Parcel {
    pub(crate) fn new(message: Outgoing) -> Self {
        Self {
            message,
            ticket: None,
        }
    }

    pub(crate) fn of_script(message: Outgoing, ticket: Ticket) -> Self {
        let ticket = Some(ticket);
        Self { message, ticket }
    }

    /// The encoded message.
    #[must_use]
    pub fn into_outgoing(self) -> Outgoing {
        self.message
    }
}

impl Weigh for Parcel {
    fn bytes(&self) -> usize {
        self.message.held_bytes()
    }

    fn taken(&self) {
        if let Some(ticket) = &self.ticket {
            ticket.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use chartroom_sched::SchedulerOptions;

    use super::*;

    /// A FITS image of 2 × 2 bytes (FITS Standard 4.0).
    fn write_fits(path: &Path) {
        let cards = [
            "SIMPLE  =                    T",
            "BITPIX  =                    8",
            "NAXIS   =                    2",
            "NAXIS1  =                    2",
            "NAXIS2  =                    2",
            "END",
        ];
        let mut file: String = cards.iter().map(|card| format!("{card:80}")).collect();
        file.extend(std::iter::repeat_n(' ', 2880 - file.len()));
        file.extend(std::iter::repeat_n('\0', 2880));
        std::fs::write(path, file).unwrap();
    }

    #[test]
    fn a_file_that_is_opened_twice_at_once_is_one_image() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.fits");
        write_fits(&path);
        let options = ViewerOptions {
            folders: Folders::new(folder.path(), folder.path()).unwrap(),
            read_only: false,
            scripting: false,
            cache_bytes: 1 << 20,
            outbox_bytes: 1 << 20,
            mailbox_bytes: 1 << 20,
            platform: Vec::new(),
            open: OpenOptions::default(),
        };
        let viewer = Viewer::new(options, Scheduler::new(SchedulerOptions::default()).unwrap());
        for _ in 0..200 {
            let barrier = Barrier::new(2);
            let open = || {
                barrier.wait();
                viewer.0.open(&path, "", false, &|| false).unwrap()
            };
            let (one, other) = std::thread::scope(|scope| {
                let one = scope.spawn(open);
                let other = scope.spawn(open);
                (one.join().unwrap(), other.join().unwrap())
            });
            assert!(Arc::ptr_eq(&one, &other));
        }
    }
}
