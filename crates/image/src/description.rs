//! What is known of an image without reading a pixel.

/// The type of the pixels as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelType {
    /// 8-bit unsigned integer (BITPIX 8).
    U8,
    /// 16-bit signed integer (BITPIX 16).
    I16,
    /// 32-bit signed integer (BITPIX 32).
    I32,
    /// 64-bit signed integer (BITPIX 64).
    I64,
    /// IEEE single precision (BITPIX -32).
    F32,
    /// IEEE double precision (BITPIX -64).
    F64,
}

impl PixelType {
    /// Size of one stored pixel in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }
}

/// Which axis (counted from 0) plays which part. The picture is always made of axes 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Axes {
    /// The spectral axis (FREQ, VRAD, VOPT, VELO, WAVE, AWAV …), if any, wherever it is.
    pub spectral: Option<usize>,
    /// The polarisation axis (STOKES), if any.
    pub stokes: Option<usize>,
    /// The axis that channels step through: the spectral axis if it is not part of the picture, otherwise the
    /// first other non-degenerate non-Stokes axis after the first two, otherwise a degenerate one, if any.
    pub depth: Option<usize>,
}

/// The four numbers by which a viewer sees any image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape4 {
    /// Pixels along axis 0.
    pub width: u64,
    /// Pixels along axis 1; 1 for a one-dimensional image.
    pub height: u64,
    /// Number of channels; 1 without a depth axis.
    pub depth: u64,
    /// Number of polarisations; 1 without a Stokes axis.
    pub stokes: u64,
}

/// A restoring beam.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beam {
    /// Channel that it belongs to, counted from 0; `None` for all channels.
    pub channel: Option<u32>,
    /// Polarisation index that it belongs to, counted from 0; `None` for all.
    pub stokes: Option<u32>,
    /// Full width at half maximum along the major axis, in arcseconds.
    pub major: f64,
    /// Full width at half maximum along the minor axis, in arcseconds.
    pub minor: f64,
    /// Position angle, in degrees from north through east.
    pub position_angle: f64,
}

/// What is known of an image without reading a pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDescription {
    /// Length of every axis, in the file's order, degenerate ones included. Never empty; no zero.
    pub shape: Vec<u64>,
    /// Which axis plays which part.
    pub axes: Axes,
    /// How pixels are stored.
    pub pixel_type: PixelType,
    /// FITS Stokes code of each plane on the Stokes axis (1 = I, 2 = Q, 3 = U, 4 = V, -1 = RR … -8 = YX);
    /// empty without a Stokes axis.
    pub stokes_codes: Vec<i32>,
    /// Brightness unit (BUNIT), empty if not given.
    pub unit: String,
    /// Restoring beams: none, one for the whole image, or one for each channel and polarisation.
    pub beams: Vec<Beam>,
    /// Pixel area on the sky |CDELT1 × CDELT2| in square arcseconds, for two celestial axes.
    pub pixel_area: Option<f64>,
}

impl ImageDescription {
    /// The four numbers by which a viewer sees the image.
    #[must_use]
    pub fn shape4(&self) -> Shape4 {
        let length = |axis: Option<usize>| axis.and_then(|a| self.shape.get(a)).copied().unwrap_or(1);
        Shape4 {
            width: length(Some(0)),
            height: length(Some(1)),
            depth: length(self.axes.depth),
            stokes: length(self.axes.stokes),
        }
    }
}
