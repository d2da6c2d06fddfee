//! The columns of a binary table, as far as a compressed image needs them.
//!
//! FITS Standard 4.0, sections 7.3.2 (TFORMn) and 7.3.5 (variable-length arrays: descriptors P and Q, the heap).

use crate::fits::header::Header;
use crate::fits::pixels::{Scaling, decode};
use crate::{ImageError, PixelType};

/// A column whose entries are arrays in the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ArrayColumn {
    /// Where the descriptor is in the row, in bytes.
    offset: usize,
    /// Whether the descriptor has 64-bit numbers (Q) instead of 32-bit ones (P).
    wide: bool,
    /// The type of the elements.
    pub(super) element: PixelType,
}

/// Where an array is in the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeapArray {
    /// First byte, counted from the start of the heap.
    pub(super) offset: u64,
    /// Length in bytes.
    pub(super) bytes: u64,
}

impl ArrayColumn {
    /// The array of a row; `None` if the row is too short or the descriptor has negative or absurd numbers.
    pub(super) fn array(self, row: &[u8]) -> Option<HeapArray> {
        let (elements, offset) = if self.wide {
            let bytes: &[u8; 16] = row.get(self.offset..self.offset + 16)?.try_into().ok()?;
            let (numbers, _) = bytes.as_chunks::<8>();
            (
                i64::from_be_bytes(*numbers.first()?),
                i64::from_be_bytes(*numbers.get(1)?),
            )
        } else {
            let bytes: &[u8; 8] = row.get(self.offset..self.offset + 8)?.try_into().ok()?;
            let (numbers, _) = bytes.as_chunks::<4>();
            // Files with heaps of more than 2 GiB have been written with the sign bit as part of the offset.
            (
                i32::from_be_bytes(*numbers.first()?).into(),
                u32::from_be_bytes(*numbers.get(1)?).into(),
            )
        };
        let bytes = u64::try_from(elements)
            .ok()?
            .checked_mul(self.element.bytes() as u64)?;
        Some(HeapArray {
            offset: u64::try_from(offset).ok()?,
            bytes,
        })
    }
}

/// A column of one number for each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NumberColumn {
    offset: usize,
    element: PixelType,
}

impl NumberColumn {
    /// The number in a row, if the row is long enough.
    pub(super) fn number(self, row: &[u8]) -> Option<f64> {
        let bytes = row.get(self.offset..self.offset + self.element.bytes())?;
        Some(match (self.element, bytes) {
            (PixelType::F64, bytes) => f64::from_be_bytes(bytes.try_into().ok()?),
            (PixelType::I64, bytes) => i64::from_be_bytes(bytes.try_into().ok()?) as f64,
            (PixelType::I32, bytes) => i32::from_be_bytes(bytes.try_into().ok()?).into(),
            (PixelType::F32 | PixelType::I16 | PixelType::U8, bytes) => {
                let mut value = [0.0];
                decode(
                    bytes,
                    &mut value,
                    self.element,
                    Scaling {
                        scale: 1.0,
                        zero: 0.0,
                        blank: None,
                    },
                );
                let [value] = value;
                value.into()
            }
        })
    }
}

/// The columns that hold a compressed image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Columns {
    /// COMPRESSED_DATA.
    pub(super) compressed: Option<ArrayColumn>,
    /// GZIP_COMPRESSED_DATA: tiles that were not worth quantising.
    pub(super) gzip: Option<ArrayColumn>,
    /// UNCOMPRESSED_DATA: tiles that were not worth compressing.
    pub(super) uncompressed: Option<ArrayColumn>,
    /// ZSCALE.
    pub(super) scale: Option<NumberColumn>,
    /// ZZERO.
    pub(super) zero: Option<NumberColumn>,
    /// ZBLANK.
    pub(super) blank: Option<NumberColumn>,
}

impl Columns {
    /// Finds the columns in the header of a table whose rows have `row_bytes` bytes.
    pub(super) fn of(header: &Header, row_bytes: u64) -> Result<Self, ImageError> {
        let fields = header.required_integer("TFIELDS")?;
        if !(0..=999).contains(&fields) {
            return Err(header.malformed(&format!("TFIELDS is {fields}, which is not between 0 and 999")));
        }
        let mut columns = Self::default();
        let mut offset = 0u64;
        for field in 1..=fields {
            let keyword = format!("TFORM{field}");
            let form = header
                .text(&keyword)
                .ok_or_else(|| header.malformed(&format!("{keyword} is missing")))?;
            let bad = || header.malformed(&format!("{keyword} is {form:?}, which cannot be used here"));
            let parsed = Form::parse(form).ok_or_else(bad)?;
            let start = usize::try_from(offset).map_err(|_| bad())?;
            offset = offset
                .checked_add(parsed.bytes())
                .filter(|end| *end <= row_bytes)
                .ok_or_else(|| {
                    header.malformed(&format!("column {field} is outside the rows of the table"))
                })?;
            let array = || parsed.array(start).ok_or_else(bad).map(Some);
            let number = || parsed.number(start).ok_or_else(bad).map(Some);
            let name = header.text(&format!("TTYPE{field}")).unwrap_or_default();
            match name.trim().to_ascii_uppercase().as_str() {
                "COMPRESSED_DATA" => columns.compressed = array()?,
                "GZIP_COMPRESSED_DATA" => columns.gzip = array()?,
                "UNCOMPRESSED_DATA" => columns.uncompressed = array()?,
                "ZSCALE" => columns.scale = number()?,
                "ZZERO" => columns.zero = number()?,
                "ZBLANK" => columns.blank = number()?,
                "NULL_PIXEL_MASK" => {
                    let reason = format!("HDU {}: masks of null pixels cannot be read.", header.hdu());
                    return Err(ImageError::Unsupported { reason });
                }
                _ => {}
            }
        }
        if columns.compressed.is_none() && columns.gzip.is_none() && columns.uncompressed.is_none() {
            return Err(header.malformed("the table has no column COMPRESSED_DATA"));
        }
        Ok(columns)
    }
}

/// A TFORMn value: a count, a letter, and for arrays in the heap the letter of their elements.
struct Form {
    count: u64,
    letter: u8,
    element: Option<u8>,
}

impl Form {
    fn parse(form: &str) -> Option<Self> {
        let form = form.trim();
        let digits = form.bytes().take_while(u8::is_ascii_digit).count();
        let count = if digits == 0 {
            1
        } else {
            form.get(..digits)?.parse().ok()?
        };
        let mut letters = form.bytes().skip(digits);
        let form = Self {
            count,
            letter: letters.next()?,
            element: letters.next(),
        };
        form.width()?;
        // So that sums of all columns cannot overflow.
        (form.count < 1 << 40).then_some(form)
    }

    /// Bits of one entry.
    fn width(&self) -> Option<u64> {
        Some(match self.letter {
            b'X' => 1,
            b'L' | b'B' | b'A' => 8,
            b'I' => 16,
            b'J' | b'E' => 32,
            b'K' | b'D' | b'C' | b'P' => 64,
            b'M' | b'Q' => 128,
            _ => return None,
        })
    }

    fn bytes(&self) -> u64 {
        (self.count * self.width().unwrap_or(0)).div_ceil(8)
    }

    fn array(&self, offset: usize) -> Option<ArrayColumn> {
        let wide = match self.letter {
            b'P' => false,
            b'Q' => true,
            _ => return None,
        };
        let element = pixel_type(self.element?)?;
        (self.count == 1).then_some(ArrayColumn {
            offset,
            wide,
            element,
        })
    }

    fn number(&self, offset: usize) -> Option<NumberColumn> {
        (self.count == 1).then_some(NumberColumn {
            offset,
            element: pixel_type(self.letter)?,
        })
    }
}

fn pixel_type(letter: u8) -> Option<PixelType> {
    Some(match letter {
        b'B' => PixelType::U8,
        b'I' => PixelType::I16,
        b'J' => PixelType::I32,
        b'K' => PixelType::I64,
        b'E' => PixelType::F32,
        b'D' => PixelType::F64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fits::card::{Card, Value};

    fn columns(fields: &[(&str, &str)], row_bytes: u64) -> Result<Columns, ImageError> {
        let mut cards = vec![Card::new("TFIELDS", Value::Integer(fields.len() as i64), "")];
        for (number, (name, form)) in fields.iter().enumerate() {
            cards.push(Card::new(
                &format!("TTYPE{}", number + 1),
                Value::Text((*name).to_owned()),
                "",
            ));
            cards.push(Card::new(
                &format!("TFORM{}", number + 1),
                Value::Text((*form).to_owned()),
                "",
            ));
        }
        Columns::of(&Header::new(cards, 1), row_bytes)
    }

    #[test]
    fn columns_are_found_behind_columns_of_any_type() {
        let fields = [
            ("FLAGS", "9X"),
            ("NAME", "3A"),
            ("COMPRESSED_DATA", "1PB(7)"),
            ("ZSCALE", "1D"),
            ("ZBLANK", "J"),
        ];
        let columns = columns(&fields, 25).unwrap();
        let mut row = vec![0; 5];
        row.extend(7i32.to_be_bytes());
        row.extend(3_000_000_000u32.to_be_bytes());
        row.extend(0.25f64.to_be_bytes());
        row.extend((-5i32).to_be_bytes());
        assert_eq!(
            columns.compressed.unwrap().array(&row),
            Some(HeapArray {
                offset: 3_000_000_000,
                bytes: 7
            })
        );
        assert_eq!(columns.scale.unwrap().number(&row), Some(0.25));
        assert_eq!(columns.blank.unwrap().number(&row), Some(-5.0));
        assert_eq!(columns.scale.unwrap().number(&row[..9]), None);
    }

    #[test]
    fn wide_descriptors_are_read_and_negative_ones_are_none() {
        let columns = columns(&[("COMPRESSED_DATA", "QI")], 16).unwrap();
        let row = |elements: i64, offset: i64| [elements.to_be_bytes(), offset.to_be_bytes()].concat();
        let column = columns.compressed.unwrap();
        assert_eq!(
            column.array(&row(3, 1 << 40)),
            Some(HeapArray {
                offset: 1 << 40,
                bytes: 6
            })
        );
        for bad in [row(-1, 0), row(0, -1)] {
            assert_eq!(column.array(&bad), None);
        }
    }

    #[test]
    fn tables_that_cannot_be_are_errors() {
        assert!(columns(&[("COMPRESSED_DATA", "PB")], 7).is_err());
        assert!(columns(&[("COMPRESSED_DATA", "8B")], 8).is_err());
        assert!(columns(&[("COMPRESSED_DATA", "ZB")], 8).is_err());
        assert!(columns(&[("COMPRESSED_DATA", "99999999999999999999PB")], 8).is_err());
        assert!(columns(&[("ZSCALE", "D")], 8).is_err());
        assert!(columns(&[("COMPRESSED_DATA", "PB"), ("NULL_PIXEL_MASK", "PB")], 16).is_err());
    }
}
