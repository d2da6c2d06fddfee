//! Images in compressed tiles.
//!
//! Source: FITS Standard 4.0 (2018), section 10. An image is cut into tiles, each of them is compressed on its own,
//! and the byte strings are stored as variable-length arrays in a binary table, one tile in a row. So a part of the
//! image costs only the tiles that it touches.
//!
//! Read are RICE_1, GZIP_1, GZIP_2, PLIO_1, HCOMPRESS_1 (with smoothing) and NOCOMPRESS for all ZBITPIX that the
//! algorithm allows, any tiling, quantised floating-point pixels with both kinds of dithering, null pixels, and
//! the columns that take what could not be quantised.
//!
//! Not read are masks of null pixels (NULL_PIXEL_MASK), which nobody is known to write, and tiles of more than 2^28
//! pixels (2^26 for HCOMPRESS_1): both are answered with a sentence.
//!
//! # Precision
//! As in astropy and CFITSIO, quantised pixels are restored in double precision and rounded once to the type of the
//! pixels (ZBITPIX); BSCALE and BZERO are applied in double precision and rounded once to single precision.
//!
//! # Why the decoders are our own
//! `fitsrs` knows neither HCOMPRESS_1 nor PLIO_1. `fitskit` 0.3 decodes all algorithms from slices, but trusts them: an
//! HCOMPRESS_1 header of 25 bytes makes it ask for any amount of memory, which ends the process and cannot be caught,
//! gzip is unpacked without a limit, and smoothing is missing. A server must survive any file, so the decoders here
//! take a byte string and the place for exactly the pixels that are expected, answer damage with an error, and
//! can be interrupted.

mod bits;
mod codec;
mod columns;
mod gzip;
mod hcompress;
mod parameters;
mod plio;
mod quantize;
mod rice;
mod tile;
mod tiling;

use std::sync::Arc;

use codec::CodecError;
use columns::{ArrayColumn, Columns, HeapArray};
use parameters::Parameters;
use tile::{Form, StoredTile};
use tiling::{Tile, Tiling, copy_overlap};

use super::describe::describe;
use super::hdu::{Hdu, HduKind};
use super::header::Header;
use super::view::image_header;
use crate::bytes::ByteSource;
use crate::{BlockCache, BlockKey, ImageDescription, ImageError, ImageSource, Interrupt, Section};

/// Rows of the table that are read together, in bytes.
const ROWS: u64 = 16 << 10;

/// A section that would take more than this part of the cache is a stream: the tiles that it takes whole are not kept.
const STREAM: usize = 4;

/// The longest row that is accepted, in bytes. A compressed image needs some forty.
const MAX_ROW: u64 = 1 << 20;

/// Decoded tiles that an image keeps if it has a cache of its own, in bytes.
const CACHE: usize = 64 << 20;

/// An image in compressed tiles in a FITS file.
///
/// Opening reads no pixel. Reading decodes the tiles that the section touches, one after the other; those used last
/// are kept in a [`BlockCache`].
#[derive(Debug)]
pub struct CompressedImage {
    source: Arc<dyn ByteSource>,
    header: Header,
    description: ImageDescription,
    tiling: Tiling,
    columns: Columns,
    parameters: Parameters,
    table: Table,
    tiles: DecodedTiles,
}

/// The place of decoded tiles in a cache; they leave it with the image.
#[derive(Debug)]
struct DecodedTiles {
    cache: Arc<BlockCache>,
    image: u64,
}

impl DecodedTiles {
    fn new(cache: Arc<BlockCache>) -> Self {
        let image = cache.new_image();
        Self { cache, image }
    }

    fn key(&self, tile: &Tile) -> BlockKey {
        BlockKey {
            image: self.image,
            kind: 0,
            index: [tile.index, 0, 0],
        }
    }
}

impl Drop for DecodedTiles {
    fn drop(&mut self) {
        self.cache.remove_image(self.image);
    }
}

/// Where the table is.
#[derive(Debug, Clone, Copy)]
struct Table {
    hdu: usize,
    /// First byte of the first row, in the file.
    offset: u64,
    /// Bytes of a row.
    row: u64,
    /// First byte of the heap, in the file.
    heap: u64,
    /// Bytes of the heap.
    heap_length: u64,
}

impl CompressedImage {
    /// Opens the compressed image in `hdu` of the file behind `source`.
    ///
    /// # Errors
    /// [`ImageError::Unsupported`] if there is no compressed image in this HDU or it is compressed in an unknown way,
    /// [`ImageError::Malformed`] if its header is damaged or the file is shorter than it says.
    pub fn open(source: Arc<dyn ByteSource>, hdu: &Hdu) -> Result<Self, ImageError> {
        if hdu.kind != HduKind::CompressedImage {
            let reason = format!("HDU {} holds no compressed image.", hdu.number);
            return Err(ImageError::Unsupported { reason });
        }
        hdu.check_data(source.len())?;
        let table_header = &hdu.header;
        let header = image_header(table_header);
        let description = describe(&header)?;
        let tiling = Tiling::of(table_header, &description.shape)?;
        let (table, rows) = Table::of(hdu)?;
        if rows < tiling.total() {
            let what = format!("its table has {rows} rows for {} tiles", tiling.total());
            return Err(table_header.malformed(&what));
        }
        let columns = Columns::of(table_header, table.row)?;
        let parameters = Parameters::of(table_header, &columns, description.pixel_type)?;
        let tiles = DecodedTiles::new(Arc::new(BlockCache::new(CACHE)));
        Ok(Self {
            source,
            header,
            description,
            tiling,
            columns,
            parameters,
            table,
            tiles,
        })
    }

    /// The header of the image, not that of the table that it is stored in.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Replaces the restoring beams, for files that keep them outside the header's BMAJ, BMIN and BPA.
    #[must_use]
    pub fn with_beams(mut self, beams: Vec<crate::Beam>) -> Self {
        self.description.beams = beams;
        self
    }

    /// Keeps decoded tiles in this cache, usually that of the whole process, instead of in a small one of its own.
    #[must_use]
    pub fn with_cache(mut self, cache: Arc<BlockCache>) -> Self {
        self.tiles = DecodedTiles::new(cache);
        self
    }

    /// Decodes one tile. `row` is its row of the table.
    fn decode(&self, tile: &Tile, row: &[u8], interrupt: Interrupt<'_>) -> Result<Arc<[f32]>, ImageError> {
        let columns = &self.columns;
        let (form, stream) = self.stream(tile, row)?;
        let stored = StoredTile {
            index: tile.index,
            pixels: tile.pixels(),
            stream: &stream,
            form,
            scale: columns.scale.and_then(|column| column.number(row)),
            zero: columns.zero.and_then(|column| column.number(row)),
            blank: columns
                .blank
                .and_then(|column| column.number(row))
                .map(|blank| blank as i64),
        };
        let decoded = stored.check_length(&self.parameters).and_then(|()| {
            let mut values: Arc<[f32]> = std::iter::repeat_n(0.0, stored.pixels).collect();
            let place = Arc::get_mut(&mut values).unwrap_or_default();
            stored.decode(&self.parameters, place, interrupt)?;
            Ok(values)
        });
        decoded.map_err(|error| match error {
            CodecError::Interrupted => ImageError::Interrupted,
            error => {
                let algorithm = self.parameters.algorithm.name();
                self.damaged(tile, &format!("({algorithm}) cannot be decoded: {error}"))
            }
        })
    }

    /// Reads the byte string of a tile from the first column that has one.
    fn stream(&self, tile: &Tile, row: &[u8]) -> Result<(Form, Vec<u8>), ImageError> {
        let columns = [
            (self.columns.compressed, Form::Compressed),
            (self.columns.gzip, Form::Gzip),
            (
                self.columns.uncompressed,
                Form::Plain(
                    self.columns
                        .uncompressed
                        .map_or(self.description.pixel_type, |column| column.element),
                ),
            ),
        ];
        for (column, form) in columns {
            let Some(array) = column.map(|column| self.array(tile, row, column)).transpose()? else {
                continue;
            };
            if array.bytes == 0 {
                continue;
            }
            // No algorithm makes this much of a tile, and a header must not say how much memory is taken.
            let longest = tile.pixels() as u64 * 16 + (64 << 10);
            let inside = array
                .offset
                .checked_add(array.bytes)
                .is_some_and(|end| end <= self.table.heap_length);
            let length = usize::try_from(array.bytes)
                .ok()
                .filter(|_| inside && array.bytes <= longest);
            let Some(length) = length else {
                let what = format!(
                    "is said to be {} bytes at {} of a heap of {} bytes",
                    array.bytes, array.offset, self.table.heap_length
                );
                return Err(self.damaged(tile, &what));
            };
            let mut stream = vec![0; length];
            self.read_at(self.table.heap + array.offset, &mut stream)?;
            return Ok((form, stream));
        }
        Err(self.damaged(tile, "is not in the table"))
    }

    fn array(&self, tile: &Tile, row: &[u8], column: ArrayColumn) -> Result<HeapArray, ImageError> {
        column
            .array(row)
            .ok_or_else(|| self.damaged(tile, "has an impossible descriptor"))
    }

    fn damaged(&self, tile: &Tile, what: &str) -> ImageError {
        let reason = format!("HDU {}: tile {} {what}.", self.table.hdu, tile.index + 1);
        ImageError::Malformed { reason }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        self.source
            .read_at(offset, buffer)
            .map_err(|source| ImageError::io(self.source.path(), source))
    }
}

impl Table {
    /// The place of the table in `hdu`, and the number of its rows. All of it is inside the data of the HDU.
    fn of(hdu: &Hdu) -> Result<(Self, u64), ImageError> {
        let header = &hdu.header;
        let length = |keyword: &str| {
            let n = header.required_integer(keyword)?;
            u64::try_from(n).map_err(|_| header.malformed(&format!("{keyword} is {n}, which is negative")))
        };
        let (row, rows) = (length("NAXIS1")?, length("NAXIS2")?);
        if row > MAX_ROW {
            return Err(header.malformed(&format!("NAXIS1 is {row}, which is no length of a row")));
        }
        let table = row.checked_mul(rows).filter(|bytes| *bytes <= hdu.data_length);
        let table = table.ok_or_else(|| header.malformed("its rows are outside its data"))?;
        let heap = match header.layout_integer("THEAP")? {
            None => table,
            Some(n) => u64::try_from(n)
                .ok()
                .filter(|theap| (table..=hdu.data_length).contains(theap))
                .ok_or_else(|| header.malformed(&format!("THEAP is {n}, which is outside its heap")))?,
        };
        let place = Self {
            hdu: hdu.number,
            offset: hdu.data_offset,
            row,
            heap: hdu.data_offset + heap,
            heap_length: hdu.data_length - heap,
        };
        Ok((place, rows))
    }
}

/// Some rows of the table that follow each other.
#[derive(Default)]
struct RowWindow {
    first: u64,
    rows: u64,
    bytes: Vec<u8>,
}

impl RowWindow {
    /// Row number `index`; reads some of the following ones along with it, up to `last`.
    fn row(&mut self, image: &CompressedImage, index: u64, last: u64) -> Result<&[u8], ImageError> {
        let length = image.table.row;
        if index < self.first || index - self.first >= self.rows {
            let rows = (ROWS / length.max(1)).max(1).min(last - index + 1);
            self.bytes
                .resize(usize::try_from(rows * length).unwrap_or(usize::MAX), 0);
            image.read_at(image.table.offset + index * length, &mut self.bytes)?;
            (self.first, self.rows) = (index, rows);
        }
        let start = ((index - self.first) * length) as usize;
        Ok(self.bytes.get(start..start + length as usize).unwrap_or_default())
    }
}

impl ImageSource for CompressedImage {
    fn description(&self) -> &ImageDescription {
        &self.description
    }

    fn read(&self, section: &Section, out: &mut [f32], interrupt: Interrupt<'_>) -> Result<(), ImageError> {
        section.check(&self.description.shape, out.len())?;
        if out.is_empty() {
            return Ok(());
        }
        let last = self.tiling.last(section);
        let streams = size_of_val(out) > self.tiles.cache.capacity() / STREAM;
        let mut rows = RowWindow::default();
        for tile in self.tiling.covering(section) {
            if interrupt() {
                return Err(ImageError::Interrupted);
            }
            let key = self.tiles.key(&tile);
            let decode = || self.decode(&tile, rows.row(self, tile.index, last)?, interrupt);
            let values = if streams && tile.is_inside(section) {
                self.tiles.cache.get(&key).map_or_else(decode, Ok)?
            } else {
                self.tiles.cache.get_or_compute(key, interrupt, decode)?
            };
            copy_overlap(&tile.area, &values, section, out);
        }
        Ok(())
    }
}
