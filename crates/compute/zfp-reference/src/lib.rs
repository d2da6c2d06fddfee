//! The zfp C library behind the same two functions as `chartroom_compute::zfp`: for comparisons of bits and of speed.
//!
//! It needs a C compiler, and fetches zfp's sources as part of a crate (see `build.rs`), so it is no member of the
//! workspace. In this folder:
//!
//! ```text
//! cargo test --release                       # the same bits on random images
//! cargo run --release --example zfp_speed    # the speed of both, and their ratio
//! ```

use std::ffi::{c_int, c_uint, c_void};
use std::marker::{PhantomData, PhantomPinned};

/// `zfp_type_float` of zfp.h.
const FLOAT: c_int = 3;

/// An opaque C struct.
#[repr(C)]
struct Opaque {
    _data: (),
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

// SAFETY: declared as in zfp.h and bitstream.h of zfp 1.0.0; enums are ints and sizes size_t.
unsafe extern "C" {
    fn stream_open(buffer: *mut c_void, bytes: usize) -> *mut Opaque;
    fn stream_close(stream: *mut Opaque);
    fn zfp_field_2d(pointer: *mut c_void, scalar: c_int, nx: usize, ny: usize) -> *mut Opaque;
    fn zfp_field_free(field: *mut Opaque);
    fn zfp_stream_open(stream: *mut Opaque) -> *mut Opaque;
    fn zfp_stream_close(stream: *mut Opaque);
    fn zfp_stream_set_precision(stream: *mut Opaque, precision: c_uint) -> c_uint;
    fn zfp_stream_maximum_size(stream: *const Opaque, field: *const Opaque) -> usize;
    fn zfp_stream_set_bit_stream(stream: *mut Opaque, bits: *mut Opaque);
    fn zfp_stream_rewind(stream: *mut Opaque);
    fn zfp_compress(stream: *mut Opaque, field: *const Opaque) -> usize;
    fn zfp_decompress(stream: *mut Opaque, field: *mut Opaque) -> usize;
}

/// Puts the zfp stream of `width * height` values, x fastest, into `out`, which is enlarged when needed and cut to the
/// stream's length.
///
/// # Panics
///
/// If the number of values is not `width * height` or the library fails.
pub fn compress(values: &[f32], width: usize, height: usize, precision: u32, out: &mut Vec<u8>) {
    assert_eq!(values.len(), width * height);
    // SAFETY: the field describes `values`, which zfp_compress only reads. The bit stream writes within the buffer,
    // which has the maximum size that the library asks for. All handles are freed once, after their last use.
    unsafe {
        let field = zfp_field_2d(values.as_ptr().cast_mut().cast(), FLOAT, width, height);
        let zfp = zfp_stream_open(std::ptr::null_mut());
        zfp_stream_set_precision(zfp, precision);
        let capacity = zfp_stream_maximum_size(zfp, field);
        if out.len() < capacity {
            out.resize(capacity, 0);
        }
        let bits = stream_open(out.as_mut_ptr().cast(), capacity);
        zfp_stream_set_bit_stream(zfp, bits);
        zfp_stream_rewind(zfp);
        let length = zfp_compress(zfp, field);
        stream_close(bits);
        zfp_stream_close(zfp);
        zfp_field_free(field);
        assert!(length > 0 && length <= capacity, "zfp_compress failed");
        out.truncate(length);
    }
}

/// Fills `out` with the `width * height` values of a stream that [`compress`] made.
///
/// # Panics
///
/// If the size of `out` is not `width * height` or the library fails.
pub fn decompress(stream: &[u8], width: usize, height: usize, precision: u32, out: &mut [f32]) {
    assert_eq!(out.len(), width * height);
    // SAFETY: the field describes `out`. The library reads as many bits as the stream asks for, which for a stream of its
    // own is within `padded`; the maximum size of the shape is added for others. Handles are freed once.
    unsafe {
        let field = zfp_field_2d(out.as_mut_ptr().cast(), FLOAT, width, height);
        let zfp = zfp_stream_open(std::ptr::null_mut());
        zfp_stream_set_precision(zfp, precision);
        let mut padded = stream.to_vec();
        padded.resize(stream.len() + zfp_stream_maximum_size(zfp, field), 0);
        let bits = stream_open(padded.as_mut_ptr().cast(), padded.len());
        zfp_stream_set_bit_stream(zfp, bits);
        zfp_stream_rewind(zfp);
        let length = zfp_decompress(zfp, field);
        stream_close(bits);
        zfp_stream_close(zfp);
        zfp_field_free(field);
        assert!(length > 0, "zfp_decompress failed");
    }
}
