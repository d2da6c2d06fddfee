//! From a path to an image.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bytes::{ByteSource, FileSource};
use crate::fits::{self, FitsFile, ImageHdu};
use crate::spill::{SpillSpace, SpilledSource, gzip_reader, unpack_error};
use crate::{BlockCache, FileKind, ImageError, ImageSource, Interrupt};

/// How images are opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Whether the beam may come from the HISTORY cards of AIPS.
    pub aips_beam: bool,
    /// Where files compressed with gzip are unpacked; without it they are described, but not opened.
    pub spill: Option<Arc<SpillSpace>>,
    /// Where images in compressed tiles keep those that they decoded; without it, each image keeps a few of its own.
    pub cache: Option<Arc<BlockCache>>,
    /// Errors name files below this folder by their path from there, so that whoever reads them does not learn where on the
    /// machine it is; without it, and elsewhere, by the path with which they were opened.
    pub root: Option<PathBuf>,
}

impl OpenOptions {
    fn place<'a>(&self, path: &'a Path) -> Place<'a> {
        let below = self.root.as_ref().and_then(|root| path.strip_prefix(root).ok());
        let name = match below {
            Some(below) if below.as_os_str().is_empty() => Path::new("/"),
            Some(below) => below,
            None => path,
        };
        Place { path, name }
    }
}

/// Where a file is, and what errors call it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) path: &'a Path,
    pub(crate) name: &'a Path,
}

impl Place<'_> {
    /// What the operating system said about the file.
    pub(crate) fn io(&self, source: io::Error) -> ImageError {
        ImageError::io(self.name, source)
    }
}

impl<'a> From<&'a Path> for Place<'a> {
    fn from(path: &'a Path) -> Self {
        Self { path, name: path }
    }
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
    let place = options.place(path);
    let file = open_file(place, options, interrupt)?;
    let (hdu, source) = fits::open_image(&file, hdu, options).map_err(|error| error.in_file(place.name))?;
    Ok(OpenImage { hdu, source })
}

/// Describes every image of a file without reading a pixel. Of a file compressed with gzip only the first image is
/// described: it is unpacked as far as that image's header, and forgotten.
///
/// # Errors
/// As [`open`].
pub fn describe(
    path: &Path,
    options: &OpenOptions,
    interrupt: Interrupt<'_>,
) -> Result<Vec<ImageHdu>, ImageError> {
    let place = options.place(path);
    match known_kind(place)? {
        FileKind::FitsGzip => {
            // What comes in front of the image is bounded as if it were kept.
            let limit = options.spill.as_ref().map_or(u64::MAX, |space| space.quota());
            let stream = gzip_reader(place)?.take(limit);
            let image = fits::first_image(stream, place.name, interrupt)
                .and_then(|hdu| ImageHdu::describe(&hdu, options.aips_beam));
            Ok(vec![image.map_err(|error| unpacking(place.name, error))?])
        }
        _ => {
            let file = open_file(place, options, interrupt)?;
            fits::image_hdus(&file, options.aips_beam).map_err(|error| error.in_file(place.name))
        }
    }
}

fn open_file(
    place: Place<'_>,
    options: &OpenOptions,
    interrupt: Interrupt<'_>,
) -> Result<FitsFile, ImageError> {
    let kind = known_kind(place)?;
    if interrupt() {
        return Err(ImageError::Interrupted);
    }
    let source: Arc<dyn ByteSource> = match (kind, &options.spill) {
        (FileKind::Fits, _) => Arc::new(FileSource::open_as(place)?),
        (FileKind::FitsGzip, Some(space)) => Arc::new(SpilledSource::unpack(place, space, interrupt)?),
        (other, _) => {
            let reason = format!("{} is {other}, which cannot be opened.", place.name.display());
            return Err(ImageError::Unsupported { reason });
        }
    };
    FitsFile::open(source).map_err(|error| error.in_file(place.name))
}

fn known_kind(place: Place<'_>) -> Result<FileKind, ImageError> {
    let kind = crate::probe(place.path).map_err(|source| place.io(source))?;
    kind.ok_or_else(|| {
        let reason = format!("{} is not an image of a known format.", place.name.display());
        ImageError::Unsupported { reason }
    })
}

/// Reading a damaged gzip stream looks like trouble with the disk.
fn unpacking(name: &Path, error: ImageError) -> ImageError {
    match error {
        ImageError::Io { source, .. } => unpack_error(name, source),
        other => other.in_file(name),
    }
}
