//! How a section is read: which runs of pixels, one after the other.

use crate::Section;

/// A section as runs of neighbouring pixels, all of the same length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// Pixels in one run.
    pub(super) run: usize,
    /// Runs in one row of runs.
    pub(super) row: u64,
    /// Pixels from the start of one run to that of the next one in its row.
    pub(super) stride: u64,
    /// Position of the first run, in pixels.
    first: u64,
    /// Number and distance of the rows of runs, axis by axis.
    outer: Vec<(u64, u64)>,
}

impl Plan {
    /// Plans a section that lies in an image of this shape, whose number of pixels fits in `u64`.
    pub(super) fn new(shape: &[u64], section: &Section) -> Self {
        let mut first = 0;
        let mut run = 1;
        let mut distance = 1;
        let mut joined = true;
        let mut outer = Vec::new();
        for ((&length, &start), &count) in shape.iter().zip(&section.start).zip(&section.count) {
            first += start * distance;
            if joined {
                run *= count;
                // The next axis continues this run only if all of this one is wanted.
                joined = count == length;
            } else if count != 1 {
                outer.push((count, distance));
            }
            distance *= length;
        }
        let (row, stride) = if outer.is_empty() { (1, 0) } else { outer.remove(0) };
        Self {
            run: usize::try_from(run).unwrap_or(usize::MAX),
            row,
            stride,
            first,
            outer,
        }
    }

    /// Positions of the first pixel of every row of runs, in the order of the section.
    pub(super) fn rows(&self) -> impl Iterator<Item = u64> + '_ {
        let mut index = vec![0; self.outer.len()];
        let mut next = Some(self.first);
        std::iter::from_fn(move || {
            let position = next?;
            let mut following = position;
            next = None;
            for (i, &(count, distance)) in index.iter_mut().zip(&self.outer) {
                if *i + 1 < count {
                    *i += 1;
                    next = Some(following + distance);
                    break;
                }
                following -= *i * distance;
                *i = 0;
            }
            Some(position)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(shape: &[u64], start: &[u64], count: &[u64]) -> Plan {
        Plan::new(
            shape,
            &Section {
                start: start.to_vec(),
                count: count.to_vec(),
            },
        )
    }

    #[test]
    fn a_whole_image_is_one_run() {
        let plan = plan(&[10, 20, 3], &[0, 0, 0], &[10, 20, 3]);
        assert_eq!((plan.run, plan.row), (600, 1));
        assert_eq!(plan.rows().collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn whole_rows_are_one_run() {
        let plan = plan(&[10, 20, 3], &[0, 5, 2], &[10, 4, 1]);
        assert_eq!((plan.run, plan.row), (40, 1));
        assert_eq!(plan.rows().collect::<Vec<_>>(), [450]);
    }

    #[test]
    fn a_spectrum_is_one_pixel_in_every_channel() {
        let plan = plan(&[10, 20, 3], &[4, 5, 0], &[1, 1, 3]);
        assert_eq!((plan.run, plan.row, plan.stride), (1, 3, 200));
        assert_eq!(plan.rows().collect::<Vec<_>>(), [54]);
    }

    #[test]
    fn a_box_is_a_run_for_each_row_of_each_plane() {
        let plan = plan(&[10, 20, 3, 2], &[1, 2, 1, 0], &[3, 4, 2, 2]);
        assert_eq!((plan.run, plan.row, plan.stride), (3, 4, 10));
        assert_eq!(plan.rows().collect::<Vec<_>>(), [221, 421, 821, 1021]);
    }
}
