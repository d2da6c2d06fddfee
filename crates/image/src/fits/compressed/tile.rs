//! From the byte string of one tile to physical values.

use super::codec::{CodecError, STEP, go_on};
use super::parameters::{Algorithm, Parameters};
use super::quantize::Quantized;
use super::{gzip, hcompress, plio, rice};
use crate::fits::pixels::{Scaling, decode};
use crate::{Interrupt, PixelType};

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

impl StoredTile<'_> {
    /// Makes sure that the byte string is long enough for the tile, so that no memory is taken for pixels that cannot
    /// be there.
    pub(super) fn check_length(&self, parameters: &Parameters) -> Result<(), CodecError> {
        let shortest = match (self.form, parameters.algorithm) {
            (Form::Plain(_), _) | (Form::Compressed, Algorithm::None) => self.pixels,
            (Form::Gzip, _) | (Form::Compressed, Algorithm::Gzip { .. }) => {
                gzip::shortest_stream(self.pixels)
            }
            (Form::Compressed, Algorithm::Rice { width, block }) => {
                rice::shortest_stream(width, block, self.pixels)
            }
            (Form::Compressed, Algorithm::Hcompress { .. }) => {
                return hcompress::check_header(self.stream, self.pixels);
            }
            // What a line list does not mention is zero.
            (Form::Compressed, Algorithm::Plio) => 0,
        };
        if self.stream.len() < shortest {
            Err(CodecError::Truncated)
        } else {
            Ok(())
        }
    }

    /// Decodes the tile into `values`, one for each of its pixels: physical values, NaN for no value.
    pub(super) fn decode(
        &self,
        parameters: &Parameters,
        values: &mut [f32],
        interrupt: Interrupt<'_>,
    ) -> Result<(), CodecError> {
        if values.len() != self.pixels {
            return Err(CodecError::Invalid("there is no place for its pixels"));
        }
        match (self.form, parameters.algorithm) {
            (Form::Plain(element), _) => {
                self.as_they_are(self.stream, element, parameters, values, interrupt)
            }
            (Form::Gzip, _) => {
                let bytes = self.unpack(parameters.pixel_type.bytes(), interrupt)?;
                self.as_they_are(
                    &bytes,
                    self.stored_type(&bytes, parameters)?,
                    parameters,
                    values,
                    interrupt,
                )
            }
            (Form::Compressed, Algorithm::Gzip { shuffled }) => {
                let expected = match parameters.quantization {
                    Some(_) => 4,
                    None => parameters.pixel_type.bytes(),
                };
                let mut bytes = self.unpack(expected, interrupt)?;
                if shuffled {
                    bytes = gzip::unshuffle(&bytes, self.width(&bytes)?);
                }
                self.of_bytes(&bytes, parameters, values, interrupt)
            }
            (Form::Compressed, Algorithm::None) => self.of_bytes(self.stream, parameters, values, interrupt),
            (Form::Compressed, Algorithm::Rice { width, block }) => {
                self.of_integers(parameters, values, interrupt, |integers| {
                    rice::decode(self.stream, width, block, integers, interrupt)
                })
            }
            (Form::Compressed, Algorithm::Plio) => {
                self.of_integers(parameters, values, interrupt, |integers| {
                    plio::decode(self.stream, integers, interrupt)
                })
            }
            (Form::Compressed, Algorithm::Hcompress { smooth }) => {
                self.of_integers(parameters, values, interrupt, |integers| {
                    hcompress::decode(self.stream, smooth, integers, interrupt)
                })
            }
        }
    }

    fn unpack(&self, expected_width: usize, interrupt: Interrupt<'_>) -> Result<Vec<u8>, CodecError> {
        gzip::unpack(
            self.stream,
            self.pixels * expected_width,
            self.pixels * 8,
            interrupt,
        )
    }

    /// How many bytes each pixel has. Writers differ in which width they give to integers, so that only the length
    /// tells.
    fn width(&self, bytes: &[u8]) -> Result<usize, CodecError> {
        [1, 2, 4, 8]
            .into_iter()
            .find(|width| self.pixels.checked_mul(*width) == Some(bytes.len()))
            .ok_or(CodecError::Invalid(
                "it unpacks to another number of pixels than a tile has",
            ))
    }

    /// The type of the pixels of an image that is not quantised.
    fn stored_type(&self, bytes: &[u8], parameters: &Parameters) -> Result<PixelType, CodecError> {
        let floating = matches!(parameters.pixel_type, PixelType::F32 | PixelType::F64);
        Ok(match (self.width(bytes)?, floating) {
            (1, _) => PixelType::U8,
            (2, _) => PixelType::I16,
            (4, false) => PixelType::I32,
            (4, true) => PixelType::F32,
            (_, false) => PixelType::I64,
            (_, true) => PixelType::F64,
        })
    }

    /// Values from big-endian numbers, quantised or not.
    fn of_bytes(
        &self,
        bytes: &[u8],
        parameters: &Parameters,
        values: &mut [f32],
        interrupt: Interrupt<'_>,
    ) -> Result<(), CodecError> {
        if parameters.quantization.is_none() {
            return self.as_they_are(
                bytes,
                self.stored_type(bytes, parameters)?,
                parameters,
                values,
                interrupt,
            );
        }
        let width = self.width(bytes)?;
        self.of_integers(parameters, values, interrupt, |integers| {
            match width {
                1 => copy(bytes, integers, |[b]: [u8; 1]| i32::from(b)),
                2 => copy(bytes, integers, |b| i32::from(i16::from_be_bytes(b))),
                4 => copy(bytes, integers, i32::from_be_bytes),
                _ => return Err(CodecError::Invalid("its quantised pixels have more than 32 bits")),
            }
            Ok(())
        })
    }

    /// Values from pixels that are stored as in an uncompressed image.
    fn as_they_are(
        &self,
        bytes: &[u8],
        element: PixelType,
        parameters: &Parameters,
        values: &mut [f32],
        interrupt: Interrupt<'_>,
    ) -> Result<(), CodecError> {
        if self.pixels.checked_mul(element.bytes()) != Some(bytes.len()) {
            return Err(CodecError::Invalid(
                "it holds another number of pixels than a tile has",
            ));
        }
        let blank = match element {
            PixelType::F32 | PixelType::F64 => None,
            _ => self.blank.or(parameters.scaling.blank),
        };
        let scaling = Scaling {
            blank,
            ..parameters.scaling
        };
        for (values, bytes) in values.chunks_mut(STEP).zip(bytes.chunks(STEP * element.bytes())) {
            go_on(interrupt)?;
            decode(bytes, values, element, scaling);
        }
        Ok(())
    }

    /// Values from integers that `fill` provides: they are either the image's pixels or quantised ones.
    fn of_integers(
        &self,
        parameters: &Parameters,
        values: &mut [f32],
        interrupt: Interrupt<'_>,
        fill: impl FnOnce(&mut [i32]) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        // The same memory holds first the integers, then the values.
        fill(bytemuck::cast_slice_mut(values))?;
        match parameters.quantization {
            Some(quantization) => {
                let quantized = Quantized {
                    scale: self.scale.or(quantization.scale).unwrap_or(1.0),
                    zero: self.zero.or(quantization.zero).unwrap_or(0.0),
                    blank: self.blank.or(parameters.scaling.blank),
                    dither: quantization.dither,
                };
                self.restore_in_place(values, quantized, parameters, interrupt)
            }
            None => self.scale_in_place(values, parameters, interrupt),
        }
    }

    /// Turns the bit patterns of the image's integers into values.
    fn scale_in_place(
        &self,
        values: &mut [f32],
        parameters: &Parameters,
        interrupt: Interrupt<'_>,
    ) -> Result<(), CodecError> {
        let Scaling { scale, zero, .. } = parameters.scaling;
        let blank = self
            .blank
            .or(parameters.scaling.blank)
            .and_then(|blank| i32::try_from(blank).ok());
        for piece in values.chunks_mut(STEP) {
            go_on(interrupt)?;
            for value in piece {
                let n = value.to_bits() as i32;
                let scaled = (f64::from(n) * scale + zero) as f32;
                *value = if blank == Some(n) { f32::NAN } else { scaled };
            }
        }
        Ok(())
    }

    /// Turns the bit patterns of quantised pixels into values.
    fn restore_in_place(
        &self,
        values: &mut [f32],
        quantized: Quantized,
        parameters: &Parameters,
        interrupt: Interrupt<'_>,
    ) -> Result<(), CodecError> {
        let Scaling { scale, zero, .. } = parameters.scaling;
        match parameters.pixel_type {
            _ if scale == 1.0 && zero == 0.0 => {
                quantized.restore(self.index, values, |x| x as f32, interrupt)
            }
            // The pixel itself is in single precision before the image's own scaling.
            PixelType::F32 => {
                let finish = |x: f64| (f64::from(x as f32) * scale + zero) as f32;
                quantized.restore(self.index, values, finish, interrupt)
            }
            _ => quantized.restore(self.index, values, |x| (x * scale + zero) as f32, interrupt),
        }
    }
}

fn copy<const N: usize>(bytes: &[u8], integers: &mut [i32], read: impl Fn([u8; N]) -> i32) {
    let (numbers, _) = bytes.as_chunks::<N>();
    for (integer, &number) in integers.iter_mut().zip(numbers) {
        *integer = read(number);
    }
}
