//! Polarisations computed from the Stokes parameters I, Q, U and V.
//!
//! Definitions as in the FITS standard's conventions for Stokes (Greisen & Calabretta 2002, section 5.4) and the
//! IAU (1973) convention for the angle, counted from north through east. Computed in `f64`, rounded once. Whatever
//! is NaN stays NaN; a division by I = 0 gives what IEEE 754 says, and such a pixel is not valid.

use crate::Error;
use crate::error::check_length;
use crate::simd::{self, Kernel};

/// A computed polarisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Computed {
    /// Total polarised intensity, √(Q² + U² + V²).
    Ptotal,
    /// Linearly polarised intensity, √(Q² + U²).
    Plinear,
    /// Fraction of total polarisation in percent, 100 × Ptotal / I.
    PFtotal,
    /// Fraction of linear polarisation in percent, 100 × Plinear / I.
    PFlinear,
    /// Angle of linear polarisation in degrees, ½ atan2(U, Q), from −90 to 90.
    Pangle,
}

/// A Stokes parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stokes {
    /// Total intensity.
    I,
    /// Linear polarisation, north–south against east–west.
    Q,
    /// Linear polarisation, at 45 degrees.
    U,
    /// Circular polarisation.
    V,
}

impl Computed {
    /// The Stokes parameters that [`compute`](Self::compute) takes, in this order.
    #[must_use]
    pub fn inputs(self) -> &'static [Stokes] {
        match self {
            Self::Ptotal => &[Stokes::Q, Stokes::U, Stokes::V],
            Self::Plinear | Self::Pangle => &[Stokes::Q, Stokes::U],
            Self::PFtotal => &[Stokes::I, Stokes::Q, Stokes::U, Stokes::V],
            Self::PFlinear => &[Stokes::I, Stokes::Q, Stokes::U],
        }
    }

    /// Computes every pixel of `out` from the planes of [`inputs`](Self::inputs), given in that order.
    ///
    /// # Errors
    /// [`Error::Length`] when the number of planes or the length of one does not fit.
    pub fn compute(self, planes: &[&[f32]], out: &mut [f32]) -> Result<(), Error> {
        for plane in planes {
            check_length("a plane of Stokes pixels", plane.len(), out.len())?;
        }
        match (self, planes) {
            (Self::Ptotal, &[q, u, v]) => simd::dispatch(Total { q, u, v, out }),
            (Self::Plinear, &[q, u]) => simd::dispatch(Linear { q, u, out }),
            (Self::PFtotal, &[i, q, u, v]) => simd::dispatch(TotalFraction { i, q, u, v, out }),
            (Self::PFlinear, &[i, q, u]) => simd::dispatch(LinearFraction { i, q, u, out }),
            (Self::Pangle, &[q, u]) => angle(q, u, out),
            _ => check_length("the list of Stokes planes", planes.len(), self.inputs().len())?,
        }
        Ok(())
    }
}

#[inline(always)]
fn square(value: f32) -> f64 {
    f64::from(value) * f64::from(value)
}

struct Linear<'a> {
    q: &'a [f32],
    u: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Linear<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ((out, &q), &u) in self.out.iter_mut().zip(self.q).zip(self.u) {
            *out = (square(q) + square(u)).sqrt() as f32;
        }
    }
}

struct Total<'a> {
    q: &'a [f32],
    u: &'a [f32],
    v: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Total<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (((out, &q), &u), &v) in self.out.iter_mut().zip(self.q).zip(self.u).zip(self.v) {
            *out = (square(q) + square(u) + square(v)).sqrt() as f32;
        }
    }
}

struct LinearFraction<'a> {
    i: &'a [f32],
    q: &'a [f32],
    u: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for LinearFraction<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (((out, &i), &q), &u) in self.out.iter_mut().zip(self.i).zip(self.q).zip(self.u) {
            *out = (100.0 * (square(q) + square(u)).sqrt() / f64::from(i)) as f32;
        }
    }
}

struct TotalFraction<'a> {
    i: &'a [f32],
    q: &'a [f32],
    u: &'a [f32],
    v: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for TotalFraction<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let pixels = self
            .out
            .iter_mut()
            .zip(self.i)
            .zip(self.q)
            .zip(self.u)
            .zip(self.v);
        for ((((out, &i), &q), &u), &v) in pixels {
            *out = (100.0 * (square(q) + square(u) + square(v)).sqrt() / f64::from(i)) as f32;
        }
    }
}

fn angle(q: &[f32], u: &[f32], out: &mut [f32]) {
    for ((out, &q), &u) in out.iter_mut().zip(q).zip(u) {
        *out = (0.5 * f64::from(u).atan2(f64::from(q)).to_degrees()) as f32;
    }
}
