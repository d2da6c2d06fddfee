//! Files and images for somebody who has no session: each question stands for itself.
//!
//! Paths are spelled, images opened and shared, and planes remembered as in sessions; see [`Viewer`].

mod image;
mod picture;

use std::fmt;
use std::sync::Arc;

use chartroom_icd::messages;
use chartroom_sched::{CancelToken, Class, Owner};

pub use self::image::{Distribution, Opened, SpectralCoordinates, Spectrum};
pub use self::picture::{Limits, Picture, PictureWish};
use crate::ViewerError;
use crate::file_info::describe;
use crate::file_list::list_folder;
use crate::viewer::{Shared, Viewer};
use crate::work::Work;

/// What all owners without a session have in common: the numbers of sessions are smaller.
const NO_SESSION: u64 = 1 << 33;

/// Answers questions about files and images until its token is cancelled.
#[derive(Clone)]
pub struct Inspector {
    viewer: Arc<Shared>,
    work: Work,
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector")
            .field("owner", &self.work.owner)
            .finish_non_exhaustive()
    }
}

/// What is known of a file without reading a pixel.
#[derive(Debug, Clone)]
pub struct FileSummary {
    /// Name, kind, size and date.
    pub file: messages::FileInfo,
    /// For each of its images the number of the HDU, and what is known of it.
    pub images: Vec<(String, messages::FileInfoExtended)>,
}

impl Viewer {
    /// Somebody who asks without a session. Those of one `asker` take turns with each other and with sessions.
    #[must_use]
    pub fn inspector(&self, asker: u32, token: &CancelToken) -> Inspector {
        let viewer = Arc::clone(&self.0);
        let work = Work {
            scheduler: viewer.scheduler.clone(),
            class: Class::Streaming,
            owner: Owner(NO_SESSION | u64::from(asker)),
            token: token.clone(),
        };
        Inspector { viewer, work }
    }
}

impl Inspector {
    /// The same with the token of a job, and with the lowest priority: somebody comes back for the answer.
    #[must_use]
    pub fn in_background(&self, token: &CancelToken) -> Self {
        let work = Work {
            class: Class::Batch,
            token: token.clone(),
            ..self.work.clone()
        };
        Self {
            viewer: Arc::clone(&self.viewer),
            work,
        }
    }

    /// What a folder holds: files with images, by their content, and folders.
    ///
    /// # Errors
    /// If there is no such folder below the top, or it cannot be read.
    pub async fn list(&self, directory: &str) -> Result<messages::FileListResponse, ViewerError> {
        list_folder(&self.viewer, &self.work, directory.to_owned()).await
    }

    /// What is known of a file; of one image if `hdu`, a number or a name, is not empty.
    ///
    /// # Errors
    /// If there is no such file below the top, or no image in it.
    pub async fn info(&self, directory: &str, file: &str, hdu: &str) -> Result<FileSummary, ViewerError> {
        let request = messages::FileInfoRequest {
            directory: directory.to_owned(),
            file: file.to_owned(),
            hdu: hdu.to_owned(),
            support_aips_beam: false,
        };
        let viewer = Arc::clone(&self.viewer);
        let (file, images) = self
            .work
            .run(move |token| describe(&viewer, &request, token))
            .await?;
        let mut images: Vec<_> = images.into_iter().collect();
        images.sort_by_key(|(hdu, _)| hdu.parse::<u32>().unwrap_or(u32::MAX));
        Ok(FileSummary { file, images })
    }

    /// Opens an image: the first one if `hdu` is empty.
    ///
    /// # Errors
    /// If there is no such file below the top, or no image in it that can be opened.
    pub async fn open(&self, directory: &str, file: &str, hdu: &str) -> Result<Opened, ViewerError> {
        let viewer = Arc::clone(&self.viewer);
        let (directory, file, hdu) = (directory.to_owned(), file.to_owned(), hdu.to_owned());
        let image = self
            .work
            .run(move |token| {
                let path = viewer.options.folders.file(&directory, &file)?;
                viewer.open(&path, &hdu, false, &|| token.is_cancelled())
            })
            .await?;
        Ok(Opened::new(image))
    }
}
