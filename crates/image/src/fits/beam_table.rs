//! Restoring beams that differ from channel to channel, in a binary table beside the image.
//!
//! Source: the convention of CASA's exportfits: `CASAMBM = T` in the image's header, and a BINTABLE named BEAMS with
//! the columns BMAJ, BMIN (their unit in TUNITn), BPA (degrees), CHAN and POL (both counted from 0). Columns of
//! binary tables: FITS Standard 4.0 (2018), section 7.3.

use super::describe::ARCSEC;
use super::hdu::{FitsFile, Hdu, HduKind};
use super::header::Header;
use crate::{Beam, ImageDescription, ImageError};

/// The most that is read at once, in bytes.
const PIECE: u64 = 64 << 10;

/// The longest row that is accepted, in bytes. A row of beams has some twenty.
const LONGEST_ROW: u64 = 4096;

/// Reads the beams of an image whose header announces a table of them; empty if there is no such table.
///
/// # Errors
/// [`ImageError::Malformed`] if the table is damaged, [`ImageError::Io`] if it cannot be read.
pub(super) fn read(
    file: &FitsFile,
    image: &Header,
    description: &ImageDescription,
) -> Result<Vec<Beam>, ImageError> {
    if image.logical("CASAMBM") != Some(true) {
        return Ok(Vec::new());
    }
    let is_beams = |hdu: &&Hdu| hdu.kind == HduKind::BinaryTable && hdu.name().eq_ignore_ascii_case("BEAMS");
    let mut tables = file.hdus().iter().filter(is_beams);
    // Each image is followed by its own table.
    let Some(table) = tables
        .clone()
        .find(|hdu| hdu.number > image.hdu())
        .or_else(|| tables.next())
    else {
        return Ok(Vec::new());
    };
    rows(file, table, description)
}

fn rows(file: &FitsFile, table: &Hdu, description: &ImageDescription) -> Result<Vec<Beam>, ImageError> {
    let header = &table.header;
    table.check_data(file.source().len())?;
    let columns = Columns::of(header)?;
    let length = |keyword| {
        header
            .required_integer(keyword)
            .map(|n| u64::try_from(n).unwrap_or_default())
    };
    let (row, count) = (length("NAXIS1")?, length("NAXIS2")?);
    let shape = description.shape4();
    if row > LONGEST_ROW || count > shape.depth.saturating_mul(shape.stokes) {
        return Err(header.malformed("it does not look like a table of beams"));
    }
    let mut beams = Vec::new();
    let mut bytes = Vec::new();
    let at_once = PIECE / row.max(1);
    let mut first = 0;
    while first < count {
        let rows = at_once.min(count - first);
        bytes.resize((rows * row) as usize, 0);
        let source = file.source();
        let read = source.read_at(table.data_offset + first * row, &mut bytes);
        read.map_err(|error| ImageError::io(source.path(), error))?;
        beams.extend(
            bytes
                .chunks_exact((row as usize).max(1))
                .filter_map(|row| columns.beam(row)),
        );
        first += rows;
    }
    Ok(beams)
}

/// Where the parts of a beam are in a row.
#[derive(Debug)]
struct Columns {
    major: Column,
    minor: Column,
    angle: Column,
    channel: Option<Column>,
    stokes: Option<Column>,
}

/// One number in a row.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    /// Where it is in the row, in bytes.
    offset: usize,
    /// The letter of its type in TFORMn.
    kind: u8,
    unit: String,
}

impl Columns {
    fn of(header: &Header) -> Result<Self, ImageError> {
        let columns = columns(header)?;
        let find = |name: &str| {
            columns
                .iter()
                .find(|column| column.name.eq_ignore_ascii_case(name))
                .cloned()
        };
        match (find("BMAJ"), find("BMIN"), find("BPA")) {
            (Some(major), Some(minor), Some(angle)) => Ok(Self {
                major,
                minor,
                angle,
                channel: find("CHAN"),
                stokes: find("POL"),
            }),
            _ => Err(header.malformed("its table of beams has no column BMAJ, BMIN or BPA")),
        }
    }

    /// The beam in a row; `None` if it has no size, which stands for a channel without data.
    fn beam(&self, row: &[u8]) -> Option<Beam> {
        let index = |column: &Option<Column>| {
            let number = column.as_ref()?.number(row)?;
            (number >= 0.0 && number <= f64::from(u32::MAX)).then_some(number as u32)
        };
        let beam = Beam {
            channel: index(&self.channel),
            stokes: index(&self.stokes),
            major: self.major.number(row)? * self.major.arcseconds(),
            minor: self.minor.number(row)? * self.minor.arcseconds(),
            position_angle: self.angle.number(row)? * self.angle.degrees(),
        };
        (beam.major > 0.0 && beam.minor > 0.0).then_some(beam)
    }
}

impl Column {
    fn number(&self, row: &[u8]) -> Option<f64> {
        let bytes = row.get(self.offset..)?;
        match self.kind {
            b'B' => bytes.first().map(|&byte| f64::from(byte)),
            b'I' => bytes
                .first_chunk()
                .map(|&bytes| f64::from(i16::from_be_bytes(bytes))),
            b'J' => bytes
                .first_chunk()
                .map(|&bytes| f64::from(i32::from_be_bytes(bytes))),
            b'K' => bytes.first_chunk().map(|&bytes| i64::from_be_bytes(bytes) as f64),
            b'E' => bytes
                .first_chunk()
                .map(|&bytes| f64::from(f32::from_be_bytes(bytes))),
            b'D' => bytes.first_chunk().map(|&bytes| f64::from_be_bytes(bytes)),
            _ => None,
        }
    }

    /// The unit of a length, arcseconds unless it says otherwise.
    fn arcseconds(&self) -> f64 {
        match self.unit.as_str() {
            "deg" => ARCSEC,
            "arcmin" => 60.0,
            "rad" => 1f64.to_degrees() * ARCSEC,
            _ => 1.0,
        }
    }

    /// The unit of an angle, degrees unless it says otherwise.
    fn degrees(&self) -> f64 {
        if self.unit == "rad" {
            1f64.to_degrees()
        } else {
            1.0
        }
    }
}

/// The columns of a binary table that hold one number in each row.
fn columns(header: &Header) -> Result<Vec<Column>, ImageError> {
    let fields = header.required_integer("TFIELDS")?.clamp(0, 999);
    let mut columns = Vec::new();
    let mut offset = 0usize;
    for n in 1..=fields {
        let text = |stem: &str| header.text(&format!("{stem}{n}")).unwrap_or_default().trim();
        let form = text("TFORM");
        let wrong = || header.malformed(&format!("TFORM{n} is {form:?}, which is no type of a column"));
        let letter = form.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (repeat, kind) = form.split_at(letter);
        let repeat: usize = if repeat.is_empty() {
            1
        } else {
            repeat.parse().map_err(|_| wrong())?
        };
        let kind = kind.bytes().next().unwrap_or_default();
        let bits = match kind {
            b'X' => 1,
            b'L' | b'B' | b'A' => 8,
            b'I' => 16,
            b'J' | b'E' => 32,
            b'K' | b'D' | b'C' | b'P' => 64,
            b'M' | b'Q' => 128,
            _ => return Err(wrong()),
        };
        if repeat == 1 {
            columns.push(Column {
                name: text("TTYPE").to_owned(),
                offset,
                kind,
                unit: text("TUNIT").to_owned(),
            });
        }
        let width = repeat.checked_mul(bits).map(|bits| bits.div_ceil(8));
        offset = width
            .and_then(|width| offset.checked_add(width))
            .ok_or_else(wrong)?;
    }
    Ok(columns)
}
