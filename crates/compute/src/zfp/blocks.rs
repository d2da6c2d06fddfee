//! Blocks of 4×4 values in an image, and their way into batches and back.

use super::lanes::{BLOCK, Batch, LANES};

/// Side of a block.
const SIDE: usize = 4;

/// Width of the blocks of one batch, side by side.
const SPAN: usize = SIDE * LANES;

/// Which of the first `n` values of a row or column stands at each of the four places of a block: blocks that stick out
/// of the image repeat values so that the transform gives small coefficients.
const PADDING: [[usize; SIDE]; SIDE + 1] = [[0; SIDE], [0; SIDE], [0, 1, 1, 0], [0, 1, 2, 0], [0, 1, 2, 3]];

/// The place of a batch: up to [`LANES`] neighbouring blocks of one row of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Of the first value, in the image.
    x: usize,
    y: usize,
    /// Width of the image.
    width: usize,
    /// Columns and rows of the image that are covered, at most 64 and 4.
    columns: usize,
    rows: usize,
}

impl Place {
    /// The batches of an image in the order in which zfp writes their blocks: x runs fastest.
    #[inline(always)]
    pub(super) fn all(width: usize, height: usize) -> impl Iterator<Item = Place> {
        (0..height).step_by(SIDE).flat_map(move |y| {
            (0..width).step_by(SPAN).map(move |x| Place {
                x,
                y,
                width,
                columns: (width - x).min(SPAN),
                rows: (height - y).min(SIDE),
            })
        })
    }

    /// Number of blocks, which are in the first lanes.
    #[inline(always)]
    pub(super) fn blocks(self) -> usize {
        self.columns.div_ceil(SIDE)
    }

    /// Where row `row` of the batch is in the image.
    #[inline(always)]
    fn row(self, row: usize) -> std::ops::Range<usize> {
        let start = (self.y + row) * self.width + self.x;
        start..start + self.columns
    }

    /// Copies the values of the batch; lanes without a block are zero.
    #[inline(always)]
    pub(super) fn gather(self, image: &[f32]) -> Batch<f32> {
        let mut batch = [[0f32; LANES]; BLOCK];
        for (y, row) in PADDING[self.rows].into_iter().enumerate() {
            let row = &image[self.row(row)];
            let lanes = &mut batch[SIDE * y..][..SIDE];
            if let Ok(row) = <&[f32; SPAN]>::try_from(row) {
                for l in 0..LANES {
                    for x in 0..SIDE {
                        lanes[x][l] = row[SIDE * l + x];
                    }
                }
                continue;
            }
            for (l, row) in row.chunks(SIDE).enumerate() {
                for x in 0..SIDE {
                    lanes[x][l] = row[PADDING[row.len()][x]];
                }
            }
        }
        batch
    }

    /// Copies the values of the batch to their place in the image; padding is dropped.
    #[inline(always)]
    pub(super) fn scatter(self, batch: &Batch<f32>, image: &mut [f32]) {
        for y in 0..self.rows {
            let lanes = &batch[SIDE * y..][..SIDE];
            for (l, row) in image[self.row(y)].chunks_mut(SIDE).enumerate() {
                for (x, value) in row.iter_mut().enumerate() {
                    *value = lanes[x][l];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_cover_every_value_once() {
        for (width, height) in [
            (1, 1),
            (4, 4),
            (63, 5),
            (64, 8),
            (65, 3),
            (130, 2),
            (0, 3),
            (3, 0),
        ] {
            let image: Vec<f32> = (0..width * height).map(|i| i as f32 + 1.0).collect();
            let mut copy = vec![0.0; width * height];
            let mut blocks = 0;
            for place in Place::all(width, height) {
                blocks += place.blocks();
                place.scatter(&place.gather(&image), &mut copy);
            }
            assert_eq!(copy, image, "{width}x{height}");
            assert_eq!(blocks, width.div_ceil(4) * height.div_ceil(4), "{width}x{height}");
        }
    }

    #[test]
    fn partial_blocks_repeat_their_values() {
        let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let place = Place::all(3, 2).next().unwrap();
        let block = place.gather(&image).map(|lanes| lanes[0]);
        assert_eq!(
            block,
            [1., 2., 3., 1., 4., 5., 6., 4., 4., 5., 6., 4., 1., 2., 3., 1.]
        );
        let place = Place::all(1, 1).next().unwrap();
        assert!(
            place
                .gather(&[7.0])
                .iter()
                .all(|lanes| lanes[0] == 7.0 && lanes[1..] == [0.0; 15])
        );
    }
}
