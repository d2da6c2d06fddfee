//! Run-time choice of the instruction set, and the few idioms that all kernels share.

use pulp::{Arch, Simd, WithSimd};

/// Pixels that a kernel handles in one step: four AVX2 registers or two of AVX-512.
pub(crate) const BLOCK: usize = 32;

/// A computation to be compiled once for every instruction set.
///
/// A trait rather than a closure because only a method can be `#[inline(always)]`, as [`run`](Self::run) and
/// all that it calls must be: what is not inlined is compiled for the oldest processor.
pub(crate) trait Kernel {
    type Output;
    fn run(self) -> Self::Output;
}

struct Vectorised<K>(K);

impl<K: Kernel> WithSimd for Vectorised<K> {
    type Output = K::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> K::Output {
        self.0.run()
    }
}

/// Runs `kernel` compiled for the widest instruction set of this machine.
#[inline]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    Arch::new().dispatch(Vectorised(kernel))
}

/// Whole blocks, and one block with the remaining pixels filled up with NaN, which no kernel counts.
#[inline(always)]
pub(crate) fn blocks(pixels: &[f32]) -> (&[[f32; BLOCK]], [[f32; BLOCK]; 1]) {
    let (blocks, rest) = pixels.as_chunks();
    let mut last = [f32::NAN; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    (blocks, [last])
}
