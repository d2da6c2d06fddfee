//! The parts of a FITS file: headers with the data that follow them.
//!
//! Source: FITS Standard 4.0 (2018), sections 3, 4.4.1, 6 and 7.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::header::{BLOCK, HEADER_LIMIT, Header};
use crate::bytes::ByteSource;
use crate::{ImageError, PixelType};

/// What an HDU holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HduKind {
    /// Pixels, one after the other, in the primary HDU or an IMAGE extension.
    Image,
    /// A header without data.
    Empty,
    /// An image in compressed tiles, stored in a binary table (`ZIMAGE = T`).
    CompressedImage,
    /// A binary table.
    BinaryTable,
    /// Random groups, an old form of radio visibilities.
    RandomGroups,
    /// An ASCII table or an extension of another kind.
    Other,
}

/// A header and where its data are.
#[derive(Debug, Clone)]
pub struct Hdu {
    /// Number in the file, counted from 0 for the primary HDU.
    pub number: usize,
    /// The header.
    pub header: Header,
    /// What the data are.
    pub kind: HduKind,
    /// Where the data begin in the file, in bytes.
    pub data_offset: u64,
    /// How long the data should be by the header, in bytes, without padding. The file may be shorter.
    pub data_length: u64,
}

impl Hdu {
    /// The name of the extension (EXTNAME), empty if it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.header.text("EXTNAME").unwrap_or_default()
    }

    /// Whether it holds an image, compressed or not.
    #[must_use]
    pub fn is_image(&self) -> bool {
        matches!(self.kind, HduKind::Image | HduKind::CompressedImage)
    }

    /// Makes sure that the file holds all data that the header promises. Missing padding is forgiven.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] if the file is too short.
    pub fn check_data(&self, file_length: u64) -> Result<(), ImageError> {
        let there = file_length.saturating_sub(self.data_offset);
        if there < self.data_length {
            let what = format!(
                "its data should be {} bytes long, but the file ends after {there}",
                self.data_length
            );
            return Err(self.header.malformed(&what));
        }
        Ok(())
    }
}

/// A FITS file with all its headers read.
#[derive(Debug, Clone)]
pub struct FitsFile {
    source: Arc<dyn ByteSource>,
    hdus: Vec<Hdu>,
    damage: Option<String>,
}

impl FitsFile {
    /// Reads all headers of a file, and no data.
    ///
    /// If a later header is damaged, the HDUs before it can still be used; [`FitsFile::find`] says so when a later
    /// one is asked for. Anything that follows the last HDU and is not an extension is ignored.
    ///
    /// # Errors
    /// [`ImageError::Unsupported`] if this is not a FITS file, [`ImageError::Malformed`] if its first header is
    /// damaged, [`ImageError::Io`] if it cannot be read.
    pub fn open(source: Arc<dyn ByteSource>) -> Result<Self, ImageError> {
        let path = source.path().to_owned();
        let cursor = Cursor {
            source: &*source,
            position: 0,
        };
        let mut walk = Walk::new(BufReader::with_capacity(16 * BLOCK, cursor), &path);
        let mut hdus = Vec::new();
        let mut damage = None;
        loop {
            match walk.next() {
                Ok(Some(hdu)) => hdus.push(hdu),
                Ok(None) => break,
                Err(ImageError::Malformed { reason }) if !hdus.is_empty() => {
                    damage = Some(reason);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        drop(walk);
        Ok(Self { source, hdus, damage })
    }

    /// The HDUs, in the order of the file. Never empty.
    #[must_use]
    pub fn hdus(&self) -> &[Hdu] {
        &self.hdus
    }

    /// Where the bytes come from.
    #[must_use]
    pub fn source(&self) -> &Arc<dyn ByteSource> {
        &self.source
    }

    /// The HDU of this name: its number as text, its EXTNAME, or empty for the first image.
    ///
    /// # Errors
    /// [`ImageError::Unsupported`] if there is no such HDU, [`ImageError::Malformed`] if there might be one, but the
    /// headers cannot be read so far.
    pub fn find(&self, name: &str) -> Result<&Hdu, ImageError> {
        let name = name.trim();
        let found = match name.parse::<usize>() {
            Ok(number) => self.hdus.get(number),
            Err(_) if name.is_empty() => self.hdus.iter().find(|hdu| hdu.is_image()),
            Err(_) => self.hdus.iter().find(|hdu| hdu.name().eq_ignore_ascii_case(name)),
        };
        found.ok_or_else(|| match &self.damage {
            Some(reason) => ImageError::Malformed {
                reason: reason.clone(),
            },
            None if name.is_empty() => ImageError::Unsupported {
                reason: "The file holds no image.".to_owned(),
            },
            None => ImageError::Unsupported {
                reason: format!("The file has no HDU {name:?}."),
            },
        })
    }
}

/// Reads headers up to the first one that holds an image, from a stream that need not be seekable: the data in
/// between are read and forgotten, those of the image are not touched.
///
/// # Errors
/// As [`FitsFile::open`]; [`ImageError::Unsupported`] if there is no image, [`ImageError::Interrupted`].
pub fn first_image(
    reader: impl Read,
    path: &Path,
    interrupt: crate::Interrupt<'_>,
) -> Result<Hdu, ImageError> {
    let mut walk = Walk::new(Stream { reader, interrupt }, path);
    while let Some(hdu) = walk.next()? {
        if hdu.is_image() {
            return Ok(hdu);
        }
    }
    Err(ImageError::Unsupported {
        reason: "The file holds no image.".to_owned(),
    })
}

/// Lengths of the axes, the first one fastest.
///
/// # Errors
/// [`ImageError::Malformed`] if they are missing, negative, too many or too long.
pub(super) fn shape(header: &Header) -> Result<Vec<u64>, ImageError> {
    let naxis = header.required_integer("NAXIS")?;
    if !(0..=999).contains(&naxis) {
        return Err(header.malformed(&format!("NAXIS is {naxis}, which is not between 0 and 999")));
    }
    (1..=naxis)
        .map(|axis| {
            let keyword = format!("NAXIS{axis}");
            let length = header.required_integer(&keyword)?;
            u64::try_from(length)
                .map_err(|_| header.malformed(&format!("{keyword} is {length}, which is negative")))
        })
        .collect()
}

/// The type of the pixels (BITPIX).
///
/// # Errors
/// [`ImageError::Malformed`] if it is missing or not one of the six.
pub(super) fn pixel_type(header: &Header) -> Result<PixelType, ImageError> {
    match header.required_integer("BITPIX")? {
        8 => Ok(PixelType::U8),
        16 => Ok(PixelType::I16),
        32 => Ok(PixelType::I32),
        64 => Ok(PixelType::I64),
        -32 => Ok(PixelType::F32),
        -64 => Ok(PixelType::F64),
        other => Err(header.malformed(&format!(
            "BITPIX is {other}, which is none of 8, 16, 32, 64, -32 and -64"
        ))),
    }
}

/// Goes from header to header.
struct Walk<'a, R> {
    reader: R,
    path: &'a Path,
    number: usize,
    offset: u64,
    /// Bytes of data and padding between here and the next header.
    ahead: u64,
    header_budget: u64,
}

impl<'a, R: Forward> Walk<'a, R> {
    fn new(reader: R, path: &'a Path) -> Self {
        Self {
            reader,
            path,
            number: 0,
            offset: 0,
            ahead: 0,
            header_budget: HEADER_LIMIT,
        }
    }

    fn next(&mut self) -> Result<Option<Hdu>, ImageError> {
        let io = |source| match io::Error::downcast::<Stopped>(source) {
            Ok(Stopped) => ImageError::Interrupted,
            Err(source) => ImageError::io(self.path, source),
        };
        if !self.reader.skip(self.ahead).map_err(io)? {
            return Ok(None);
        }
        let number = self.number;
        let start = self.offset + self.ahead;
        let read = Header::read(&mut self.reader, self.path, number, self.header_budget);
        let (header, length) = match read {
            Ok(Some(read)) => read,
            Ok(None) if number == 0 => return Err(not_fits()),
            Ok(None) => return Ok(None),
            Err(error) => return Err(error),
        };
        match (number, header.cards().first()) {
            (0, Some(card)) if &*card.keyword != "SIMPLE" => return Err(not_fits()),
            (0, None) => return Err(not_fits()),
            (0, Some(_)) => {}
            (_, Some(card)) if &*card.keyword == "XTENSION" => {}
            _ => return Ok(None),
        }
        self.header_budget = self.header_budget.saturating_sub(length);
        let kind = kind(&header)?;
        let data_length = data_length(&header, kind)?;
        let data_offset = start + length;
        let end = data_length
            .checked_next_multiple_of(BLOCK as u64)
            .filter(|padded| {
                // So that no later sum of an offset and a length can overflow.
                data_offset
                    .checked_add(*padded)
                    .is_some_and(|end| i64::try_from(end).is_ok())
            });
        self.ahead = end.ok_or_else(|| header.malformed("its axes are longer than any file"))?;
        self.offset = data_offset;
        self.number += 1;
        Ok(Some(Hdu {
            number,
            header,
            kind,
            data_offset,
            data_length,
        }))
    }
}

fn not_fits() -> ImageError {
    ImageError::Unsupported {
        reason: "This is not a FITS file.".to_owned(),
    }
}

fn kind(header: &Header) -> Result<HduKind, ImageError> {
    match header.text("XTENSION") {
        None | Some("IMAGE" | "IUEIMAGE") => {
            let shape = shape(header)?;
            Ok(match shape.split_first() {
                Some((0, rest)) if header.logical("GROUPS") == Some(true) && !rest.is_empty() => {
                    HduKind::RandomGroups
                }
                _ if shape.is_empty() || shape.contains(&0) => HduKind::Empty,
                _ => HduKind::Image,
            })
        }
        Some("BINTABLE" | "A3DTABLE") if header.logical("ZIMAGE") == Some(true) => {
            Ok(HduKind::CompressedImage)
        }
        Some("BINTABLE" | "A3DTABLE") => Ok(HduKind::BinaryTable),
        Some(_) => Ok(HduKind::Other),
    }
}

/// |BITPIX| / 8 × GCOUNT × (PCOUNT + NAXIS1 × … × NAXISn), without NAXIS1 for random groups.
fn data_length(header: &Header, kind: HduKind) -> Result<u64, ImageError> {
    let bytes = pixel_type(header)?.bytes() as u64;
    let shape = shape(header)?;
    let count = |keyword: &str, default: u64| match header.layout_integer(keyword)? {
        None => Ok(default),
        Some(n) => {
            u64::try_from(n).map_err(|_| header.malformed(&format!("{keyword} is {n}, which is negative")))
        }
    };
    let (pcount, gcount) = (count("PCOUNT", 0)?, count("GCOUNT", 1)?);
    let axes = match (kind, shape.as_slice()) {
        (HduKind::RandomGroups, [_, rest @ ..]) => rest,
        (_, all) => all,
    };
    let pixels = match axes {
        [] => Some(0),
        _ if axes.contains(&0) => Some(0),
        _ => axes.iter().try_fold(1u64, |product, &n| product.checked_mul(n)),
    };
    pixels
        .and_then(|pixels| {
            pixels
                .checked_add(pcount)?
                .checked_mul(gcount)?
                .checked_mul(bytes)
        })
        .ok_or_else(|| header.malformed("its axes are longer than any file"))
}

/// A reader that can leave bytes out.
trait Forward: Read {
    /// Leaves `bytes` out; `false` if the end came first.
    fn skip(&mut self, bytes: u64) -> io::Result<bool>;
}

/// A position in a [`ByteSource`].
struct Cursor<'a> {
    source: &'a dyn ByteSource,
    position: u64,
}

impl Read for Cursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.source.len().saturating_sub(self.position);
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let buffer = buffer.get_mut(..wanted).unwrap_or_default();
        if buffer.is_empty() {
            // Also when missing padding was left out and the position is beyond the end.
            return Ok(0);
        }
        self.source.read_at(self.position, buffer)?;
        self.position += wanted as u64;
        Ok(wanted)
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(step) => self.position.checked_add_signed(step),
            SeekFrom::End(step) => self.source.len().checked_add_signed(step),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

impl Forward for BufReader<Cursor<'_>> {
    fn skip(&mut self, bytes: u64) -> io::Result<bool> {
        self.seek_relative(i64::try_from(bytes).map_err(io::Error::other)?)?;
        Ok(true)
    }
}

/// A stream that can only be read on.
struct Stream<'a, R> {
    reader: R,
    interrupt: crate::Interrupt<'a>,
}

/// Travels inside an [`io::Error`] when the caller's interrupt asked to stop.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
struct Stopped;

impl<R: Read> Read for Stream<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl<R: Read> Forward for Stream<'_, R> {
    fn skip(&mut self, mut bytes: u64) -> io::Result<bool> {
        while bytes > 0 {
            if (self.interrupt)() {
                return Err(io::Error::other(Stopped));
            }
            let step = bytes.min(1 << 20);
            let read = io::copy(&mut self.reader.by_ref().take(step), &mut io::sink())?;
            if read < step {
                return Ok(false);
            }
            bytes -= step;
        }
        Ok(true)
    }
}
