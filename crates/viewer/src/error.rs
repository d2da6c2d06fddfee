//! The one error of this room.

use std::path::PathBuf;

use chartroom_image::ImageError;
use chartroom_sched::JobError;

/// Why a wish of a client could not be fulfilled. Every message is a sentence for the user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewerError {
    /// The client speaks of a file that it has not opened.
    #[error("File id {file_id} is not open.")]
    NotOpen {
        /// The number that the client gave the file.
        file_id: i32,
    },
    /// The client asks for something that the image does not have.
    #[error("{reason}")]
    Invalid {
        /// What does not fit.
        reason: String,
    },
    /// The path leads out of the folder that is served.
    #[error("The path {path} leads out of the top level folder.")]
    Outside {
        /// The path as the client spelled it.
        path: String,
    },
    /// A folder could not be read.
    #[error("Folder {path} could not be read: {source}.")]
    Folder {
        /// The folder as the client spelled it.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file or folder is not there.
    #[error("File {} does not exist.", path.display())]
    Missing {
        /// The path as the client spelled it.
        path: PathBuf,
    },
    /// The feature is not part of this server yet.
    #[error("{feature} is not supported by this server yet.")]
    Later {
        /// The feature, as the beginning of a sentence.
        feature: &'static str,
    },
    /// The image room complains.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A kernel complains of what it was given.
    #[error(transparent)]
    Compute(#[from] chartroom_compute::Error),
    /// The work was cancelled or broke.
    #[error(transparent)]
    Job(#[from] JobError),
}

impl ViewerError {
    /// Whether the work was given up because nobody wants it any more; then there is nobody to tell.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(
            self,
            Self::Job(JobError::Cancelled) | Self::Image(ImageError::Interrupted)
        )
    }

    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid {
            reason: reason.into(),
        }
    }
}
