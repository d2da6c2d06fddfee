//! Stretches.

/// How values between the limits are spread over the colours: a function from 0…1 to 0…1.
///
/// The functions of SAOImage DS9 with its constants, made to end exactly at 1, as `astropy.visualization` has them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stretch {
    /// x
    Linear,
    /// log(1000 x + 1) / log(1001)
    Log,
    /// √x
    Sqrt,
    /// x²
    Square,
    /// (1000ˣ − 1) / 999
    Power,
    /// xᵞ
    Gamma(f64),
    /// asinh(10 x) / asinh(10)
    Asinh,
    /// sinh(3 x) / sinh(3)
    Sinh,
}

/// The constant of [`Stretch::Log`] and [`Stretch::Power`].
const EXPONENT: f64 = 1000.0;

impl Stretch {
    /// The value of the function at `x`, which lies between 0 and 1.
    #[must_use]
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Linear => x,
            Self::Log => (EXPONENT * x).ln_1p() / EXPONENT.ln_1p(),
            Self::Sqrt => x.sqrt(),
            Self::Square => x * x,
            Self::Power => (EXPONENT.powf(x) - 1.0) / (EXPONENT - 1.0),
            Self::Gamma(gamma) => x.powf(gamma),
            Self::Asinh => (10.0 * x).asinh() / 10.0_f64.asinh(),
            Self::Sinh => (3.0 * x).sinh() / 3.0_f64.sinh(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_those_of_astropy() {
        let cases: [(Stretch, &[u8]); 8] = [
            (
                Stretch::Linear,
                include_bytes!("../../tests/fixtures/picture/linear.f64"),
            ),
            (
                Stretch::Log,
                include_bytes!("../../tests/fixtures/picture/log.f64"),
            ),
            (
                Stretch::Sqrt,
                include_bytes!("../../tests/fixtures/picture/sqrt.f64"),
            ),
            (
                Stretch::Square,
                include_bytes!("../../tests/fixtures/picture/square.f64"),
            ),
            (
                Stretch::Power,
                include_bytes!("../../tests/fixtures/picture/power.f64"),
            ),
            (
                Stretch::Gamma(2.2),
                include_bytes!("../../tests/fixtures/picture/gamma.f64"),
            ),
            (
                Stretch::Asinh,
                include_bytes!("../../tests/fixtures/picture/asinh.f64"),
            ),
            (
                Stretch::Sinh,
                include_bytes!("../../tests/fixtures/picture/sinh.f64"),
            ),
        ];
        for (stretch, bytes) in cases {
            let (expected, rest) = bytes.as_chunks::<8>();
            assert!(rest.is_empty());
            for (step, expected) in expected.iter().enumerate() {
                let (x, expected) = (step as f64 / 40.0, f64::from_le_bytes(*expected));
                let found = stretch.apply(x);
                assert!(
                    (found - expected).abs() < 1e-12,
                    "{stretch:?} at {x}: {found}, not {expected}"
                );
            }
        }
    }
}
