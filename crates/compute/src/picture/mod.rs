//! Pictures of planes: limits, stretch and colour map, as viewers of FITS images have them.
//!
//! A pixel value is brought between 0 and 1 by the limits, bent by a [`Stretch`], and coloured by a [`ColourMap`]:
//!
//! ```
//! use chartroom_compute::picture::{ColourMap, Scale, Stretch};
//!
//! let scale = Scale { min: 0.0, max: 2.0, stretch: Stretch::Linear };
//! let colours = scale.colours(&[0.0, 2.0, f32::NAN], ColourMap::Grey);
//! assert_eq!(colours, [[0, 0, 0, 255], [255, 255, 255, 255], [0, 0, 0, 0]]);
//! ```

mod colour_map;
mod limits;
mod stretch;

pub use self::colour_map::ColourMap;
pub use self::limits::central;
pub use self::stretch::Stretch;

/// How pixel values become colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// The value that gets the first colour; smaller ones get it as well.
    pub min: f32,
    /// The value that gets the last colour; larger ones get it as well.
    pub max: f32,
    /// What is done in between.
    pub stretch: Stretch,
}

impl Scale {
    /// Where a value lies between the limits, after the stretch: from 0 to 1. NaN for what is not finite. If both limits
    /// are the same, what is larger than them is 1 and everything else 0.
    #[must_use]
    pub fn place(&self, value: f32) -> f64 {
        if !value.is_finite() {
            return f64::NAN;
        }
        let (min, max) = (f64::from(self.min), f64::from(self.max));
        let place = match max - min {
            range if range > 0.0 => (f64::from(value) - min) / range,
            _ => f64::from(u8::from(value > self.max)),
        };
        self.stretch.apply(place.clamp(0.0, 1.0))
    }

    /// Red, green, blue and opacity of each pixel, not premultiplied. What is not finite is transparent.
    ///
    /// As in matplotlib, the range is cut into 256 parts of the same size.
    #[must_use]
    pub fn colours(&self, pixels: &[f32], map: ColourMap) -> Vec<[u8; 4]> {
        let table = map.table();
        let colour = |&value: &f32| {
            let place = self.place(value);
            if place.is_nan() {
                return [0; 4];
            }
            // At most 255, since `place` is at most 1.
            let index = ((place * 256.0) as usize).min(255);
            let [red, green, blue] = table[index];
            [red, green, blue, 255]
        };
        pixels.iter().map(colour).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_the_limits_get_the_first_and_the_last_colour() {
        let scale = Scale {
            min: -1.0,
            max: 1.0,
            stretch: Stretch::Linear,
        };
        // numpy: matplotlib.colormaps["gray"](Normalize(-1, 1)(x), bytes=True)
        let colours = scale.colours(&[-5.0, -1.0, -0.5, 0.0, 0.999, 1.0, 9.0], ColourMap::Grey);
        let greys: Vec<u8> = colours.iter().map(|colour| colour[0]).collect();
        assert_eq!(greys, [0, 0, 64, 128, 255, 255, 255]);
    }

    #[test]
    fn what_is_not_finite_is_transparent() {
        let scale = Scale {
            min: 0.0,
            max: 1.0,
            stretch: Stretch::Log,
        };
        let colours = scale.colours(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY], ColourMap::Viridis);
        assert_eq!(colours, [[0; 4]; 3]);
    }

    #[test]
    fn limits_that_are_the_same_tell_what_is_above_them() {
        let scale = Scale {
            min: 3.0,
            max: 3.0,
            stretch: Stretch::Linear,
        };
        assert_eq!([2.0, 3.0, 4.0].map(|value| scale.place(value)), [0.0, 0.0, 1.0]);
    }
}
