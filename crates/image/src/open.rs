//! From a path to an image.

use std::path::Path;
use std::sync::Arc;

use crate::bytes::FileSource;
use crate::fits::{self, FitsFile, ImageHdu};
use crate::{FileKind, ImageError, ImageSource, Interrupt};

/// How images are opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Whether the beam may come from the HISTORY cards of AIPS.
    pub aips_beam: bool,
}

/// An open image with its header.
#[derive(Debug, Clone)]
pub struct OpenImage {
    /// The image's HDU: number, name, header, description.
    pub hdu: ImageHdu,
    /// The pixels.
    pub source: Arc<dyn ImageSource>,
}

/// Opens an image without reading a pixel. `hdu` is its number as text, its EXTNAME, or empty for the first image of
/// the file.
///
/// # Errors
/// [`ImageError::NotFound`], [`ImageError::Io`]; [`ImageError::Unsupported`] for other formats and for HDUs that hold
/// no image; [`ImageError::Malformed`] if headers are damaged or the file is shorter than they say.
pub fn open(
    path: &Path,
    hdu: &str,
    options: &OpenOptions,
    interrupt: Interrupt<'_>,
) -> Result<OpenImage, ImageError> {
    let file = open_file(path, options, interrupt)?;
    let (hdu, source) =
        fits::open_image(&file, hdu, options.aips_beam).map_err(|error| error.in_file(path))?;
    Ok(OpenImage { hdu, source })
}

/// Describes every image of a file without reading a pixel.
///
/// # Errors
/// As [`open`].
pub fn describe(
    path: &Path,
    options: &OpenOptions,
    interrupt: Interrupt<'_>,
) -> Result<Vec<ImageHdu>, ImageError> {
    let file = open_file(path, options, interrupt)?;
    fits::image_hdus(&file, options.aips_beam).map_err(|error| error.in_file(path))
}

fn open_file(path: &Path, _options: &OpenOptions, interrupt: Interrupt<'_>) -> Result<FitsFile, ImageError> {
    let kind = crate::probe(path).map_err(|source| ImageError::io(path, source))?;
    if interrupt() {
        return Err(ImageError::Interrupted);
    }
    let source: Arc<dyn crate::bytes::ByteSource> = match kind {
        Some(FileKind::Fits) => Arc::new(FileSource::open(path)?),
        Some(other) => {
            let reason = format!("{} is {other}, which cannot be opened.", path.display());
            return Err(ImageError::Unsupported { reason });
        }
        None => {
            let reason = format!("{} is not an image of a known format.", path.display());
            return Err(ImageError::Unsupported { reason });
        }
    };
    FitsFile::open(source).map_err(|error| error.in_file(path))
}
