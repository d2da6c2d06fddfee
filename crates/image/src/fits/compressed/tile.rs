//! From the byte string of one tile to physical values.

use super::codec::CodecError;
use super::parameters::{Algorithm, Parameters};
use super::quantize::Quantized;
use super::{gzip, hcompress, plio, rice};
use crate::PixelType;
use crate::fits::pixels::{Scaling, decode};

/// What the table holds of one tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredTile<'a> {
    /// Number of the tile, counted from 0.
    pub(super) index: u64,
    /// Number of its pixels.
    pub(super) pixels: usize,
    /// The byte string.
    pub(super) stream: &'a [u8],
    /// In which column it was.
    pub(super) form: Form,
    /// ZSCALE of this tile, if there is such a column.
    pub(super) scale: Option<f64>,
    /// ZZERO of this tile, if there is such a column.
    pub(super) zero: Option<f64>,
    /// ZBLANK of this tile, if there is such a column.
    pub(super) blank: Option<i64>,
}

/// In which column a tile is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// COMPRESSED_DATA.
    Compressed,
    /// GZIP_COMPRESSED_DATA: gzip of the pixels as they are.
    Gzip,
    /// UNCOMPRESSED_DATA: the pixels as they are, of this type.
    Plain(PixelType),
}

/// The pixels as the algorithm gives them back.
enum Pixels {
    /// Integers of an algorithm that knows no other numbers.
    Integers(Vec<i32>),
    /// Big-endian numbers of this many bytes.
    Bytes(Vec<u8>, usize),
}

impl StoredTile<'_> {
    /// Decodes the tile: physical values, NaN for no value.
    pub(super) fn decode(&self, parameters: &Parameters) -> Result<Vec<f32>, CodecError> {
        let floating = matches!(parameters.pixel_type, PixelType::F32 | PixelType::F64);
        match self.form {
            Form::Plain(element) => self.as_they_are(self.stream, element, parameters),
            Form::Gzip => {
                let bytes = gzip::unpack(
                    self.stream,
                    self.pixels * parameters.pixel_type.bytes(),
                    self.pixels * 8,
                )?;
                let element = self.stored_type(bytes.len(), floating)?;
                self.as_they_are(&bytes, element, parameters)
            }
            Form::Compressed => match (self.unpack(parameters)?, parameters.quantization) {
                (pixels, Some(quantization)) => {
                    let quantized = Quantized {
                        scale: self.scale.or(quantization.scale).unwrap_or(1.0),
                        zero: self.zero.or(quantization.zero).unwrap_or(0.0),
                        blank: self.blank.or(parameters.scaling.blank),
                        dither: quantization.dither,
                    };
                    Ok(self.restore(&pixels.into_integers()?, quantized, parameters))
                }
                (Pixels::Bytes(bytes, _), None) => {
                    self.as_they_are(&bytes, self.stored_type(bytes.len(), floating)?, parameters)
                }
                (Pixels::Integers(integers), None) => Ok(self.scaled(&integers, parameters)),
            },
        }
    }

    /// Undoes the compression.
    fn unpack(&self, parameters: &Parameters) -> Result<Pixels, CodecError> {
        let bytes_or_integers = match parameters.algorithm {
            Algorithm::Rice { width, block } => {
                if self.stream.len() < rice::shortest_stream(width, block, self.pixels) {
                    return Err(CodecError::Truncated);
                }
                let mut integers = vec![0; self.pixels];
                rice::decode(self.stream, width, block, &mut integers)?;
                Pixels::Integers(integers)
            }
            Algorithm::Plio => {
                let mut integers = vec![0; self.pixels];
                plio::decode(self.stream, &mut integers)?;
                Pixels::Integers(integers)
            }
            Algorithm::Hcompress { smooth } => {
                let mut integers = vec![0; self.pixels];
                hcompress::decode(self.stream, smooth, &mut integers)?;
                Pixels::Integers(integers)
            }
            Algorithm::Gzip { shuffled } => {
                let expected = match parameters.quantization {
                    Some(_) => 4,
                    None => parameters.pixel_type.bytes(),
                };
                let bytes = gzip::unpack(self.stream, self.pixels * expected, self.pixels * 8)?;
                let width = self.width(bytes.len())?;
                Pixels::Bytes(
                    if shuffled {
                        gzip::unshuffle(&bytes, width)
                    } else {
                        bytes
                    },
                    width,
                )
            }
            Algorithm::None => {
                let width = self.width(self.stream.len())?;
                Pixels::Bytes(self.stream.to_vec(), width)
            }
        };
        Ok(bytes_or_integers)
    }

    /// How many bytes each pixel has, when all have `bytes`. Writers differ in which width they give to integers, so
    /// that only the length tells.
    fn width(&self, bytes: usize) -> Result<usize, CodecError> {
        [1, 2, 4, 8]
            .into_iter()
            .find(|width| self.pixels.checked_mul(*width) == Some(bytes))
            .ok_or(CodecError::Invalid(
                "it unpacks to another number of pixels than a tile has",
            ))
    }

    /// The type of the pixels when all have `bytes` bytes.
    fn stored_type(&self, bytes: usize, floating: bool) -> Result<PixelType, CodecError> {
        Ok(match (self.width(bytes)?, floating) {
            (1, _) => PixelType::U8,
            (2, _) => PixelType::I16,
            (4, false) => PixelType::I32,
            (4, true) => PixelType::F32,
            (_, false) => PixelType::I64,
            (_, true) => PixelType::F64,
        })
    }

    /// Values from pixels that are stored as in an uncompressed image.
    fn as_they_are(
        &self,
        bytes: &[u8],
        element: PixelType,
        parameters: &Parameters,
    ) -> Result<Vec<f32>, CodecError> {
        if self.pixels.checked_mul(element.bytes()) != Some(bytes.len()) {
            return Err(CodecError::Invalid(
                "it holds another number of pixels than a tile has",
            ));
        }
        let blank = match element {
            PixelType::F32 | PixelType::F64 => None,
            _ => self.blank.or(parameters.scaling.blank),
        };
        let mut values = vec![0.0; self.pixels];
        decode(
            bytes,
            &mut values,
            element,
            Scaling {
                blank,
                ..parameters.scaling
            },
        );
        Ok(values)
    }

    /// Values from integers that are the image's pixels.
    fn scaled(&self, integers: &[i32], parameters: &Parameters) -> Vec<f32> {
        let Scaling { scale, zero, .. } = parameters.scaling;
        let blank = self.blank.or(parameters.scaling.blank);
        let value = |n: i32| (f64::from(n) * scale + zero) as f32;
        match blank.and_then(|blank| i32::try_from(blank).ok()) {
            None => integers.iter().map(|&n| value(n)).collect(),
            Some(blank) => integers
                .iter()
                .map(|&n| if n == blank { f32::NAN } else { value(n) })
                .collect(),
        }
    }

    /// Values from integers that stand for floating-point pixels.
    fn restore(&self, integers: &[i32], quantized: Quantized, parameters: &Parameters) -> Vec<f32> {
        let Scaling { scale, zero, .. } = parameters.scaling;
        let mut values = vec![0.0; self.pixels];
        match parameters.pixel_type {
            _ if scale == 1.0 && zero == 0.0 => {
                quantized.restore(self.index, integers, &mut values, |x| x as f32)
            }
            // The pixel itself is in single precision before the image's own scaling.
            PixelType::F32 => {
                let finish = |x: f64| (f64::from(x as f32) * scale + zero) as f32;
                quantized.restore(self.index, integers, &mut values, finish);
            }
            _ => quantized.restore(self.index, integers, &mut values, |x| (x * scale + zero) as f32),
        }
        values
    }
}

impl Pixels {
    fn into_integers(self) -> Result<Vec<i32>, CodecError> {
        match self {
            Self::Integers(integers) => Ok(integers),
            Self::Bytes(bytes, 1) => Ok(bytes.into_iter().map(i32::from).collect()),
            Self::Bytes(bytes, 2) => Ok(bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| i16::from_be_bytes(*b).into())
                .collect()),
            Self::Bytes(bytes, 4) => Ok(bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| i32::from_be_bytes(*b))
                .collect()),
            Self::Bytes(..) => Err(CodecError::Invalid("quantised pixels have more than 32 bits")),
        }
    }
}
