//! FILE_LIST: what a folder holds. One pass over its entries; the files are looked into by many jobs at once.

use std::fs::{File, FileType};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chartroom_icd::messages::{self, FileListFilterMode, FileListType};
use chartroom_image::FileKind;
use chartroom_sched::{CancelToken, Class};

use crate::ViewerError;
use crate::file_info::{file_type, seconds};
use crate::folders::Folder;
use crate::session::{Actor, Context, Event, Leave, Subject, Topic};
use crate::viewer::Shared;
use crate::work::Work;

/// Entries that one job looks into: a few milliseconds of work on a local disk.
const ENTRIES_PER_JOB: usize = 256;

/// When the progress of a long listing is told first, and how often after that.
const FIRST_PROGRESS: Duration = Duration::from_secs(5);
const PROGRESS: Duration = Duration::from_secs(2);

/// Name and kind of an entry of a folder.
type Entry = (String, FileType);

/// What an entry turned out to be.
#[derive(Debug)]
enum Listed {
    File(messages::FileInfo),
    Folder(messages::DirectoryInfo),
}

/// A listing under way.
struct Listing {
    folder: Folder,
    filter: FileListFilterMode,
    looked_into: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
}

impl Actor {
    pub(crate) fn on_file_list(
        &mut self,
        request_id: u32,
        request: messages::FileListRequest,
        leave: Option<Leave>,
    ) -> Result<(), ViewerError> {
        // A new list replaces one that is still being made; both are answered.
        self.on_stop_file_list()?;
        let token = self.life.child();
        self.lists += 1;
        let number = self.lists;
        self.listing = Some((number, token.clone()));
        let context = self.context.clone();
        tokio::spawn(async move {
            let response = list(&context, &token, &request).await;
            context.retract(|subject| subject.topic == Topic::ListProgress);
            context.reply(request_id, &response);
            drop(leave);
            let _ = context.events.send(Event::Listed { number });
        });
        Ok(())
    }

    pub(crate) fn on_stop_file_list(&mut self) -> Result<(), ViewerError> {
        if let Some((_, token)) = self.listing.take() {
            token.cancel();
        }
        Ok(())
    }
}

async fn list(
    context: &Context,
    token: &CancelToken,
    request: &messages::FileListRequest,
) -> messages::FileListResponse {
    let work = context.work(Class::Interactive, token);
    let listing = match Listing::new(
        &context.viewer,
        &work,
        request.directory.clone(),
        request.filter_mode(),
    )
    .await
    {
        Ok(listing) => listing,
        Err(error) => return refusal(request, &error),
    };
    let outcome = tokio::select! {
        outcome = listing.run(&context.viewer, &work) => outcome,
        () = listing.tell(context, token) => return refusal(request, &ViewerError::invalid("The listing stopped.")),
    };
    match outcome {
        Ok(entries) => listing.response(entries),
        Err(error) if error.is_cancelled() => messages::FileListResponse {
            cancel: true,
            ..listing.response(Vec::new())
        },
        Err(error) => refusal(request, &error),
    }
}

/// What a folder holds, for somebody without a session.
pub(crate) async fn list_folder(
    viewer: &Arc<Shared>,
    work: &Work,
    directory: String,
) -> Result<messages::FileListResponse, ViewerError> {
    let listing = Listing::new(viewer, work, directory, FileListFilterMode::Content).await?;
    let entries = listing.run(viewer, work).await?;
    Ok(listing.response(entries))
}

fn refusal(request: &messages::FileListRequest, error: &ViewerError) -> messages::FileListResponse {
    messages::FileListResponse {
        message: error.to_string(),
        directory: request.directory.clone(),
        cancel: error.is_cancelled(),
        ..Default::default()
    }
}

impl Listing {
    async fn new(
        viewer: &Arc<Shared>,
        work: &Work,
        directory: String,
        filter: FileListFilterMode,
    ) -> Result<Self, ViewerError> {
        let viewer = Arc::clone(viewer);
        let folder = work
            .run(move |_| viewer.options.folders.folder(&directory))
            .await?;
        Ok(Self {
            folder,
            filter,
            looked_into: Arc::default(),
            total: Arc::default(),
        })
    }

    fn response(&self, entries: Vec<Listed>) -> messages::FileListResponse {
        let mut response = messages::FileListResponse {
            success: true,
            directory: self.folder.name.clone(),
            parent: self.folder.parent(),
            ..Default::default()
        };
        for entry in entries {
            match entry {
                Listed::File(file) => response.files.push(file),
                Listed::Folder(folder) => response.subdirectories.push(folder),
            }
        }
        response.files.sort_by(|a, b| a.name.cmp(&b.name));
        response.subdirectories.sort_by(|a, b| a.name.cmp(&b.name));
        response
    }

    async fn run(&self, viewer: &Arc<Shared>, work: &Work) -> Result<Vec<Listed>, ViewerError> {
        let folder = self.folder.clone();
        let names = work
            .run(move |token| {
                let unreadable = |source| ViewerError::Folder {
                    path: folder.name.clone(),
                    source,
                };
                let mut names = Vec::new();
                for entry in std::fs::read_dir(&folder.path).map_err(unreadable)? {
                    if token.is_cancelled() {
                        return Err(chartroom_image::ImageError::Interrupted.into());
                    }
                    // An entry that vanishes meanwhile is not there.
                    let Ok(entry) = entry else { continue };
                    let Ok(kind) = entry.file_type() else {
                        continue;
                    };
                    let Ok(name) = entry.file_name().into_string() else {
                        continue;
                    };
                    if !name.starts_with('.') {
                        names.push((name, kind));
                    }
                }
                Ok(names)
            })
            .await?;
        self.total.store(names.len() as u64, Ordering::Relaxed);
        let (folder, filter, looked_into) = (
            self.folder.path.clone(),
            self.filter,
            Arc::clone(&self.looked_into),
        );
        let viewer = Arc::clone(viewer);
        let pieces: Vec<Vec<Entry>> = names.chunks(ENTRIES_PER_JOB).map(<[Entry]>::to_vec).collect();
        let listed = work
            .each(pieces, move |entries, token| {
                let mut listed = Vec::with_capacity(entries.len());
                for entry in entries {
                    if token.is_cancelled() {
                        return Err(chartroom_image::ImageError::Interrupted.into());
                    }
                    listed.extend(look_into(viewer.options.folders.top(), &folder, entry, filter));
                    looked_into.fetch_add(1, Ordering::Relaxed);
                }
                Ok(listed)
            })
            .await?;
        Ok(listed.into_iter().flatten().collect())
    }

    /// Tells the client how far the listing has come, for ever.
    async fn tell(&self, context: &Context, token: &CancelToken) {
        tokio::time::sleep(FIRST_PROGRESS).await;
        loop {
            let (done, total) = (
                self.looked_into.load(Ordering::Relaxed),
                self.total.load(Ordering::Relaxed),
            );
            let number = |n: u64| i32::try_from(n).unwrap_or(i32::MAX);
            let message = messages::ListProgress {
                file_list_type: FileListType::Image.into(),
                percentage: done as f32 / total.max(1) as f32,
                checked_count: number(done),
                total_count: number(total),
            };
            let subject = Subject {
                file_id: None,
                topic: Topic::ListProgress,
            };
            context.send_newest(subject, token, &message).await;
            tokio::time::sleep(PROGRESS).await;
        }
    }
}

/// What an entry of a folder is; `None` if it is not to be shown. Links are followed, but not out of the top. Each
/// entry costs as few calls of the operating system as its kind allows.
fn look_into(top: &Path, folder: &Path, (name, kind): Entry, filter: FileListFilterMode) -> Option<Listed> {
    let mut path: PathBuf = folder.join(&name);
    let mut kind = kind;
    if kind.is_symlink() {
        path = path.canonicalize().ok().filter(|real| real.starts_with(top))?;
        kind = std::fs::metadata(&path).ok()?.file_type();
    }
    if kind.is_dir() {
        let metadata = std::fs::metadata(&path).ok()?;
        return Some(folder_entry(&path, name, &metadata));
    }
    if !kind.is_file() {
        return None;
    }
    let (kind, metadata) = match filter {
        FileListFilterMode::Content => {
            let mut file = File::open(&path).ok()?;
            let kind = chartroom_image::probe_open(&mut file).ok().flatten()?;
            (Some(kind), file.metadata().ok()?)
        }
        FileListFilterMode::Extension => (Some(by_extension(&name)?), std::fs::metadata(&path).ok()?),
        FileListFilterMode::AllFiles => (by_extension(&name), std::fs::metadata(&path).ok()?),
    };
    let size = metadata.len();
    Some(Listed::File(file_entry(name, kind, &metadata, size)))
}

/// A folder, or the image that it is.
fn folder_entry(path: &Path, name: String, metadata: &std::fs::Metadata) -> Listed {
    if let Some(kind) = chartroom_image::probe_folder(path) {
        let files = std::fs::read_dir(path).into_iter().flatten().flatten();
        let size = files
            .filter_map(|file| file.metadata().ok())
            .map(|m| m.len())
            .sum();
        return Listed::File(file_entry(name, Some(kind), metadata, size));
    }
    let count = std::fs::read_dir(path).map_or(0, |entries| {
        let shown = |e: &std::fs::DirEntry| !e.file_name().to_string_lossy().starts_with('.');
        entries.flatten().filter(shown).count()
    });
    Listed::Folder(messages::DirectoryInfo {
        name,
        item_count: i32::try_from(count).unwrap_or(i32::MAX),
        date: seconds(metadata),
    })
}

fn file_entry(
    name: String,
    kind: Option<FileKind>,
    metadata: &std::fs::Metadata,
    size: u64,
) -> messages::FileInfo {
    messages::FileInfo {
        name,
        r#type: file_type(kind).into(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        hdu_list: vec![String::new()],
        date: seconds(metadata),
    }
}

/// The kind of image that a name promises.
fn by_extension(name: &str) -> Option<FileKind> {
    let name = name.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends(&[".fits.gz", ".fit.gz", ".fts.gz"]) {
        return Some(FileKind::FitsGzip);
    }
    if ends(&[".fits", ".fit", ".fts", ".fits.fz", ".fz"]) {
        return Some(FileKind::Fits);
    }
    if ends(&[".hdf5", ".h5"]) {
        return Some(FileKind::Hdf5);
    }
    None
}
