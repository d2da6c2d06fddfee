//! Comparing numbers with what is expected, gathering all that differ.

use chartroom_icd::messages;

use super::oracle::Histogram;

/// Everything that differs, as sentences. Dropping it fails the test if there is anything.
#[derive(Debug, Default)]
pub(super) struct Differences {
    found: Vec<String>,
}

impl Differences {
    /// Notes a difference unless `holds`.
    pub(super) fn check(&mut self, holds: bool, difference: impl FnOnce() -> String) {
        if !holds {
            self.found.push(difference());
        }
    }

    /// The same numbers, NaN where there is NaN.
    pub(super) fn exact(&mut self, what: &dyn Fn() -> String, found: &[f32], expected: &[f32]) {
        self.within(what, found, expected, &|_| 0.0);
    }

    /// Numbers that differ by no more than `bound` of their index, NaN where there is NaN.
    pub(super) fn within(
        &mut self,
        what: &dyn Fn() -> String,
        found: &[f32],
        expected: &[f32],
        bound: &dyn Fn(usize) -> f64,
    ) {
        if found.len() != expected.len() {
            let (n, m) = (found.len(), expected.len());
            self.found.push(format!("{}: {n} values instead of {m}", what()));
            return;
        }
        let near = |at: usize, a: f32, b: f32| {
            a == b || a.is_nan() && b.is_nan() || (f64::from(a) - f64::from(b)).abs() <= bound(at)
        };
        let differ: Vec<usize> = (0..found.len())
            .filter(|&at| !near(at, found[at], expected[at]))
            .collect();
        if let Some(&first) = differ.first() {
            self.found.push(format!(
                "{}: {} of {} values differ, the first at {first}: {:e} instead of {:e}",
                what(),
                differ.len(),
                found.len(),
                found[first],
                expected[first]
            ));
        }
    }

    /// A number that sums of many pixels went into; `None` is NaN. `scale` is the magnitude of what was summed.
    pub(super) fn number(
        &mut self,
        what: &dyn Fn() -> String,
        found: f64,
        expected: Option<f64>,
        scale: f64,
    ) {
        let expected = expected.unwrap_or(f64::NAN);
        let near = (found - expected).abs() <= 1e-9 * expected.abs() + 1e-14 * scale;
        self.check(near || found.is_nan() && expected.is_nan(), || {
            format!("{}: {found:e} instead of {expected:e}", what())
        });
    }

    /// The same bins with the same counts.
    pub(super) fn histogram(
        &mut self,
        what: &dyn Fn() -> String,
        found: Option<&messages::Histogram>,
        expected: Option<&Histogram>,
    ) {
        let Some(found) = found else {
            self.found.push(format!("{}: no histogram", what()));
            return;
        };
        self.check(found.num_bins as usize == found.bins.len(), || {
            format!(
                "{}: {} bins, said to be {}",
                what(),
                found.bins.len(),
                found.num_bins
            )
        });
        let Some(expected) = expected else {
            // Nothing to count, but something to draw.
            let drawn = found.bin_width > 0.0 && found.first_bin_center.is_finite();
            let empty = !found.bins.is_empty() && found.bins.iter().all(|&count| count == 0);
            let empty = empty && found.mean.is_nan() && found.std_dev.is_nan();
            self.check(drawn && empty, || {
                format!("{}: not an empty histogram: {found:?}", what())
            });
            return;
        };
        self.check(found.bins == expected.bins, || {
            let pairs = found.bins.iter().zip(&expected.bins).enumerate();
            let differ: Vec<_> = pairs.filter(|(_, (a, b))| a != b).take(4).collect();
            let (n, m) = (found.bins.len(), expected.bins.len());
            format!("{}: counts differ ({n} bins, {m} expected): {differ:?}", what())
        });
        for (name, a, b) in [
            ("bin_width", found.bin_width, expected.bin_width),
            (
                "first_bin_center",
                found.first_bin_center,
                expected.first_bin_center,
            ),
        ] {
            self.check(a == b, || format!("{}: {name} is {a:e} instead of {b:e}", what()));
        }
        let scale = expected.mean.unwrap_or_default().abs();
        self.number(&|| format!("{}: mean", what()), found.mean, expected.mean, 0.0);
        self.number(
            &|| format!("{}: std_dev", what()),
            found.std_dev,
            expected.std_dev,
            scale,
        );
    }
}

impl Drop for Differences {
    fn drop(&mut self) {
        if self.found.is_empty() || std::thread::panicking() {
            return;
        }
        let some: Vec<&str> = self.found.iter().take(40).map(String::as_str).collect();
        panic!("{} differences:\n{}", self.found.len(), some.join("\n"));
    }
}
