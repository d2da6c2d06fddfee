//! Colour maps of 256 colours.

use std::array;

/// The colours from the smallest value to the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColourMap {
    /// From black to white.
    Grey,
    /// From black over red and yellow to white.
    Hot,
    /// From black to white, ever brighter, on a helix around the greys (Green 2011, Bulletin of the Astronomical Society
    /// of India 39, 289), with its default parameters.
    Cubehelix,
    /// From violet over green to yellow, perceptually uniform (matplotlib, CC0).
    Viridis,
    /// From blue over red to yellow, perceptually uniform (matplotlib, CC0).
    Plasma,
    /// From black over red to pale yellow, perceptually uniform (matplotlib, CC0).
    Inferno,
    /// From black over purple to pale yellow, perceptually uniform (matplotlib, CC0).
    Magma,
}

impl ColourMap {
    /// Red, green and blue of each colour, in sRGB.
    #[must_use]
    pub fn table(self) -> [[u8; 3]; 256] {
        match self {
            Self::Grey => array::from_fn(|index| [index as u8; 3]),
            Self::Hot => computed(hot),
            Self::Cubehelix => computed(cubehelix),
            Self::Viridis => stored(include_bytes!("maps/viridis.rgb")),
            Self::Plasma => stored(include_bytes!("maps/plasma.rgb")),
            Self::Inferno => stored(include_bytes!("maps/inferno.rgb")),
            Self::Magma => stored(include_bytes!("maps/magma.rgb")),
        }
    }
}

fn stored(bytes: &[u8; 768]) -> [[u8; 3]; 256] {
    array::from_fn(|index| array::from_fn(|component| bytes[index * 3 + component]))
}

fn computed(colour: fn(f64) -> [f64; 3]) -> [[u8; 3]; 256] {
    let byte = |part: f64| (part.clamp(0.0, 1.0) * 255.0).round() as u8;
    array::from_fn(|index| colour(index as f64 / 255.0).map(byte))
}

/// Red comes first, then green, then blue, each evenly.
fn hot(x: f64) -> [f64; 3] {
    // Where red and green are complete, in matplotlib's and MATLAB's maps of this name.
    const RED: f64 = 0.365_079;
    const GREEN: f64 = 0.746_032;
    const FIRST_RED: f64 = 0.0416;
    [
        FIRST_RED + (1.0 - FIRST_RED) * (x / RED),
        (x - RED) / (GREEN - RED),
        (x - GREEN) / (1.0 - GREEN),
    ]
}

/// Equation 2 of Green (2011) with start 0.5, -1.5 rotations, hue 1 and gamma 1.
fn cubehelix(x: f64) -> [f64; 3] {
    const START: f64 = 0.5;
    const ROTATIONS: f64 = -1.5;
    let angle = std::f64::consts::TAU * (START / 3.0 + ROTATIONS * x);
    let amplitude = x * (1.0 - x) / 2.0;
    let (sin, cos) = angle.sin_cos();
    [(-0.14861, 1.78277), (-0.29227, -0.90649), (1.97294, 0.0)]
        .map(|(along_cos, along_sin)| x + amplitude * (along_cos * cos + along_sin * sin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_those_of_matplotlib() {
        let cases: [(ColourMap, &[u8; 768]); 3] = [
            (
                ColourMap::Grey,
                include_bytes!("../../tests/fixtures/picture/gray.rgb"),
            ),
            (
                ColourMap::Hot,
                include_bytes!("../../tests/fixtures/picture/hot.rgb"),
            ),
            (
                ColourMap::Cubehelix,
                include_bytes!("../../tests/fixtures/picture/cubehelix.rgb"),
            ),
        ];
        for (map, expected) in cases {
            for (index, (found, expected)) in map.table().iter().zip(stored(expected)).enumerate() {
                // matplotlib cuts some of its maps' values off where others are rounded.
                let near = found.iter().zip(expected).all(|(&a, b)| a.abs_diff(b) <= 1);
                assert!(near, "{map:?} {index}: {found:?}, not {expected:?}");
            }
        }
    }

    #[test]
    fn stored_maps_begin_and_end_as_published() {
        // matplotlib.colormaps[name](x, bytes=True) for x = 0 and x = 255
        let ends = |map: ColourMap| (map.table()[0], map.table()[255]);
        assert_eq!(ends(ColourMap::Viridis), ([68, 1, 84], [253, 231, 36]));
        assert_eq!(ends(ColourMap::Plasma), ([12, 7, 134], [239, 248, 33]));
        assert_eq!(ends(ColourMap::Inferno), ([0, 0, 3], [252, 254, 164]));
        assert_eq!(ends(ColourMap::Magma), ([0, 0, 3], [251, 252, 191]));
    }
}
