//! A small writer of FITS images, from the FITS Standard 4.0.
//!
//! Tests build whole files in memory with [`image()`]; generators of larger files stream samples through a [`Writer`],
//! so that no more than one piece is in memory. The writer checks that the samples fill the shape exactly; it does
//! not check the header, because tests want to write wrong ones.
//!
//! ```
//! use chartroom_testkit::fits::{Header, image};
//!
//! let header = Header::image::<i16>(&[3, 2]).with("BUNIT", "K").with("BLANK", -1);
//! let file = image(&header, |i| i as i16);
//! assert_eq!(file.len(), 2 * 2880);
//! ```

use std::fmt::{Display, Write as _};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Length of a FITS block in bytes (section 3.1).
pub const BLOCK: usize = 2880;

/// Length of a header card in bytes (section 4.1).
const CARD: usize = 80;

/// A sample type that FITS can store (section 4.4.1.1, BITPIX).
pub trait Sample: Copy {
    /// The value of the BITPIX keyword.
    const BITPIX: i64;

    /// Appends the sample as FITS stores it, big-endian.
    fn put(self, bytes: &mut Vec<u8>);
}

macro_rules! samples {
    ($($sample:ty => $bitpix:literal),*) => {$(
        impl Sample for $sample {
            const BITPIX: i64 = $bitpix;

            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_be_bytes());
            }
        }
    )*};
}
samples!(u8 => 8, i16 => 16, i32 => 32, i64 => 64, f32 => -32, f64 => -64);

/// The value of a header card.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `T` or `F`.
    Logical(bool),
    /// A whole number.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// A character string.
    Text(String),
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Logical(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl Display for Value {
    /// Fixed format (section 4.2): numbers and logicals end in column 30, strings start in column 11.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Logical(value) => write!(f, "{:>20}", if *value { "T" } else { "F" }),
            Self::Integer(value) => write!(f, "{value:>20}"),
            Self::Real(value) => write!(f, "{:>20}", real(*value)),
            Self::Text(value) => {
                let quoted = value.replace('\'', "''");
                write!(f, "'{quoted:<8}'")
            }
        }
    }
}

/// The shortest text that reads back as the same number and that FITS reads as a floating-point number.
fn real(value: f64) -> String {
    let plain = format!("{value}");
    if plain.len() > 18 {
        return format!("{value:E}");
    }
    if plain.contains('.') {
        plain
    } else {
        format!("{plain}.0")
    }
}

/// A header under construction: cards of 80 bytes, in order, without END.
#[derive(Debug, Clone)]
pub struct Header {
    cards: Vec<[u8; CARD]>,
    shape: Vec<u64>,
    bitpix: i64,
}

impl Header {
    /// The mandatory cards of a primary image: SIMPLE, BITPIX, NAXIS and NAXISn, for `shape` with the fastest axis first.
    #[must_use]
    pub fn image<S: Sample>(shape: &[u64]) -> Self {
        Self::start::<S>(shape).with("SIMPLE", true).axes()
    }

    /// The mandatory cards of an IMAGE extension: XTENSION to GCOUNT, for `shape` with the fastest axis first.
    #[must_use]
    pub fn extension<S: Sample>(shape: &[u64]) -> Self {
        Self::start::<S>(shape)
            .with("XTENSION", "IMAGE")
            .axes()
            .with("PCOUNT", 0)
            .with("GCOUNT", 1)
    }

    fn start<S: Sample>(shape: &[u64]) -> Self {
        Self {
            cards: Vec::new(),
            shape: shape.to_vec(),
            bitpix: S::BITPIX,
        }
    }

    fn axes(self) -> Self {
        let (bitpix, shape) = (self.bitpix, self.shape.clone());
        let header = self.with("BITPIX", bitpix).with("NAXIS", shape.len() as i64);
        shape.iter().enumerate().fold(header, |header, (axis, &length)| {
            header.with(
                &format!("NAXIS{}", axis + 1),
                i64::try_from(length).unwrap_or(i64::MAX),
            )
        })
    }

    /// Adds a card `KEYWORD = value`. Keyword and text are written as given, cut at the end of the card.
    #[must_use]
    pub fn with(self, keyword: &str, value: impl Into<Value>) -> Self {
        self.raw(&format!("{keyword:<8}= {}", value.into()))
    }

    /// Adds a card `KEYWORD = value / comment`.
    #[must_use]
    pub fn with_comment(self, keyword: &str, value: impl Into<Value>, comment: &str) -> Self {
        let mut text = format!("{keyword:<8}= {}", value.into());
        let _ = write!(text, " / {comment}");
        self.raw(&text)
    }

    /// Adds a HISTORY card.
    #[must_use]
    pub fn history(self, text: &str) -> Self {
        self.raw(&format!("HISTORY {text}"))
    }

    /// Adds one card of exactly this text, padded with blanks or cut to 80 bytes.
    #[must_use]
    pub fn raw(mut self, text: &str) -> Self {
        let mut card = [b' '; CARD];
        card.iter_mut()
            .zip(text.bytes())
            .for_each(|(to, from)| *to = from);
        self.cards.push(card);
        self
    }

    /// Number of samples that the shape holds; 0 without axes (section 4.4.1.1).
    #[must_use]
    pub fn samples(&self) -> u64 {
        if self.shape.is_empty() {
            0
        } else {
            self.shape.iter().product()
        }
    }

    /// The cards, END, and the padding to a whole block.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.cards.concat();
        bytes.extend_from_slice(b"END");
        bytes.resize(bytes.len().next_multiple_of(BLOCK), b' ');
        bytes
    }
}

/// One image as bytes in memory: a whole file for [`Header::image`], or an HDU to append for [`Header::extension`].
///
/// `sample` is called once for each sample with its index in file order (first axis fastest).
///
/// # Panics
/// If `S` is not the sample type that the header was made for.
pub fn image<S: Sample>(header: &Header, sample: impl Fn(u64) -> S) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, header).expect("a vector takes every byte");
    let samples: Vec<S> = (0..header.samples()).map(sample).collect();
    writer
        .write(&samples)
        .expect("the samples fill the shape and a vector takes every byte");
    writer
        .finish()
        .expect("the samples fill the shape and a vector takes every byte");
    bytes
}

/// Streams the samples of one image after its header.
#[derive(Debug)]
pub struct Writer<W: Write> {
    to: W,
    bitpix: i64,
    remaining: u64,
    written: u64,
    bytes: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// What `to` answers.
    pub fn new(mut to: W, header: &Header) -> io::Result<Self> {
        to.write_all(&header.to_bytes())?;
        Ok(Self {
            to,
            bitpix: header.bitpix,
            remaining: header.samples(),
            written: 0,
            bytes: Vec::new(),
        })
    }

    /// Appends samples in file order (first axis fastest).
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if the type is not the header's or there are more samples than the shape
    /// holds; otherwise what the underlying writer answers.
    pub fn write<S: Sample>(&mut self, samples: &[S]) -> io::Result<()> {
        let count = samples.len() as u64;
        if S::BITPIX != self.bitpix || count > self.remaining {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the samples do not fit the header's shape and BITPIX",
            ));
        }
        self.bytes.clear();
        samples.iter().for_each(|sample| sample.put(&mut self.bytes));
        self.to.write_all(&self.bytes)?;
        self.remaining -= count;
        self.written += self.bytes.len() as u64;
        Ok(())
    }

    /// Pads to a whole block with zeros (section 3.3.2) and gives the underlying writer back.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if samples are missing; otherwise what the underlying writer answers.
    pub fn finish(mut self) -> io::Result<W> {
        if self.remaining > 0 {
            let missing = self.remaining;
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{missing} samples are missing"),
            ));
        }
        let padding = self.written.next_multiple_of(BLOCK as u64) - self.written;
        self.to.write_all(&vec![0; padding as usize])?;
        self.to.flush()?;
        Ok(self.to)
    }
}

/// Writes one image file so that `path` is either whole or not there: into a neighbour first, then renamed.
///
/// # Errors
/// What the file system answers, or what `fill` does.
pub fn create(
    path: &Path,
    header: &Header,
    fill: impl FnOnce(&mut Writer<BufWriter<File>>) -> io::Result<()>,
) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let mut writer = Writer::new(BufWriter::new(File::create(&partial)?), header)?;
    fill(&mut writer)?;
    drop(writer.finish()?);
    std::fs::rename(&partial, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(file: &[u8], index: usize) -> &str {
        std::str::from_utf8(&file[index * CARD..(index + 1) * CARD])
            .unwrap()
            .trim_end()
    }

    #[test]
    fn header_and_data_fill_whole_blocks() {
        let file = image(&Header::image::<f64>(&[100, 37]), |i| i as f64);
        assert_eq!(file.len(), BLOCK + (100 * 37 * 8_usize).next_multiple_of(BLOCK));
        assert_eq!(card(&file, 0), "SIMPLE  =                    T");
        assert_eq!(card(&file, 1), "BITPIX  =                  -64");
        assert_eq!(card(&file, 4), "NAXIS2  =                   37");
        assert_eq!(card(&file, 5), "END");
        assert_eq!(&file[BLOCK + 8..BLOCK + 16], &1.0_f64.to_be_bytes());
    }

    #[test]
    fn values_are_written_in_fixed_format() {
        let header = Header::image::<u8>(&[1])
            .with("OBJECT", "O'Neill")
            .with("CRVAL1", 180.0)
            .with("RESTFRQ", 1.420_405_751_767e9)
            .with_comment("CDELT1", -1.0 / 3.0 / 3600.0, "a step");
        let file = image(&header, |_| 0_u8);
        assert_eq!(card(&file, 4), "OBJECT  = 'O''Neill'");
        assert_eq!(card(&file, 5), "CRVAL1  =                180.0");
        assert_eq!(card(&file, 6), "RESTFRQ =       1420405751.767");
        assert_eq!(card(&file, 7), "CDELT1  = -9.259259259259259E-5 / a step");
    }

    #[test]
    fn an_empty_primary_and_an_extension_make_a_file() {
        let mut file = image(&Header::image::<u8>(&[]), |_| 0_u8);
        assert_eq!(file.len(), BLOCK);
        file.extend(image(&Header::extension::<i16>(&[2, 2]), |i| i as i16));
        assert_eq!(file.len(), 3 * BLOCK);
        assert_eq!(card(&file[BLOCK..], 0), "XTENSION= 'IMAGE   '");
        assert_eq!(&file[2 * BLOCK..2 * BLOCK + 8], &[0, 0, 0, 1, 0, 2, 0, 3]);
    }

    #[test]
    fn too_few_and_too_many_samples_are_refused() {
        let header = Header::image::<i32>(&[4]);
        let mut writer = Writer::new(Vec::new(), &header).unwrap();
        assert!(writer.write(&[0_i32; 5]).is_err());
        assert!(writer.write(&[0.0_f32; 4]).is_err());
        writer.write(&[0_i32; 3]).unwrap();
        assert!(writer.finish().is_err());
    }
}
