//! FITS, the Flexible Image Transport System.
//!
//! Source: FITS Standard 4.0 (2018), <https://fits.gsfc.nasa.gov/fits_standard.html>.

mod beam_table;
mod beams;
mod card;
mod compressed;
mod describe;
mod hdu;
mod header;
mod image;
mod pixels;
mod plan;
mod view;

use std::sync::Arc;

pub use beams::of_aips_history;
pub use card::{CARD, Card, Value};
pub use compressed::CompressedImage;
pub use describe::describe;
pub use hdu::{FitsFile, Hdu, HduKind, first_image};
pub use header::{BLOCK, HEADER_LIMIT, Header};
pub use image::FitsImage;
pub use pixels::Scaling;
pub use view::image_header;

use crate::{ImageDescription, ImageError, ImageSource, OpenOptions};

/// An image in a FITS file, described but not opened.
#[derive(Debug, Clone)]
pub struct ImageHdu {
    /// Number of its HDU, counted from 0.
    pub number: usize,
    /// EXTNAME, empty if it has none.
    pub name: String,
    /// The image's header; for a compressed image, that of the image in it.
    pub header: Header,
    /// What is known without reading a pixel.
    pub description: ImageDescription,
    /// Whether the pixels are in compressed tiles.
    pub compressed: bool,
}

impl ImageHdu {
    /// Describes the image in one HDU, without a table of beams that another HDU may hold. `aips_beam` allows the beam
    /// to come from the HISTORY of AIPS, if there is no other.
    ///
    /// # Errors
    /// [`ImageError::Unsupported`] if the HDU holds no image, [`ImageError::Malformed`] if its header is damaged.
    pub fn describe(hdu: &Hdu, aips_beam: bool) -> Result<Self, ImageError> {
        if !hdu.is_image() {
            let reason = match hdu.kind {
                HduKind::RandomGroups => format!("HDU {} holds random groups, not an image.", hdu.number),
                _ => format!("HDU {} holds no image.", hdu.number),
            };
            return Err(ImageError::Unsupported { reason });
        }
        let compressed = hdu.kind == HduKind::CompressedImage;
        let header = if compressed {
            image_header(&hdu.header)
        } else {
            hdu.header.clone()
        };
        let mut description = describe(&header)?;
        if aips_beam && description.beams.is_empty() {
            description.beams.extend(of_aips_history(&header));
        }
        Ok(Self {
            number: hdu.number,
            name: hdu.name().to_owned(),
            header,
            description,
            compressed,
        })
    }
}

/// Describes every image of a file, in the order of the file. Images whose headers are damaged are left out as long
/// as there is another one. `aips_beam` as for [`ImageHdu::describe`].
///
/// # Errors
/// [`ImageError::Unsupported`] if there is no image, [`ImageError::Malformed`] if there are only damaged ones.
pub fn image_hdus(file: &FitsFile, aips_beam: bool) -> Result<Vec<ImageHdu>, ImageError> {
    let mut images = Vec::new();
    let mut damage = None;
    for hdu in file.hdus().iter().filter(|hdu| hdu.is_image()) {
        match describe_in(file, hdu, aips_beam) {
            Ok(image) => images.push(image),
            Err(error) => damage = damage.or(Some(error)),
        }
    }
    match damage {
        _ if !images.is_empty() => Ok(images),
        Some(error) => Err(error),
        None => file.find("").map(|_| images),
    }
}

/// Opens one image of a file; `hdu` is a name as for [`FitsFile::find`].
///
/// # Errors
/// As [`FitsFile::find`], [`ImageHdu::describe`], [`FitsImage::open`] and [`CompressedImage::open`].
pub fn open_image(
    file: &FitsFile,
    hdu: &str,
    options: &OpenOptions,
) -> Result<(ImageHdu, Arc<dyn ImageSource>), ImageError> {
    let hdu = file.find(hdu)?;
    let image = describe_in(file, hdu, options.aips_beam)?;
    let (bytes, beams) = (Arc::clone(file.source()), image.description.beams.clone());
    if !image.compressed {
        return Ok((image, Arc::new(FitsImage::open(bytes, hdu)?.with_beams(beams))));
    }
    let mut source = CompressedImage::open(bytes, hdu)?.with_beams(beams);
    if let Some(cache) = &options.cache {
        source = source.with_cache(Arc::clone(cache));
    }
    Ok((image, Arc::new(source)))
}

/// As [`ImageHdu::describe`], with the beams of a table in the same file. A damaged table does not keep anyone from the
/// image: it then has the beam of its header, or none.
fn describe_in(file: &FitsFile, hdu: &Hdu, aips_beam: bool) -> Result<ImageHdu, ImageError> {
    let mut image = ImageHdu::describe(hdu, aips_beam)?;
    let beams = beam_table::read(file, &image.header, &image.description).unwrap_or_default();
    if !beams.is_empty() {
        image.description.beams = beams;
    }
    Ok(image)
}
