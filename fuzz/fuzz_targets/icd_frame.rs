//! Any bytes as a message of a client: taken apart, decoded, and what was decoded survives being written again.

#![no_main]

use bytes::Bytes;
use chartroom_icd::{Frame, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| {
    let Ok(Frame { header, payload }) = Frame::split(Bytes::copy_from_slice(message)) else {
        return;
    };
    let Ok(request) = Request::decode(header.event, payload) else {
        return;
    };
    let written = request.encode();
    let again = Request::decode(header.event, written.clone().into());
    // Compared by length: NaN equals nothing, and maps are written in any order.
    assert_eq!(
        again.map(|request| request.encode().len()).ok(),
        Some(written.len())
    );
});
