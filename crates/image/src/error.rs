//! The one error of this room.

use std::path::{Path, PathBuf};

/// What can go wrong while an image is opened, described or read.
///
/// Every message is a sentence that names the file and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file is not there.
    #[error("File {} does not exist.", path.display())]
    NotFound {
        /// The path as the user named it.
        path: PathBuf,
    },
    /// The file is there, but could not be read.
    #[error("File {} could not be read.", path.display())]
    Io {
        /// The path as the user named it.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not of a format that is known here.
    #[error("Unsupported format: {reason}")]
    Unsupported {
        /// What is not supported.
        reason: String,
    },
    /// The file breaks its own format.
    #[error("The file is damaged: {reason}")]
    Malformed {
        /// What is wrong and where.
        reason: String,
    },
    /// The file needs more room than there is.
    #[error("Too large: {reason}")]
    TooLarge {
        /// What does not fit where.
        reason: String,
    },
    /// The caller asked for pixels outside the image or gave a buffer of another size.
    #[error("Invalid request: {reason}")]
    Request {
        /// What does not fit.
        reason: String,
    },
    /// The caller's [`crate::Interrupt`] asked to stop.
    #[error("The reading was cancelled.")]
    Interrupted,
}

impl ImageError {
    /// What the operating system said about `path`, with "not there" told apart.
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound { path },
            _ => Self::Io { path, source },
        }
    }

    /// Names the file in a message about its content.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        let named = |reason: String| format!("{}: {reason}", path.display());
        match self {
            Self::Unsupported { reason } => Self::Unsupported {
                reason: named(reason),
            },
            Self::Malformed { reason } => Self::Malformed {
                reason: named(reason),
            },
            other => other,
        }
    }
}
