//! How the tiles of one image were compressed.

use super::columns::Columns;
use super::quantize::Dither;
use super::rice::{MAX_BLOCK, RiceWidth};
use crate::fits::header::Header;
use crate::fits::pixels::Scaling;
use crate::{ImageError, PixelType};

/// The compression algorithm with its parameters (ZCMPTYPE, ZNAMEn, ZVALn).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// RICE_1, also written RICE_ONE.
    Rice {
        /// BYTEPIX.
        width: RiceWidth,
        /// BLOCKSIZE.
        block: usize,
    },
    /// GZIP_1, or GZIP_2 if the bytes are shuffled.
    Gzip {
        /// Whether the bytes are sorted by significance.
        shuffled: bool,
    },
    /// PLIO_1.
    Plio,
    /// HCOMPRESS_1.
    Hcompress {
        /// Whether SMOOTH is not zero.
        smooth: bool,
    },
    /// NOCOMPRESS.
    None,
}

impl Algorithm {
    /// Reads ZCMPTYPE and its parameters.
    fn of(header: &Header) -> Result<Self, ImageError> {
        let name = header
            .text("ZCMPTYPE")
            .ok_or_else(|| header.malformed("ZCMPTYPE is missing"))?;
        Ok(match name.trim() {
            "RICE_1" | "RICE_ONE" => {
                let block = parameter(header, "BLOCKSIZE")?.unwrap_or(32);
                let block = usize::try_from(block)
                    .ok()
                    .filter(|block| (1..=MAX_BLOCK).contains(block));
                let width = match parameter(header, "BYTEPIX")?.unwrap_or(4) {
                    1 => RiceWidth::One,
                    2 => RiceWidth::Two,
                    4 => RiceWidth::Four,
                    other => {
                        let what = format!("the parameter BYTEPIX is {other}, which is none of 1, 2 and 4");
                        return Err(header.malformed(&what));
                    }
                };
                let outside = || {
                    header.malformed(&format!(
                        "the parameter BLOCKSIZE is not between 1 and {MAX_BLOCK}"
                    ))
                };
                Self::Rice {
                    width,
                    block: block.ok_or_else(outside)?,
                }
            }
            "GZIP_1" => Self::Gzip { shuffled: false },
            "GZIP_2" => Self::Gzip { shuffled: true },
            "PLIO_1" => Self::Plio,
            "HCOMPRESS_1" => Self::Hcompress {
                smooth: parameter(header, "SMOOTH")?.unwrap_or(0) != 0,
            },
            "NOCOMPRESS" => Self::None,
            other => {
                let reason = format!(
                    "HDU {}: the compression ZCMPTYPE = {other:?} is not known.",
                    header.hdu()
                );
                return Err(ImageError::Unsupported { reason });
            }
        })
    }

    /// The name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rice { .. } => "RICE_1",
            Self::Gzip { shuffled: false } => "GZIP_1",
            Self::Gzip { shuffled: true } => "GZIP_2",
            Self::Plio => "PLIO_1",
            Self::Hcompress { .. } => "HCOMPRESS_1",
            Self::None => "NOCOMPRESS",
        }
    }
}

/// The value of the parameter that a ZNAMEn names, as a whole number.
fn parameter(header: &Header, name: &str) -> Result<Option<i64>, ImageError> {
    for number in 1..=999 {
        match header.text(&format!("ZNAME{number}")) {
            Some(found) if found.trim().eq_ignore_ascii_case(name) => {
                return header.layout_integer(&format!("ZVAL{number}"));
            }
            Some(_) => {}
            None => break,
        }
    }
    Ok(None)
}

/// Everything about the tiles that is the same for all of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters {
    pub(super) algorithm: Algorithm,
    /// ZBITPIX.
    pub(super) pixel_type: PixelType,
    /// BSCALE and BZERO of the image, and the ZBLANK or BLANK that holds where no column gives one.
    pub(super) scaling: Scaling,
    /// How floating-point pixels were made integers; `None` if they were not, and for integer images.
    pub(super) quantization: Option<Quantization>,
}

/// How floating-point pixels were made integers. Columns of the same names overrule these numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quantization {
    /// ZSCALE.
    pub(super) scale: Option<f64>,
    /// ZZERO.
    pub(super) zero: Option<f64>,
    /// ZQUANTIZ and ZDITHER0.
    pub(super) dither: Dither,
}

impl Parameters {
    /// Reads the header of the table. `pixel_type` is the image's (ZBITPIX).
    pub(super) fn of(table: &Header, columns: &Columns, pixel_type: PixelType) -> Result<Self, ImageError> {
        let algorithm = Algorithm::of(table)?;
        let floating = matches!(pixel_type, PixelType::F32 | PixelType::F64);
        let scale = table.layout_float("ZSCALE")?;
        let quantization = if floating && (columns.scale.is_some() || scale.is_some()) {
            Some(Quantization {
                scale,
                zero: table.layout_float("ZZERO")?,
                dither: Dither::of(table)?,
            })
        } else {
            None
        };
        let blank = match table.layout_integer("ZBLANK")? {
            Some(blank) => Some(blank),
            None => table.layout_integer("BLANK")?,
        };
        let scaling = Scaling {
            blank,
            ..Scaling::of(table, pixel_type)?
        };
        Ok(Self {
            algorithm,
            pixel_type,
            scaling,
            quantization,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fits::card::Card;

    fn algorithm(lines: &[&str]) -> Result<Algorithm, ImageError> {
        Algorithm::of(&Header::new(
            lines.iter().map(|line| Card::parse(line.as_bytes())).collect(),
            1,
        ))
    }

    #[test]
    fn parameters_are_found_by_name_whatever_their_number() {
        let found = algorithm(&[
            "ZCMPTYPE= 'RICE_ONE'",
            "ZNAME1  = 'BYTEPIX'",
            "ZVAL1   = 2",
            "ZNAME2  = 'BLOCKSIZE'",
            "ZVAL2   = 16",
        ]);
        assert_eq!(
            found.unwrap(),
            Algorithm::Rice {
                width: RiceWidth::Two,
                block: 16
            }
        );
        let found = algorithm(&["ZCMPTYPE= 'RICE_1'"]);
        assert_eq!(
            found.unwrap(),
            Algorithm::Rice {
                width: RiceWidth::Four,
                block: 32
            }
        );
        let found = algorithm(&["ZCMPTYPE= 'HCOMPRESS_1'", "ZNAME1  = 'SMOOTH'", "ZVAL1   = 1"]);
        assert_eq!(found.unwrap(), Algorithm::Hcompress { smooth: true });
    }

    #[test]
    fn unknown_algorithms_and_impossible_parameters_are_errors() {
        assert!(matches!(
            algorithm(&["ZCMPTYPE= 'JPEG'"]),
            Err(ImageError::Unsupported { .. })
        ));
        assert!(algorithm(&[]).is_err());
        assert!(algorithm(&["ZCMPTYPE= 'RICE_1'", "ZNAME1  = 'BYTEPIX'", "ZVAL1   = 8"]).is_err());
        for block in ["0", "-1", "1000000", "'x'"] {
            let value = format!("ZVAL1   = {block}");
            assert!(algorithm(&["ZCMPTYPE= 'RICE_1'", "ZNAME1  = 'BLOCKSIZE'", &value]).is_err());
        }
    }
}
